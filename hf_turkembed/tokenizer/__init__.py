"""Counting, pruning, extending and checking a vocabulary, and the fertility of the result."""

from hf_turkembed.tokenizer.adapting import AdaptationReport, CorpusShare, adapt_tokenizer
from hf_turkembed.tokenizer.behaviour import TokenizerBehaviour, describe_behaviour
from hf_turkembed.tokenizer.budget import Choice, Marginals, Preferences, choose_tokens
from hf_turkembed.tokenizer.building import build_tokenizer, order_pieces, write_tokenizer
from hf_turkembed.tokenizer.checking import check_tokenizer
from hf_turkembed.tokenizer.counting import (
    EncodedWords,
    WordTable,
    count_tokens,
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
    measure_renyi_efficiency,
)
from hf_turkembed.tokenizer.id_map import map_ids, write_id_map
from hf_turkembed.tokenizer.morphology import InflectionReport, find_stem_lengths, measure_inflection
from hf_turkembed.tokenizer.plots import plot_fertility_change
from hf_turkembed.tokenizer.pruning import (
    Removals,
    cover_characters,
    find_protected,
    find_unusable,
    keep_merges,
    order_removals,
)
from hf_turkembed.tokenizer.reaching import find_unreachable
from hf_turkembed.tokenizer.reading import read_tokenizer
from hf_turkembed.tokenizer.report import (
    TokenizerComparison,
    TokenizerReport,
    compare_tokenizers,
    describe_tokenizer,
)
from hf_turkembed.tokenizer.selecting import Selection, find_sole_characters, order_by_cost, select_pieces
from hf_turkembed.tokenizer.source import SourceVocabulary, read_source
from hf_turkembed.tokenizer.unknown import count_unknown_characters, find_unknown_id
from hf_turkembed.tokenizer.vocabulary_change import ScriptChange, VocabularyChange, compare_vocabularies
from hf_turkembed.tokenizer.word_counts import MAX_WORDS, WordCounts, count_characters, count_words

__all__ = [
    "MAX_WORDS",
    "AdaptationReport",
    "Choice",
    "CorpusShare",
    "Derivations",
    "EncodedWords",
    "Extension",
    "Fertility",
    "FertilityChange",
    "InflectionReport",
    "Marginals",
    "Preferences",
    "Removals",
    "ScriptChange",
    "Selection",
    "SourceVocabulary",
    "TokenizerBehaviour",
    "TokenizerComparison",
    "TokenizerReport",
    "VocabularyChange",
    "WordCounts",
    "WordTable",
    "adapt_tokenizer",
    "build_tokenizer",
    "check_tokenizer",
    "choose_tokens",
    "compare_fertility",
    "compare_tokenizers",
    "compare_vocabularies",
    "count_characters",
    "count_tokens",
    "count_unknown_characters",
    "count_words",
    "cover_characters",
    "describe_behaviour",
    "describe_tokenizer",
    "encode_words",
    "extend_vocabulary",
    "find_derivations",
    "find_protected",
    "find_sole_characters",
    "find_stem_lengths",
    "find_unknown_id",
    "find_unreachable",
    "find_unusable",
    "keep_merges",
    "list_words",
    "map_ids",
    "measure_fertility",
    "measure_inflection",
    "measure_renyi_efficiency",
    "order_by_cost",
    "order_pieces",
    "order_removals",
    "plot_fertility_change",
    "rank_merges",
    "read_source",
    "read_tokenizer",
    "resolve_language_weights",
    "segment",
    "select_pieces",
    "weigh_words",
    "write_id_map",
    "write_tokenizer",
]
