"""Fertility: how many tokens a tokenizer spends on text, per language, and two tokenizers side by side."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from hf_turkembed.tokenizer.unknown import find_unknown_id

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
    return {language: _measure(tokenizer, language, lines, is_byte, unknown) for language, lines in texts.items()}


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


def render_fertility_table(rows: Iterable[FertilityChange]) -> str:
    """Write a comparison as a Markdown table.

    Args:
        rows: One row per language.

    Returns:
        The table, ending in a line break.
    """
    lines = [
        "| language | tokens per word | characters per token | byte fallback (%) | unknown (%) | tokens (%) |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        before, after = row.before, row.after
        cells = (
            row.language,
            f"{before.tokens_per_word:.3f} → {after.tokens_per_word:.3f}",
            f"{before.characters_per_token:.3f} → {after.characters_per_token:.3f}",
            f"{100 * before.byte_share:.3f} → {100 * after.byte_share:.3f}",
            f"{100 * before.unknown_share:.3f} → {100 * after.unknown_share:.3f}",
            f"{100 * row.change:+.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _measure(
    tokenizer: Tokenizer, language: str, lines: Sequence[str], is_byte: np.ndarray, unknown: int | None
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
    )
