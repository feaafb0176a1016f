"""Counting, pruning, extending and checking a vocabulary, and the fertility of the result."""

from hf_turkembed.tokenizer.adapting import AdaptationReport, adapt_tokenizer
from hf_turkembed.tokenizer.behaviour import TokenizerBehaviour, describe_behaviour
from hf_turkembed.tokenizer.building import build_tokenizer, order_pieces, write_tokenizer
from hf_turkembed.tokenizer.checking import check_tokenizer
from hf_turkembed.tokenizer.counting import (
    EncodedWords,
    WordTable,
    combine_counts,
    count_characters,
    count_tokens,
    count_words,
    encode_words,
    resolve_language_weights,
)
from hf_turkembed.tokenizer.derivations import Derivations, find_derivations, rank_merges, segment
from hf_turkembed.tokenizer.extending import extend_vocabulary
from hf_turkembed.tokenizer.fertility import (
    Fertility,
    FertilityChange,
    compare_fertility,
    measure_fertility,
    render_fertility_table,
)
from hf_turkembed.tokenizer.pruning import cover_characters, find_protected, find_unusable, keep_merges, order_removals
from hf_turkembed.tokenizer.reaching import find_unreachable
from hf_turkembed.tokenizer.selecting import Selection, find_sole_characters, order_by_cost, select_pieces
from hf_turkembed.tokenizer.source import SourceVocabulary, read_source
from hf_turkembed.tokenizer.unknown import count_unknown_characters, find_unknown_id

__all__ = [
    "AdaptationReport",
    "Derivations",
    "EncodedWords",
    "Fertility",
    "FertilityChange",
    "Selection",
    "SourceVocabulary",
    "TokenizerBehaviour",
    "WordTable",
    "adapt_tokenizer",
    "build_tokenizer",
    "check_tokenizer",
    "combine_counts",
    "compare_fertility",
    "count_characters",
    "count_tokens",
    "count_unknown_characters",
    "count_words",
    "cover_characters",
    "describe_behaviour",
    "encode_words",
    "extend_vocabulary",
    "find_derivations",
    "find_protected",
    "find_sole_characters",
    "find_unknown_id",
    "find_unreachable",
    "find_unusable",
    "keep_merges",
    "measure_fertility",
    "order_by_cost",
    "order_pieces",
    "order_removals",
    "rank_merges",
    "read_source",
    "render_fertility_table",
    "resolve_language_weights",
    "segment",
    "select_pieces",
    "write_tokenizer",
]
