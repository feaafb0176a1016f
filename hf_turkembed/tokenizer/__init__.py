"""Counting, pruning, extending and checking a vocabulary, and the fertility of the result."""

from hf_turkembed.tokenizer.adapting import AdaptationReport, Marginals, adapt_tokenizer
from hf_turkembed.tokenizer.behaviour import TokenizerBehaviour, describe_behaviour
from hf_turkembed.tokenizer.building import build_tokenizer, order_pieces, write_tokenizer
from hf_turkembed.tokenizer.checking import check_tokenizer
from hf_turkembed.tokenizer.counting import (
    EncodedWords,
    WordTable,
    count_characters,
    count_tokens,
    count_words,
    encode_words,
    list_words,
    resolve_language_weights,
    weigh_words,
)
from hf_turkembed.tokenizer.derivations import Derivations, find_derivations, rank_merges, segment
from hf_turkembed.tokenizer.extending import Extension, extend_vocabulary
from hf_turkembed.tokenizer.fertility import (
    Fertility,
    FertilityChange,
    compare_fertility,
    measure_fertility,
    render_fertility_table,
)
from hf_turkembed.tokenizer.pruning import Removals, find_protected, find_unusable, keep_merges, order_removals
from hf_turkembed.tokenizer.source import SourceVocabulary, read_source

__all__ = [
    "AdaptationReport",
    "Derivations",
    "EncodedWords",
    "Extension",
    "Fertility",
    "FertilityChange",
    "Marginals",
    "Removals",
    "SourceVocabulary",
    "TokenizerBehaviour",
    "WordTable",
    "adapt_tokenizer",
    "build_tokenizer",
    "check_tokenizer",
    "compare_fertility",
    "count_characters",
    "count_tokens",
    "count_words",
    "describe_behaviour",
    "encode_words",
    "extend_vocabulary",
    "find_derivations",
    "find_protected",
    "find_unusable",
    "keep_merges",
    "list_words",
    "measure_fertility",
    "order_pieces",
    "order_removals",
    "rank_merges",
    "read_source",
    "render_fertility_table",
    "resolve_language_weights",
    "segment",
    "weigh_words",
    "write_tokenizer",
]
