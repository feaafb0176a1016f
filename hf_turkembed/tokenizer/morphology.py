"""Where a tokenizer cuts inflected words: whole words, and boundaries at the end of the stem."""

from collections.abc import Mapping
from dataclasses import dataclass

from tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True)
class InflectionReport:
    """What a tokenizer makes of inflected words, each counted once."""

    # Distinct words.
    words: int
    # Share of them that are one token, 0 to 1.
    whole_word_share: float
    # Share of the others with a token boundary exactly at the end of the stem, 0 to 1; None where there are none.
    stem_boundary_recall: float | None


def measure_inflection(tokenizer: Tokenizer, stem_lengths: Mapping[str, int]) -> InflectionReport:
    """Measure how a tokenizer of any model type cuts words with a known stem, as they stand after a space.

    Args:
        tokenizer: The tokenizer.
        stem_lengths: Letters of the stem by word, fewer than those of the word.

    Returns:
        Shares of whole words and of kept stem boundaries.

    Raises:
        ValueError: There is no word, or a stem is empty or as long as its word.
    """
    if not stem_lengths:
        raise ValueError("`stem_lengths` is empty; give at least one inflected word.")
    wrong = [word for word, length in stem_lengths.items() if not 0 < length < len(word)]
    if wrong:
        raise ValueError(
            f"`stem_lengths`: the stem of {wrong[0]!r} has {stem_lengths[wrong[0]]} letters; expected 1 to "
            f"{len(wrong[0]) - 1}."
        )
    encodings = tokenizer.encode_batch([f" {word}" for word in stem_lengths], add_special_tokens=False)
    cut = [
        # The space before the word counts as one more letter.
        1 + length in {end for _, end in encoding.offsets[:-1]}
        for encoding, length in zip(encodings, stem_lengths.values(), strict=True)
        if len(encoding) > 1
    ]
    return InflectionReport(
        words=len(stem_lengths),
        whole_word_share=1 - len(cut) / len(stem_lengths),
        stem_boundary_recall=sum(cut) / len(cut) if cut else None,
    )
