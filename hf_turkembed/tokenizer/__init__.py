"""Counting, pruning, extending and checking a vocabulary, and the fertility of the result."""

from hf_turkembed.tokenizer.adapting import AdaptationReport, adapt_tokenizer
from hf_turkembed.tokenizer.behaviour import TokenizerBehaviour, describe_behaviour
from hf_turkembed.tokenizer.building import build_tokenizer, order_pieces, write_tokenizer
from hf_turkembed.tokenizer.checking import check_tokenizer, find_unreachable
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
    measure_renyi_efficiency,
)
from hf_turkembed.tokenizer.id_map import map_ids, write_id_map
from hf_turkembed.tokenizer.morphology import InflectionReport, measure_inflection
from hf_turkembed.tokenizer.plots import plot_fertility_change
from hf_turkembed.tokenizer.pruning import find_protected, find_unusable, keep_merges, order_removals
from hf_turkembed.tokenizer.report import (
    TokenizerComparison,
    TokenizerReport,
    compare_tokenizers,
    describe_tokenizer,
)
from hf_turkembed.tokenizer.source import SourceVocabulary, read_source
from hf_turkembed.tokenizer.vocabulary_change import ScriptChange, VocabularyChange, compare_vocabularies

__all__ = [
    "AdaptationReport",
    "Derivations",
    "EncodedWords",
    "Fertility",
    "FertilityChange",
    "InflectionReport",
    "ScriptChange",
    "SourceVocabulary",
    "TokenizerBehaviour",
    "TokenizerComparison",
    "TokenizerReport",
    "VocabularyChange",
    "WordTable",
    "adapt_tokenizer",
    "build_tokenizer",
    "check_tokenizer",
    "combine_counts",
    "compare_fertility",
    "compare_tokenizers",
    "compare_vocabularies",
    "count_characters",
    "count_tokens",
    "count_words",
    "describe_behaviour",
    "describe_tokenizer",
    "encode_words",
    "extend_vocabulary",
    "find_derivations",
    "find_protected",
    "find_unreachable",
    "find_unusable",
    "keep_merges",
    "map_ids",
    "measure_fertility",
    "measure_inflection",
    "measure_renyi_efficiency",
    "order_pieces",
    "order_removals",
    "plot_fertility_change",
    "rank_merges",
    "read_source",
    "resolve_language_weights",
    "segment",
    "write_id_map",
    "write_tokenizer",
]
