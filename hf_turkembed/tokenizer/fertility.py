"""Fertility: how many tokens a tokenizer spends on text, per language, and two tokenizers side by side."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from hf_turkembed.tokenizer.unknown import find_unknown_id

# Order of the Rényi entropy; the one that predicts downstream quality best in the paper.
RENYI_ORDER = 2.5
# The language that the others are set against.
_ENGLISH = "en"
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True, kw_only=True)
class Fertility:
    """What a tokenizer makes of some text, special tokens left out."""

    # Whitespace-separated words.
    words: int
    # Unicode code points.
    characters: int
    # Tokens.
    tokens: int
    # Tokens divided by words; says little for languages written without spaces.
    tokens_per_word: float
    # Characters divided by tokens.
    characters_per_token: float
    # Share of byte-fallback tokens among all tokens, 0 to 1.
    byte_share: float
    # Share of unknown tokens among all tokens, 0 to 1.
    unknown_share: float
    # Rényi entropy of the tokens' frequencies divided by the logarithm of the vocabulary size, 0 to 1.
    renyi_efficiency: float
    # Tokens divided by those of the English text; None without an English text of as many lines.
    parity: float | None = None


@dataclass(frozen=True, kw_only=True)
class FertilityChange:
    """The fertility of two tokenizers on the same text of one language."""

    # Language code.
    language: str
    # The first tokenizer.
    before: Fertility
    # The second tokenizer.
    after: Fertility
    # Tokens of the second divided by tokens of the first, minus 1; below 0 is shorter.
    change: float


def measure_fertility(tokenizer: Tokenizer, texts: Mapping[str, Sequence[str]]) -> dict[str, Fertility]:
    """Measure a tokenizer of any model type on texts by language.

    A language is set against `en` where both have the same number of lines. That their lines are translations of each
    other is for the caller to know; where they are not, `parity` says nothing.

    Args:
        tokenizer: The tokenizer.
        texts: Lines of text by language.

    Returns:
        The fertility by language, in the order of `texts`.

    Raises:
        ValueError: A language has no words.
    """
    is_byte = np.zeros(tokenizer.get_vocab_size(), dtype=np.bool_)
    for piece, index in tokenizer.get_vocab().items():
        if _BYTE_TOKEN.fullmatch(piece):
            is_byte[index] = True
    unknown = find_unknown_id(tokenizer)
    measured = {language: _measure(tokenizer, language, lines, is_byte, unknown) for language, lines in texts.items()}
    return {language: replace(one, parity=_parity(language, measured, texts)) for language, one in measured.items()}


def compare_fertility(before: Mapping[str, Fertility], after: Mapping[str, Fertility]) -> tuple[FertilityChange, ...]:
    """Set two measurements of the same texts side by side.

    Args:
        before: The fertility of the first tokenizer by language.
        after: The fertility of the second tokenizer by language.

    Returns:
        One row per language, in the order of `before`.

    Raises:
        ValueError: The two were not measured on the same texts.
    """
    differing = sorted(before.keys() ^ after.keys())
    differing += [
        language for language in before if language in after and before[language].words != after[language].words
    ]
    if differing:
        raise ValueError(
            f"the two measurements differ in their texts for {differing}; measure both on the same texts."
        )
    return tuple(
        FertilityChange(
            language=language,
            before=first,
            after=after[language],
            change=after[language].tokens / first.tokens - 1,
        )
        for language, first in before.items()
    )


def measure_renyi_efficiency(counts: NDArray[np.int64]) -> float:
    """Measure how evenly a text uses a vocabulary.

    Args:
        counts: Occurrences of each token of the vocabulary, shape (tokens,), at least two tokens and one occurrence.

    Returns:
        The Rényi entropy of order 2.5 of the tokens' frequencies, divided by the logarithm of the vocabulary size:
        1 where every token is equally frequent, 0 where one token is the whole text.

    References:
        https://huggingface.co/papers/2306.16842
    """
    frequencies = counts[counts > 0] / counts.sum()
    entropy = np.log(np.sum(frequencies**RENYI_ORDER)) / (1 - RENYI_ORDER)
    # One token alone gives a negative zero.
    return abs(float(entropy / np.log(len(counts))))


def _measure(
    tokenizer: Tokenizer, language: str, lines: Sequence[str], is_byte: NDArray[np.bool_], unknown: int | None
) -> Fertility:
    """Measure one language."""
    words = sum(len(line.split()) for line in lines)
    if not words:
        raise ValueError(f"`texts` holds no words for {language!r}; give text or leave the language out.")
    characters = sum(map(len, lines))
    encodings = tokenizer.encode_batch_fast(list(lines), add_special_tokens=False)
    ids = np.array([index for encoding in encodings for index in encoding.ids], dtype=np.int64)
    return Fertility(
        words=words,
        characters=characters,
        tokens=len(ids),
        tokens_per_word=len(ids) / words,
        characters_per_token=characters / len(ids),
        byte_share=float(is_byte[ids].mean()),
        unknown_share=float((ids == unknown).mean()) if unknown is not None else 0.0,
        renyi_efficiency=measure_renyi_efficiency(np.bincount(ids, minlength=len(is_byte))),
    )


def _parity(language: str, measured: Mapping[str, Fertility], texts: Mapping[str, Sequence[str]]) -> float | None:
    """Divide the tokens of a language by those of English, where the two texts have as many lines."""
    if _ENGLISH not in texts or len(texts[language]) != len(texts[_ENGLISH]):
        return None
    return measured[language].tokens / measured[_ENGLISH].tokens
