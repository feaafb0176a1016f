"""Rows for training that share a text with held-out data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_turkembed.corpus.leakage import find_leakage


@dataclass(frozen=True, kw_only=True)
class SharedTexts:
    """How many rows share a text with one held-out dataset."""

    rows: int
    # Of the rows for training, 0 to 1.
    share: float
    removed: bool


def set_shared_texts_apart(
    train: Mapping[str, Sequence[Any]], held_out: Mapping[str, Mapping[str, Sequence[Any]]], *, remove: bool
) -> tuple[dict[str, list[Any]], dict[str, SharedTexts]]:
    """Count, and perhaps remove, the rows that share any text with held-out data.

    Args:
        train: Columns of equal length.
        held_out: The same by name.
        remove: Whether rows that share a text are left out of what is returned.

    Returns:
        The rows to train on, and what was found, by the name of the held-out data.

    Raises:
        ValueError: If no row would be left.
    """
    size = len(next(iter(train.values())))
    found, shared = {}, set[int]()
    for name, table in held_out.items():
        known = [text for column in _texts(table) for text in column]
        rows = {row for column in _texts(train) for row in find_leakage(known, column).rows}
        found[name] = SharedTexts(rows=len(rows), share=len(rows) / size, removed=remove)
        shared |= rows
    if remove and len(shared) == size:
        raise ValueError(
            f"all {size:,} rows share a text with {', '.join(held_out)}; `shared_texts: remove` would leave none."
        )
    kept = [row for row in range(size) if not remove or row not in shared]
    return {name: [column[row] for row in kept] for name, column in train.items()}, found


def _texts(table: Mapping[str, Sequence[Any]]) -> list[Sequence[str]]:
    """Return the columns that hold text."""
    return [column for column in table.values() if isinstance(column[0], str)]
