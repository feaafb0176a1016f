"""Text of an evaluation that stands in training data as well."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hf_turkembed.corpus.texts import strip_text

# One text, or the texts of a whole row, such as both sentences of a pair, in whichever order.
Text = str | tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """What of an evaluation was trained on."""

    # Positions of the evaluation's texts that stand in the training data, in order.
    rows: tuple[int, ...]
    # Number of the evaluation's texts.
    texts: int

    @property
    def count(self) -> int:
        """Number of texts that stand in both."""
        return len(self.rows)

    @property
    def share(self) -> float:
        """Share of the evaluation's texts that stand in both, 0 to 1; 0 where there are none."""
        return self.count / self.texts if self.texts else 0.0


def find_leakage(train_texts: Iterable[Text], evaluation_texts: Sequence[Text]) -> Leakage:
    """Find the texts of an evaluation that stand in training data, but for letter case, spaces and punctuation.

    Told the other way round, it finds the training rows that have to go so that nothing leaks.

    Args:
        train_texts: Texts, or whole rows as tuples; read once, and a key of each distinct one is held.
        evaluation_texts: The same of the evaluation. A text matches a text, a row a row of the same texts.
    """
    seen = {_key(text) for text in train_texts}
    rows = tuple(row for row, text in enumerate(evaluation_texts) if _key(text) in seen)
    return Leakage(rows=rows, texts=len(evaluation_texts))


def fold_text(text: str) -> str:
    """Reduce a text to its letters and digits without case; one without any, such as `?!`, stays as it is."""
    text = unicodedata.normalize("NFKC", text)
    # Small letters of English make `ILIK` into `ilik`, those of Turkish into `ılık`: here all four are one letter.
    return strip_text(text).replace("ı", "i") or text


def _key(text: Text) -> Text:
    """Reduce a text to what near copies have in common; texts of a row in order of spelling."""
    if not isinstance(text, str):
        return tuple(sorted(fold_text(part) for part in text))
    return fold_text(text)
