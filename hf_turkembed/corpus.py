"""Readers of plain text, NLI triplets and STS pairs that check what they read."""

import csv
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

# Rows of a streamed dataset among which the order is random.
_SHUFFLE_BUFFER = 10_000
# Characters of one field of a .tsv file; the reader's own limit is shorter than some documents.
_LONGEST_FIELD = 1 << 30

TRIPLET_COLUMNS = ("anchor", "positive", "negative")
PAIR_COLUMNS = ("sentence1", "sentence2", "score")


@dataclass(frozen=True, kw_only=True)
class HubDataset:
    """One config of a dataset on the Hub, or in a local folder that `datasets` can load."""

    name: str
    config: str | None
    split: str
    revision: str | None


@dataclass(frozen=True, kw_only=True)
class TextColumn:
    """One column of a .tsv or .jsonl file."""

    file: Path
    # Name, or the number from 1 where the file has no header line.
    column: str


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Where the plain text of one language comes from, and how much of it is read."""

    language: str
    # UTF-8 files of one text a line.
    files: tuple[Path, ...] = ()
    columns: tuple[TextColumn, ...] = ()
    dataset: HubDataset | None = None
    text_column: str = "text"
    # Rows of the shuffled dataset that are passed over first.
    skip_rows: int = 0
    # Most texts in all; None for every one.
    rows: int | None = None
    # Lines at the end of every file that are left out, or the only ones that are read.
    skip_last: int = 0
    only_last: int | None = None


def find_text_files(folder: Path, language: str) -> tuple[Path, ...]:
    """List the files of one language in a folder: `xx.txt`, then `xx/*.txt` in order of name."""
    single = folder / f"{language}.txt"
    return (*([single] if single.is_file() else []), *sorted((folder / language).glob("*.txt")))


def read_texts(source: TextSource, *, seed: int) -> Iterator[str]:
    """Yield the distinct texts of one language, in files' order, then columns', then the dataset's shuffled order.

    Lines that are empty, not valid UTF-8 or hold NUL are left out; where some were not valid, their number is logged.

    Args:
        source: What to read.
        seed: Shuffles a streamed dataset, whose first rows are rarely typical.

    Raises:
        ValueError: If not a single usable text is found.
    """
    # Digests would be smaller, but a language's share of a corpus fits in memory.
    seen: set[str] = set()
    for text in _texts(source, seed):
        if text not in seen:
            seen.add(text)
            yield text
            if source.rows is not None and len(seen) == source.rows:
                return
    if not seen:
        names = [str(file) for file in (*source.files, *(column.file for column in source.columns))]
        names = names or [str(source.dataset)]
        raise ValueError(
            f"language `{source.language}` has no usable text: {', '.join(names)} holds only empty lines or invalid "
            "UTF-8; expected UTF-8 files with one text a line."
        )


def check_text_sources(sources: Iterable[TextSource]) -> None:
    """Check, before any work, that each language's local files hold text.

    Raises:
        ValueError: If a language has neither files nor a dataset, or no usable line.
    """
    for source in sources:
        if not source.files and not source.columns and source.dataset is None:
            raise ValueError(
                f"language `{source.language}` has no text: expected {source.language}.txt or {source.language}/*.txt "
                "in one of the corpus folders; add one, or take the language out of `languages`."
            )
        if source.dataset is None:
            next(read_texts(source, seed=0))


def read_triplets(
    source: Path | HubDataset, *, columns: Sequence[str] = TRIPLET_COLUMNS, rows: int | None = None
) -> dict[str, list[str]]:
    """Read NLI triplets.

    Args:
        source: A .jsonl or .tsv file, or a dataset.
        columns: The source's names for anchor, positive and negative.
        rows: Read only the first ones; None for all.

    Returns:
        Columns `anchor`, `positive` and `negative` of equal length.

    Raises:
        ValueError: If a column is missing or a text is empty; the message names the row.
    """
    table: dict[str, list[str]] = {name: [] for name in TRIPLET_COLUMNS}
    for number, row in enumerate(islice(_rows(source, columns), rows), start=1):
        for name, column in zip(TRIPLET_COLUMNS, columns, strict=True):
            table[name].append(_text(row[column], source, number, column))
    return table


def read_pairs(
    source: Path | HubDataset,
    *,
    columns: Sequence[str] = PAIR_COLUMNS,
    highest_score: float,
    rows: int | None = None,
) -> dict[str, list[Any]]:
    """Read sentence pairs with graded similarity.

    Args:
        source: A .jsonl or .tsv file, or a dataset.
        columns: The source's names for sentence1, sentence2 and score.
        highest_score: The source's score for "same meaning".
        rows: Read only the first ones; None for all.

    Returns:
        Columns `sentence1`, `sentence2`, and `score` scaled to 0 to 1, of equal length.

    Raises:
        ValueError: If a column is missing, a text is empty, or a score is not a number from 0 to `highest_score`.
    """
    table: dict[str, list[Any]] = {name: [] for name in PAIR_COLUMNS}
    for number, row in enumerate(islice(_rows(source, columns), rows), start=1):
        for name, column in zip(PAIR_COLUMNS[:2], columns[:2], strict=True):
            table[name].append(_text(row[column], source, number, column))
        table["score"].append(_score(row[columns[2]], source, number, highest_score) / highest_score)
    return table


def read_labelled_pairs(
    source: Path | HubDataset,
    *,
    columns: Sequence[str],
    labels: Mapping[str, int],
    rows: int | None = None,
) -> dict[str, list[Any]]:
    """Read sentence pairs with one of two labels, such as entailment and contradiction.

    Args:
        source: A .jsonl or .tsv file, or a dataset.
        columns: The source's names for sentence1, sentence2 and label.
        labels: 1 or 0 for each label that counts, by its text; pairs with another label are left out.
        rows: Read only the first ones that count; None for all.

    Returns:
        Columns `sentence1`, `sentence2`, and `label`, which is 1 or 0, of equal length.

    Raises:
        ValueError: If a column is missing, a text is empty, or a label that counts never occurs.
    """
    table: dict[str, list[Any]] = {name: [] for name in ("sentence1", "sentence2", "label")}
    found: set[str] = set()
    counted = (
        (number, row) for number, row in enumerate(_rows(source, columns), start=1) if str(row[columns[2]]) in labels
    )
    for number, row in islice(counted, rows):
        for name, column in zip(("sentence1", "sentence2"), columns[:2], strict=True):
            table[name].append(_text(row[column], source, number, column))
        found.add(str(row[columns[2]]))
        table["label"].append(labels[str(row[columns[2]])])
    if absent := sorted(set(labels) - found):
        raise ValueError(f"{_name(source)} has no row whose {columns[2]!r} is {absent[0]!r}; correct `labels`.")
    return table


def read_bitext(source: Path | HubDataset, *, columns: Sequence[str], rows: int | None = None) -> dict[str, list[str]]:
    """Read aligned sentences of two languages.

    Args:
        source: A .jsonl or .tsv file, or a dataset.
        columns: The source's names for the two sides.
        rows: Read only the first ones; None for all.

    Returns:
        Columns `sentence1` and `sentence2`, of equal length.

    Raises:
        ValueError: If a column is missing or a text is empty.
    """
    table: dict[str, list[str]] = {"sentence1": [], "sentence2": []}
    for number, row in enumerate(islice(_rows(source, columns), rows), start=1):
        for name, column in zip(table, columns, strict=True):
            table[name].append(_text(row[column], source, number, column))
    return table


def check_row_count(table: Mapping[str, Sequence[Any]], expected: int | None, name: str) -> None:
    """Check that a table has as many rows as are known to be in its source.

    Raises:
        ValueError: If it has not, as when a reader that honours quotes swallows rows.
    """
    found = len(next(iter(table.values())))
    if expected is not None and found != expected:
        raise ValueError(
            f"{name} gave {found:,} rows, expected {expected:,}; the file is not the one the recipe means."
        )


def _texts(source: TextSource, seed: int) -> Iterator[str]:
    """Yield all usable texts of a source, repeats included."""
    for file in source.files:
        yield from _lines(file, source.skip_last, source.only_last)
    for column in source.columns:
        yield from _cells(column)
    if source.dataset is not None:
        rows = _stream(source.dataset).shuffle(seed=seed, buffer_size=_SHUFFLE_BUFFER).skip(source.skip_rows)
        for row in rows:
            if source.text_column not in row:
                raise ValueError(
                    f"{_name(source.dataset)} has no column {source.text_column!r}; its columns are {', '.join(row)}."
                )
            if text := (row[source.text_column] or "").strip():
                yield text


def _lines(file: Path, skip_last: int, only_last: int | None) -> Iterator[str]:
    """Yield the usable lines of a file, all of it or cut at a count from the end."""
    first, last = 0, None
    if skip_last or only_last is not None:
        with file.open("rb") as stream:
            total = sum(1 for _ in stream)
        first = 0 if only_last is None else max(0, total - only_last)
        last = total - skip_last
    empty = invalid = 0
    with file.open("rb") as stream:
        for line in islice(stream, first, last):
            try:
                text = line.decode("utf-8").strip().lstrip("\ufeff")
            except UnicodeDecodeError:
                invalid += 1
                continue
            if "\x00" in text:
                invalid += 1
            elif text:
                yield text
            else:
                empty += 1
    if invalid:
        logger.warning(
            "%s: left out %d lines of invalid UTF-8 or with NUL characters and %d empty ones.", file, invalid, empty
        )


def _cells(column: TextColumn) -> Iterator[str]:
    """Yield the usable texts of a column; rows without it are left out and counted."""
    key: str | int = int(column.column) - 1 if column.column.isdigit() else column.column
    if isinstance(key, str):
        rows: Iterable[Any] = _rows(column.file, [key])
    else:
        rows = (line.split("\t") for line in _lines(column.file, 0, None))
    missing = 0
    for row in rows:
        text = row[key] if isinstance(key, str) else row[key] if key < len(row) else ""
        if isinstance(text, str) and text.strip():
            yield text.strip()
        else:
            missing += 1
    if missing:
        logger.warning("%s: left out %d rows without text in column %s.", column.file, missing, column.column)


def _stream(dataset: HubDataset) -> Any:
    """Open a dataset for streaming; one that cannot be reached, or lacks the config or split, is named."""
    from datasets import load_dataset

    try:
        return load_dataset(
            dataset.name, dataset.config, split=dataset.split, revision=dataset.revision, streaming=True
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"{_name(dataset)} cannot be read: {' '.join(str(error).split())}") from error


def _rows(source: Path | HubDataset, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield rows of a table that has the columns."""
    rows = _stream(source) if isinstance(source, HubDataset) else _file_rows(source)
    number = 0
    for number, row in enumerate(rows, start=1):
        for column in columns:
            if column not in row:
                names = ", ".join(map(str, row))
                raise ValueError(f"{_name(source)}, row {number}: no column {column!r}; its columns are {names}.")
            if row[column] is None:
                raise ValueError(f"{_name(source)}, row {number}: column {column!r} holds nothing, expected a value.")
        yield row
    if number == 0:
        raise ValueError(f"{_name(source)} holds no rows; expected columns {', '.join(columns)} and at least one row.")


def _file_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield rows of a .jsonl or .tsv file as mappings."""
    if path.suffix not in (".jsonl", ".tsv"):
        raise ValueError(f"{path} ends in {path.suffix!r}; expected .jsonl or .tsv.")
    try:
        yield from _decoded_rows(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid UTF-8 ({error}); convert it.") from error


def _decoded_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a file that is valid UTF-8."""
    with path.open(encoding="utf-8", newline="") as stream:
        if path.suffix == ".tsv":
            csv.field_size_limit(_LONGEST_FIELD)
            # Sentences hold lone quotation marks: a reader that honours quotes silently joins rows.
            yield from csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            return
        for number, line in enumerate(stream, start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, row {number} is not valid JSON: {error}.") from error
            if not isinstance(row, dict):
                raise ValueError(f"{path}, row {number} is {type(row).__name__}, expected an object with columns.")
            yield row


def _text(value: Any, source: Path | HubDataset, number: int, column: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{_name(source)}, row {number}: column {column!r} is {value!r}, expected text.")
    return value.strip()


def _score(value: Any, source: Path | HubDataset, number: int, highest: float) -> float:
    """Return a score between 0 and `highest`."""
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    if not 0 <= score <= highest:
        raise ValueError(f"{_name(source)}, row {number}: the score is {value!r}, expected 0 to {highest:g}.")
    return score


def _name(source: Path | HubDataset) -> str:
    """Name a source in a message."""
    if isinstance(source, Path):
        return str(source)
    return f"{source.name} ({source.config or 'default'}, {source.split})"
