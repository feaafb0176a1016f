"""The report on a tokenizer: its size, what it spends on text, where it cuts words, and how two of them differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from hf_turkembed.tokenizer.fertility import Fertility, compare_fertility, measure_fertility
from hf_turkembed.tokenizer.morphology import InflectionReport, measure_inflection
from hf_turkembed.tokenizer.reaching import find_unreachable
from hf_turkembed.tokenizer.source import BYTE_TOKENS
from hf_turkembed.tokenizer.unknown import find_unknown_id
from hf_turkembed.tokenizer.vocabulary_change import VocabularyChange, compare_vocabularies


@dataclass(frozen=True, kw_only=True)
class TokenizerReport:
    """One tokenizer."""

    # Tokens, added tokens included.
    vocab_size: int
    # Tokens that no text produces; bytes, the unknown token and added tokens do not count.
    unreachable: int
    # Inflected words; None where none were given.
    inflection: InflectionReport | None
    # What it makes of text, by language.
    fertility: Mapping[str, Fertility]


@dataclass(frozen=True, kw_only=True)
class TokenizerComparison:
    """Two tokenizers on the same text."""

    before: TokenizerReport
    after: TokenizerReport
    # Tokens of the second divided by tokens of the first, minus 1, by language; below 0 is shorter.
    change: Mapping[str, float]
    # Tokens that stayed, went and came.
    vocabulary: VocabularyChange


def describe_tokenizer(
    tokenizer: Tokenizer, texts: Mapping[str, Sequence[str]], stem_lengths: Mapping[str, int]
) -> TokenizerReport:
    """Measure a tokenizer of any model type.

    Args:
        tokenizer: The tokenizer.
        texts: Lines of text by language, possibly of none.
        stem_lengths: Letters of the stem by inflected word; none to leave them out.

    Returns:
        The report.

    Raises:
        ValueError: A language has no words, or a stem is empty or as long as its word.
    """
    return TokenizerReport(
        vocab_size=tokenizer.get_vocab_size(),
        unreachable=len(find_unreachable(tokenizer, _pinned(tokenizer))),
        inflection=measure_inflection(tokenizer, stem_lengths) if stem_lengths else None,
        fertility=measure_fertility(tokenizer, texts),
    )


def compare_tokenizers(
    before: Tokenizer, after: Tokenizer, texts: Mapping[str, Sequence[str]], stem_lengths: Mapping[str, int]
) -> TokenizerComparison:
    """Measure two tokenizers of any model type on the same text.

    Args:
        before: The first tokenizer.
        after: The second tokenizer.
        texts: Lines of text by language, possibly of none.
        stem_lengths: Letters of the stem by inflected word; none to leave them out.

    Returns:
        The comparison.

    Raises:
        ValueError: A language has no words, or a stem is empty or as long as its word.
    """
    first, second = (describe_tokenizer(tokenizer, texts, stem_lengths) for tokenizer in (before, after))
    return TokenizerComparison(
        before=first,
        after=second,
        change={row.language: row.change for row in compare_fertility(first.fertility, second.fertility)},
        vocabulary=compare_vocabularies(before, after),
    )


def _pinned(tokenizer: Tokenizer) -> set[str]:
    """Collect the tokens that the model does not make of text: bytes, added tokens, the unknown token."""
    pinned = {*BYTE_TOKENS, *(token.content for token in tokenizer.get_added_tokens_decoder().values())}
    unknown = find_unknown_id(tokenizer)
    if unknown is not None:
        pinned.add(str(tokenizer.id_to_token(unknown)))
    return pinned
