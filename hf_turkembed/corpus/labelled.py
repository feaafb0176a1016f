"""Labelled text: NLI triplets, STS pairs, labelled pairs, bitext and classes, every row of which is checked."""

import csv
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from hf_turkembed.corpus.hub_dataset import HubDataset, open_stream

logger = logging.getLogger(__name__)

# Characters of one field of a .csv or .tsv file; the reader's own limit is shorter than some documents.
_LONGEST_FIELD = 1 << 30

# Of the highest possible score; a table without one above that is likely of another scale.
_LOW = 0.5

TRIPLET_COLUMNS = ("anchor", "positive", "negative")
PAIR_COLUMNS = ("sentence1", "sentence2", "score")


def read_triplets(
    source: Path | HubDataset, *, columns: Sequence[str] = TRIPLET_COLUMNS, rows: int | None = None
) -> dict[str, list[str]]:
    """Read NLI triplets.

    Args:
        source: A .csv, .tsv or .jsonl file, or a dataset.
        columns: The source's names for anchor, positive and negative.
        rows: Read only the first ones; None for all.

    Returns:
        Columns `anchor`, `positive` and `negative` of equal length.

    Raises:
        ValueError: If a column is missing or a text is empty; the message names the row.
    """
    table: dict[str, list[str]] = {name: [] for name in TRIPLET_COLUMNS}
    for number, row in islice(_rows(source, columns), rows):
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
        source: A .csv, .tsv or .jsonl file, or a dataset.
        columns: The source's names for sentence1, sentence2 and score.
        highest_score: The source's score for "same meaning".
        rows: Read only the first ones; None for all.

    Returns:
        Columns `sentence1`, `sentence2`, and `score` scaled to 0 to 1, of equal length.

    Raises:
        ValueError: If a column is missing, a text is empty, or a score is not a number from 0 to `highest_score`.
    """
    table: dict[str, list[Any]] = {name: [] for name in PAIR_COLUMNS}
    for number, row in islice(_rows(source, columns), rows):
        for name, column in zip(PAIR_COLUMNS[:2], columns[:2], strict=True):
            table[name].append(_text(row[column], source, number, column))
        table["score"].append(_score(row[columns[2]], source, number, columns[2], highest_score) / highest_score)
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
        source: A .csv, .tsv or .jsonl file, or a dataset.
        columns: The source's names for sentence1, sentence2 and label.
        labels: 1 or 0 for each label that counts, by its text; pairs with another label are left out.
        rows: Read only the first ones that count; None for all.

    Returns:
        Columns `sentence1`, `sentence2`, and `label`, which is 1 or 0, of equal length.

    Raises:
        ValueError: If a column is missing, a text is empty, or a label that counts never occurs though all was read.
    """
    table: dict[str, list[Any]] = {name: [] for name in ("sentence1", "sentence2", "label")}
    found: set[str] = set()
    counted = ((number, row) for number, row in _rows(source, columns) if str(row[columns[2]]) in labels)
    for number, row in islice(counted, rows):
        for name, column in zip(("sentence1", "sentence2"), columns[:2], strict=True):
            table[name].append(_text(row[column], source, number, column))
        found.add(str(row[columns[2]]))
        table["label"].append(labels[str(row[columns[2]])])
    absent = sorted(set(labels) - found)
    if absent and (rows is None or len(table["label"]) < rows):
        raise ValueError(f"{source} has no row whose {columns[2]!r} is {absent[0]!r}; correct `labels`.")
    return table


def read_bitext(source: Path | HubDataset, *, columns: Sequence[str], rows: int | None = None) -> dict[str, list[str]]:
    """Read aligned sentences of two languages.

    Args:
        source: A .csv, .tsv or .jsonl file, or a dataset.
        columns: The source's names for the two sides.
        rows: Read only the first ones; None for all.

    Returns:
        Columns `sentence1` and `sentence2`, of equal length.

    Raises:
        ValueError: If a column is missing or a text is empty.
    """
    table: dict[str, list[str]] = {"sentence1": [], "sentence2": []}
    for number, row in islice(_rows(source, columns), rows):
        for name, column in zip(table, columns, strict=True):
            table[name].append(_text(row[column], source, number, column))
    return table


def read_classes(
    source: Path | HubDataset, *, columns: Sequence[str], rows: int | None = None
) -> dict[str, list[str]]:
    """Read texts, each with the class it belongs to.

    Args:
        source: A .csv, .tsv or .jsonl file, or a dataset.
        columns: The source's names for text and label.
        rows: Read only the first ones; None for all.

    Returns:
        Columns `text` and `label`, of equal length; labels that are numbers are written out.

    Raises:
        ValueError: If a column is missing, a text is empty, or a label is neither text nor a whole number.
    """
    table: dict[str, list[str]] = {"text": [], "label": []}
    for number, row in islice(_rows(source, columns), rows):
        label = row[columns[1]]
        table["text"].append(_text(row[columns[0]], source, number, columns[0]))
        table["label"].append(_text(str(label) if isinstance(label, int) else label, source, number, columns[1]))
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


def check_training_rows(
    table: Mapping[str, Sequence[Any]],
    batch_size: int,
    name: str,
    *,
    columns: Sequence[str] = (),
    highest_score: float = 1.0,
) -> None:
    """Check that a table is enough to train on.

    Args:
        table: Columns as the readers return them.
        batch_size: Rows of a batch.
        name: What the table was read from, for the message.
        columns: The source's names for its columns; none where they are those of the table.
        highest_score: What its scores were divided by.

    Raises:
        ValueError: If it has fewer rows than a batch, or, where a batch must hold no text twice, fewer texts; or all
            its scores are the same.
    """
    rows = len(next(iter(table.values())))
    if rows < batch_size:
        raise ValueError(f"{name} gave {rows:,} rows, fewer than a batch of {batch_size:,}; lower `batch_size`.")
    columns = columns or list(table)
    if "score" not in table:
        for column, texts in zip(columns, table.values(), strict=True):
            if (different := len(set(texts))) < batch_size:
                raise ValueError(
                    f"{name} gave {different:,} different texts in column {column!r}, and no batch of {batch_size:,} "
                    "rows without a text twice can be made of them; lower `batch_size`."
                )
    if "negative" in table:
        same = [
            row
            for row, pair in enumerate(zip(table["positive"], table["negative"], strict=True), 1)
            if len({*pair}) == 1
        ]
        if same:
            logger.warning(
                "%s: positive and negative are the same text in %d rows, first row %d.", name, len(same), same[0]
            )
    check_grades(table, name, column=columns[-1], highest_score=highest_score)


def check_grades(table: Mapping[str, Sequence[Any]], name: str, *, column: str, highest_score: float = 1.0) -> None:
    """Check that pairs with scores or with labels, if the table has such, differ in them.

    Args:
        table: Columns as the readers return them.
        name: What the table was read from, for the message.
        column: The source's name for the score or label.
        highest_score: What scores were divided by.

    Raises:
        ValueError: If all scores are the same, or all labels.
    """
    scores, labels = set(table.get("score", ())), set(table.get("label", ()))
    if scores and max(scores) < _LOW:
        logger.warning(
            "%s: the highest score in column %r is %g of %g; correct `highest_score` if that is not its scale.",
            name,
            column,
            max(scores) * highest_score,
            highest_score,
        )
    if len(scores) == 1:
        raise ValueError(
            f"{name}: column {column!r} is {scores.pop() * highest_score:g} in all {len(table['score']):,} rows; "
            "pairs of equal score teach and measure nothing."
        )
    if len(labels) == 1:
        raise ValueError(
            f"{name}: by `labels`, column {column!r} counts as {labels.pop()} in all {len(table['label']):,} rows; "
            "expected some of 1 and some of 0."
        )


def check_classes(
    table: Mapping[str, Sequence[str]], column: str, name: str, *, known: AbstractSet[str] | None = None
) -> None:
    """Check that there is something to tell apart.

    Args:
        table: What `read_classes` returns.
        column: The source's name for the label.
        name: What the table was read from, for the message.
        known: Of rows to measure with, the labels that can be given to them.

    Raises:
        ValueError: If all labels are the same, or none of them is known.
    """
    if known is not None and known.isdisjoint(table["label"]):
        raise ValueError(
            f"{name}: column {column!r} holds none of the labels that are trained, such as {min(known)!r}, but "
            f"{table['label'][0]!r}."
        )
    if len(set(table["label"])) == 1:
        raise ValueError(
            f"{name}: column {column!r} is {table['label'][0]!r} in all {len(table['label']):,} rows; expected two "
            "classes or more."
        )


def _rows(source: Path | HubDataset, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield rows of a table that has the columns, each with its number."""
    rows = enumerate(open_stream(source), start=1) if isinstance(source, HubDataset) else _file_rows(source)
    number = 0
    for number, row in rows:
        for column in columns:
            if column not in row:
                names = ", ".join(map(str, row))
                raise ValueError(f"{source}, row {number}: no column {column!r}; its columns are {names}.")
            if row[column] is None:
                raise ValueError(f"{source}, row {number}: column {column!r} holds nothing, expected a value.")
        yield number, row
    if number == 0:
        raise ValueError(f"{source} holds no rows; expected columns {', '.join(columns)} and at least one row.")


def _file_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield rows of a .csv, .tsv or .jsonl file as mappings, each with its number below the header."""
    readers = {".csv": _csv_rows, ".tsv": _tsv_rows, ".jsonl": _jsonl_rows}
    if path.suffix not in readers:
        raise ValueError(f"{path} ends in {path.suffix!r}; expected .csv, .tsv or .jsonl.")
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        # Spreadsheets begin a file with a mark of its encoding, which is no part of the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from readers[path.suffix](path, stream)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid UTF-8 ({error}); convert it.") from error


def _tsv_rows(path: Path, stream: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a file whose fields stand between tabs."""
    # Sentences hold lone quotation marks: a reader that honours quotes silently joins rows.
    reader = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
    return _checked_rows(path, reader, "\t", "a text cannot hold a tab.")


def _csv_rows(path: Path, stream: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a file whose fields stand between commas, in quotation marks where they hold one."""
    reader = csv.reader(stream, strict=True)
    return _checked_rows(path, reader, ",", "put texts that hold a comma in quotation marks.")


def _checked_rows(
    path: Path, reader: Iterator[list[str]], separator: str, advice: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a file, all with as many fields as its header; empty ones count and are passed over."""
    number = 0
    try:
        names = next(reader, [])
        _check_header(path, names, separator)
        for number, row in enumerate(reader, start=1):
            if not row:
                continue
            if len(row) != len(names):
                more = "more" if len(row) > len(names) else "fewer"
                raise ValueError(
                    f"{path}, row {number} has {more} fields than the header, which has {len(names)}; {advice}"
                )
            yield number, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise ValueError(
            f"{path}, row {number + 1}: {error}; a quotation mark inside a quoted text has to be doubled."
        ) from error


def _check_header(path: Path, names: Sequence[str], separator: str) -> None:
    """Raise where the names of a file's columns show that it was read in the wrong way."""
    others = ";\t|,".replace(separator, "")
    if len(names) == 1 and (other := next((mark for mark in others if mark in names[0]), None)):
        marks = "commas" if separator == "," else "tabs"
        raise ValueError(
            f"{path} has {other!r} between its columns ({names[0]!r}), expected {separator!r}; save it with {marks}."
        )
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path} has two columns {repeated[0]!r}; rename one.")


def _jsonl_rows(path: Path, stream: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the objects of a file that has one on each line."""
    for number, line in enumerate(stream, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, row {number} is not valid JSON: {error}.") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}, row {number} is {type(row).__name__}, expected an object with columns.")
        yield number, row


def _text(value: Any, source: Path | HubDataset, number: int, column: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{source}, row {number}: column {column!r} is {value!r}, expected text.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        # JSON can spell half a character, which can be neither stored nor tokenised.
        raise ValueError(
            f"{source}, row {number}: column {column!r} is {value!r}, which holds half a character; correct it."
        ) from error
    return value.strip()


def _score(value: Any, source: Path | HubDataset, number: int, column: str, highest: float) -> float:
    """Return a score between 0 and `highest`."""
    # Python would take True, `1_0` and digits of other scripts for numbers.
    is_number = not isinstance(value, bool) and (not isinstance(value, str) or (value.isascii() and "_" not in value))
    try:
        score = float(value) if is_number else math.nan
    except (TypeError, ValueError):
        score = math.nan
    if not 0 <= score <= highest:
        raise ValueError(f"{source}, row {number}: column {column!r} is {value!r}, expected 0 to {highest:g}.")
    return score
