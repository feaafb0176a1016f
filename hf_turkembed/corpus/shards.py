"""A set of texts on disk: numbered Parquet files, one folder a language, the rows of each split apart."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from hf_turkembed.corpus.texts import TextRow, TextSource, sample_rows
from hf_turkembed.json_files import read_json, write_json

Split = Literal["validation", "test", "train"]

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
# In an unfinished folder: for each language that is written, how many texts were left out, by reason.
_WRITTEN = "written"
# What a finished one has no need of.
SCRATCH = (_WRITTEN,)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Some rows of one language, before they have vectors."""

    language: str
    split: Split
    index: int
    rows: tuple[TextRow, ...]

    def path(self, folder: Path) -> Path:
        """Return where it is stored, in the layout that `datasets` reads as one config per language."""
        return folder / "data" / self.language / f"{self.split}-{self.index:05d}.parquet"


def plan_shards(
    rows: Mapping[str, Iterable[TextRow]], shard_rows: int, *, validation_rows: int = 0, test_rows: int = 0
) -> Iterator[Shard]:
    """Cut each language's rows into shards.

    Args:
        rows: Rows by language, each streamed once.
        shard_rows: Rows of a shard; the last of a split may have fewer.
        validation_rows: First rows of each language that are kept from training.
        test_rows: The rows after them, which are kept from training as well.

    Yields:
        The shards, in a fixed order.
    """
    for language, stream in rows.items():
        left: dict[Split, int | None] = {"validation": validation_rows, "test": test_rows, "train": None}
        iterator = iter(stream)
        for split, number in left.items():
            index = 0
            while part := tuple(islice(iterator, shard_rows if number is None else min(shard_rows, number))):
                yield Shard(language=language, split=split, index=index, rows=part)
                index += 1
                number = None if number is None else number - len(part)


def list_shards(folder: Path) -> tuple[str, ...]:
    """List all shards, relative to the store."""
    return tuple(sorted(file.relative_to(folder).as_posix() for file in (folder / "data").glob("*/*.parquet")))


def count_splits(folder: Path) -> dict[Split, dict[str, int]]:
    """Count the rows of each split by language; a split without rows is left out.

    Raises:
        FileNotFoundError: If the folder holds no rows for training.
    """
    splits: dict[Split, dict[str, int]] = {}
    for split in _SPLITS:
        for file in sorted((folder / "data").glob(f"*/{split}-*.parquet")):
            own = splits.setdefault(split, {})
            own[file.parent.name] = own.get(file.parent.name, 0) + pq.read_metadata(file).num_rows
    if splits and "train" not in splits:
        raise FileNotFoundError(
            f"{folder} holds rows for {' and '.join(splits)}, but none for training; lower `validation_rows` and "
            "`test_rows`, or add text."
        )
    if not splits:
        raise FileNotFoundError(
            f"{folder} holds no data/<language>/train-*.parquet; run the `corpus` or the `embed` step first."
        )
    return splits


def write_texts(folder: Path, shards: Iterable[Shard], *, parallel: bool = False) -> None:
    """Write the rows of shards as they are, one file each.

    Args:
        folder: Where the files go.
        shards: What `plan_shards` gives.
        parallel: Whether rows may have a text that a teacher embeds in place of theirs, which gets a column.
    """
    for shard in shards:
        columns = {"text": pa.array([row.text for row in shard.rows], pa.string())}
        columns["language"] = pa.array([shard.language] * len(shard.rows), pa.string())
        if parallel:
            columns["teacher_text"] = pa.array([row.teacher_text for row in shard.rows], pa.string())
        path = shard.path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path, write_page_checksum=True)


def write_sources(
    folder: Path,
    sources: Iterable[TextSource],
    shard_rows: int,
    *,
    seed: int,
    validation_rows: int = 0,
    test_rows: int = 0,
    parallel: bool = False,
) -> dict[str, dict[str, int]]:
    """Read and write the rows of every language that the folder does not hold whole; one that was cut off begins anew.

    Args:
        folder: Where the files go; a run that was killed left its own there.
        sources: One for each language.
        shard_rows: As for `plan_shards`.
        seed: As for `sample_rows`.
        validation_rows: As for `plan_shards`.
        test_rows: As for `plan_shards`.
        parallel: As for `write_texts`.

    Returns:
        How many texts were left out, by language and reason; languages without any are not named.

    Raises:
        FileNotFoundError: If no row is left for training.
        ValueError: As for `read_rows`.
    """
    all_left_out = {}
    for source in tqdm(sources, desc="corpus", unit="language", disable=None):
        written = folder / _WRITTEN / f"{source.language}.json"
        if not written.is_file():
            shutil.rmtree(folder / "data" / source.language, ignore_errors=True)
            left_out: Counter[str] = Counter()
            held_out = validation_rows + test_rows
            rows = {source.language: sample_rows(source, seed=seed, held_out_rows=held_out, left_out=left_out)}
            shards = plan_shards(rows, shard_rows, validation_rows=validation_rows, test_rows=test_rows)
            write_texts(folder, shards, parallel=parallel)
            written.parent.mkdir(exist_ok=True)
            write_json(written, left_out)
        all_left_out[source.language] = read_json(written)
    try:
        count_splits(folder)
    except FileNotFoundError as error:
        empty = not list_shards(folder)
        # Another recipe is needed, which could not go on from this.
        for name in (_WRITTEN, "data"):
            shutil.rmtree(folder / name, ignore_errors=True)
        if empty:
            listed = ", ".join(all_left_out)
            raise FileNotFoundError(
                f"no language gave any text to keep ({listed}); lower `skip_rows`, or correct where text is read from."
            ) from error
        raise
    return {language: found for language, found in all_left_out.items() if found}


def read_shards(folder: Path, shard_rows: int) -> Iterator[Shard]:
    """Cut written texts into shards of another size, within their splits.

    Args:
        folder: What `write_texts` wrote.
        shard_rows: Rows of a shard; the last of a split may have fewer.

    Yields:
        The shards, in the order of languages and splits by name.

    Raises:
        FileNotFoundError: If the folder holds no texts.
    """
    for split, languages in count_splits(folder).items():
        for language in languages:
            rows = _read_rows(sorted((folder / "data" / language).glob(f"{split}-*.parquet")))
            index = 0
            while part := tuple(islice(rows, shard_rows)):
                yield Shard(language=language, split=split, index=index, rows=part)
                index += 1


def is_parallel(folder: Path) -> bool:
    """Tell whether written texts have a column of what a teacher embeds in their place.

    Raises:
        FileNotFoundError: If the folder holds no texts.
    """
    count_splits(folder)
    return "teacher_text" in pq.read_schema(folder / list_shards(folder)[0]).names


def count_texts(folder: Path) -> dict[str, Any]:
    """Count the rows of written texts, by language, and these by split; their characters and their files.

    Raises:
        FileNotFoundError: If the folder holds no texts.
    """
    splits = count_splits(folder)
    names = sorted({language for rows in splits.values() for language in rows})
    languages = {name: sum(rows.get(name, 0) for rows in splits.values()) for name in names}
    files = list_shards(folder)
    return {
        "rows": sum(languages.values()),
        "characters": sum(len(row.text) for name in files for row in _read_rows([folder / name])),
        "files": len(files),
        "columns": pq.read_schema(folder / files[0]).names,
        "splits": splits,
        "languages": languages,
    }


def _read_rows(files: Iterable[Path]) -> Iterator[TextRow]:
    """Yield the rows of files, some at a time."""
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=1000):
                names = [name for name in ("text", "teacher_text") if name in batch.schema.names]
                yield from map(TextRow, *(batch.column(name).to_pylist() for name in names))
