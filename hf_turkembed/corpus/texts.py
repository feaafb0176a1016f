"""Plain text in many languages: what is read, what is left out, and what is said of it."""

import heapq
import json
import logging
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from hf_turkembed.corpus.hub_dataset import HubDataset, open_stream

logger = logging.getLogger(__name__)

# Rows of a streamed dataset among which the order is random.
_SHUFFLE_BUFFER = 10_000
# Rows of local files among which it is.
_SHUFFLED_ROWS = 100_000
# From so many files on, those that are drawn first are typical enough.
_MANY_FILES = 64
# Texts whose digests are held at once, some 100 MB of them.
_MOST_DIGESTS = 1_000_000
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True)
class TextColumn:
    """One column of a .tsv or .jsonl file."""

    file: Path
    # Name, or the number from 1 where a .tsv file has no header line.
    column: str
    # The column whose text a teacher embeds in place of it, such as its translation.
    teacher_column: str | None = None


class TextRow(NamedTuple):
    """A text, and the text of the same meaning that a teacher embeds in place of it, if there is one."""

    text: str
    teacher_text: str | None = None


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Where the plain text of one language comes from, and how much of it is read."""

    language: str
    # UTF-8 files of one text a line, cut by `skip_last` or `only_last`.
    files: tuple[Path, ...] = ()
    # The same, read whole.
    whole_files: tuple[Path, ...] = ()
    columns: tuple[TextColumn, ...] = ()
    dataset: HubDataset | None = None
    text_column: str = "text"
    teacher_column: str | None = None
    # Rows of the shuffled dataset that are passed over first.
    skip_rows: int = 0
    # Most texts in all; None for every one.
    rows: int | None = None
    # Lines at the end of every one of `files` that are left out, or the only ones that are read.
    skip_last: int = 0
    only_last: int | None = None


def find_text_files(folder: Path, language: str) -> tuple[Path, ...]:
    """List the files of one language in a folder: `xx.txt`, then `xx/*.txt` in order of name."""
    single = folder / f"{language}.txt"
    return (*([single] if single.is_file() else []), *sorted((folder / language).glob("*.txt")))


def read_texts(
    source: TextSource,
    *,
    seed: int,
    held_out: AbstractSet[str] = frozenset(),
    left_out: Counter[str] | None = None,
) -> Iterator[str]:
    """Yield the distinct texts of one language; see `read_rows`."""
    return (row.text for row in read_rows(source, seed=seed, held_out=held_out, left_out=left_out))


def sample_rows(
    source: TextSource, *, seed: int, held_out_rows: int = 0, left_out: Counter[str] | None = None
) -> Iterator[TextRow]:
    """Yield the rows of one language that `rows` allows, from anywhere in local files, whose first are rarely typical.

    In memory are as many rows as are asked for. A dataset is streamed in its shuffled order, since to read all of it
    for a few would take too long. Without `rows` everything comes, those to hold out first and the others shuffled,
    each among the `_SHUFFLED_ROWS` around it.

    Args:
        source: What to read.
        seed: Chooses the rows and their order.
        held_out_rows: How many of the first rows will be kept from training.
        left_out: As for `read_rows`.
    """
    if source.dataset is not None:
        return read_rows(source, seed=seed, left_out=left_out)
    key = seed.to_bytes(16, "little", signed=True)

    def place(row: TextRow) -> bytes:
        return blake2b(row.text.encode("utf-8"), key=key).digest()

    if source.rows is not None:
        everything = read_rows(replace(source, rows=None), seed=seed, left_out=left_out)
        return iter(heapq.nsmallest(source.rows, everything, key=place))
    first = heapq.nsmallest(held_out_rows, read_rows(source, seed=seed), key=place)
    texts = {row.text for row in first}
    others = (row for row in read_rows(source, seed=seed, left_out=left_out) if row.text not in texts)
    return chain(first, _shuffle(others, random.Random(seed)))


def _shuffle(rows: Iterable[TextRow], generator: random.Random) -> Iterator[TextRow]:
    """Yield rows in a random order, with no more than `_SHUFFLED_ROWS` of them in memory."""
    held: list[TextRow] = []
    for row in rows:
        if len(held) < _SHUFFLED_ROWS:
            held.append(row)
            continue
        place = generator.randrange(len(held))
        yield held[place]
        held[place] = row
    generator.shuffle(held)
    yield from held


def read_rows(
    source: TextSource,
    *,
    seed: int,
    held_out: AbstractSet[str] = frozenset(),
    left_out: Counter[str] | None = None,
) -> Iterator[TextRow]:
    """Yield the rows with distinct texts, in files' order, then columns', then the dataset's shuffled order.

    Lines that are empty, not valid UTF-8 or hold NUL are left out, and so are rows of a table without text. Of the
    last million texts a digest stays in memory; a repeat from further back is not noticed.

    Args:
        source: What to read.
        seed: Shuffles a streamed dataset, whose first rows are rarely typical.
        held_out: Texts to leave out, as `strip_text` gives them.
        left_out: Is added to as texts are read: how many were left out, by reason.

    Raises:
        ValueError: If a table or the dataset lacks the column.
    """
    left_out = Counter() if left_out is None else left_out
    seen: set[bytes] = set()
    number = 0
    for row in _rows(source, seed, left_out):
        text = row.text
        try:
            digest = blake2b(text.encode("utf-8"), digest_size=16).digest()
        except UnicodeEncodeError:
            left_out["texts with half a character"] += 1
            continue
        if "\x00" in text:
            left_out["texts with NUL characters"] += 1
        elif digest in seen:
            left_out["repeated texts"] += 1
        elif held_out and strip_text(text) in held_out:
            left_out["texts that are held out"] += 1
        else:
            if len(seen) == _MOST_DIGESTS:
                seen.clear()
            seen.add(digest)
            yield row
            number += 1
            if number == source.rows:
                return


def strip_text(text: str) -> str:
    """Reduce a text to its letters and digits in small letters, by which near copies are found."""
    return _NO_LETTERS.sub("", text.lower())


def check_text_sources(sources: Sequence[TextSource]) -> None:
    """Check, before any work, that there are files of every language and that some of them hold text.

    A language whose local files hold none is warned of; a dataset is not opened.

    Raises:
        ValueError: If a language has neither files nor a dataset, a table without usable text lacks the column, or no
            language has a usable line.
    """
    empty: list[TextSource] = []
    for source in sources:
        if not (source.files or source.whole_files or source.columns or source.dataset):
            raise ValueError(
                f"language `{source.language}` has no text: expected {source.language}.txt or {source.language}/*.txt "
                "in one of the corpus folders; add one, or take the language out of `languages`."
            )
        if source.dataset is None and next(read_texts(source, seed=0), None) is None:
            empty.append(source)
    for source in empty:
        logger.warning("no usable text of %s", _complain(source))
    if len(empty) == len(sources):
        raise ValueError("no language has usable text: " + "; ".join(map(_complain, empty)))


def _complain(source: TextSource) -> str:
    """Say what was expected of the files of a language without text."""
    files = [*source.files, *source.whole_files, *(column.file for column in source.columns)]
    names = ", ".join(map(str, files))
    return f"`{source.language}`: {names} holds only empty lines or invalid UTF-8; expected one text a line in UTF-8"


def _rows(source: TextSource, seed: int, left_out: Counter[str]) -> Iterator[TextRow]:
    """Yield all usable rows of a source, repeats included."""
    lines = [_cut_lines(file, source.skip_last, source.only_last) for file in source.files]
    for raw in [*lines, *map(_lines, source.whole_files)]:
        for line in _decode(raw, left_out):
            if text := line.strip():
                yield TextRow(text)
            else:
                left_out["empty lines"] += 1
    cells = [_cells(column, left_out) for column in source.columns]
    if source.dataset is not None:
        cells.append(_stream_cells(source.dataset, _columns(source.text_column, source.teacher_column), source, seed))
    for rows in cells:
        for row in rows:
            texts = [cell.strip() for cell in row if isinstance(cell, str)]
            if len(texts) == len(row) and all(texts):
                yield TextRow(*texts)
            else:
                left_out["rows without text in the column"] += 1


def _lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file."""
    with file.open("rb") as stream:
        yield from stream


def _cut_lines(file: Path, skip_last: int, only_last: int | None) -> Iterator[bytes]:
    """Yield the lines of a file, all of them or cut at a count from the end."""
    first, last = 0, None
    if skip_last or only_last is not None:
        total = sum(1 for _ in _lines(file))
        first = 0 if only_last is None else max(0, total - only_last)
        last = max(0, total - skip_last)
    yield from islice(_lines(file), first, last)


def _decode(lines: Iterable[bytes], left_out: Counter[str]) -> Iterator[str]:
    """Yield the lines that are valid UTF-8, without byte order mark and line break."""
    for line in lines:
        try:
            yield line.decode("utf-8").lstrip("\ufeff").rstrip("\r\n")
        except UnicodeDecodeError:
            left_out["lines of invalid UTF-8"] += 1


def _columns(column: str, teacher_column: str | None) -> list[str]:
    """List the columns of a row's texts, as the fields of `TextRow`."""
    return [column] if teacher_column is None else [column, teacher_column]


def _cells(column: TextColumn, left_out: Counter[str]) -> Iterator[list[Any]]:
    """Yield what stands in a row's columns, None where a row lacks one."""
    lines = _decode(_lines(column.file), left_out)
    names = _columns(column.column, column.teacher_column)
    if column.file.suffix == ".jsonl":
        yield from _pick(_objects(lines, left_out), names, column.file)
        return
    if all(name.isdigit() for name in names):
        yield from _pick(map(_number_cells, lines), names, column.file)
        return
    header = _header(column.file)
    if header is None:
        return
    next(lines)
    for name in names:
        if name not in header:
            raise ValueError(f"{column.file} has no column {name!r}; its columns are {', '.join(header)}.")
    indexes = [header.index(name) for name in names]
    for cells in (line.split("\t") for line in lines):
        yield [cells[index] if index < len(cells) else None for index in indexes]


def _number_cells(line: str) -> dict[str, Any]:
    """Name the cells of a line by their numbers; a blank line has none."""
    return {str(number): cell for number, cell in enumerate(line.split("\t"), 1)} if line.strip() else {}


def _pick(rows: Iterable[dict[str, Any]], names: Sequence[str], file: Path) -> Iterator[list[Any]]:
    """Yield what stands in a row's columns where no header names them: one that no row has shows only at the end."""
    first: dict[str, Any] = {}
    lacking = names
    for row in rows:
        first = first or row
        lacking = [name for name in lacking if name not in row]
        yield [row.get(name) for name in names]
    if first and lacking:
        raise ValueError(f"{file} has no column {lacking[0]!r} in any row; those of the first are {', '.join(first)}.")


def _header(file: Path) -> list[str] | None:
    """Read the names of a table's columns; None where the file is empty."""
    line = next(_lines(file), None)
    if line is None:
        return None
    try:
        return line.decode("utf-8").lstrip("\ufeff").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: the header line is not valid UTF-8 ({error}); convert the file.") from error


def _objects(lines: Iterable[str], left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yield the lines that are JSON objects."""
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            # Not only a syntax error: numbers of thousands of digits and thousands of brackets are refused as well.
            row = None
        if isinstance(row, dict):
            yield row
        else:
            left_out["lines that are no JSON object"] += 1


def _stream_cells(dataset: HubDataset, columns: list[str], source: TextSource, seed: int) -> Iterator[list[Any]]:
    """Yield what stands in the columns of a dataset, in a shuffled order."""
    try:
        stream = open_stream(dataset)
        if stream.num_shards < _MANY_FILES:
            # Shuffling draws files at random, but mixes neighbours alone within each; groups of rows stand in for few
            # files. Each is opened anew, and all files beforehand.
            stream = stream.reshard()
        rows = iter(stream.shuffle(seed=seed, buffer_size=_SHUFFLE_BUFFER).skip(source.skip_rows))
        first = next(rows)
    except StopIteration:
        # An empty file has neither rows nor columns.
        return
    for row in chain([first], rows):
        for column in columns:
            if column not in row:
                raise ValueError(f"{dataset} has no column {column!r}; its columns are {', '.join(row)}.")
        yield [row[column] for column in columns]
