"""What training reads: token ids and vectors of all rows, in flat files that are mapped into memory."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from hf_turkembed.distillation.vectors import shard_files, vectors_of
from hf_turkembed.distillation.window import tokenize
from hf_turkembed.json_files import read_json

_DESCRIPTION = "rows.json"


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """The rows of the split for training."""

    # Token ids of all rows, one after the other, and where each begins, `(rows + 1,)`.
    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    # By column, `(rows, width)`, of unit norm.
    vectors: dict[str, NDArray[np.float16]]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Count the tokens of each row."""
        return np.diff(self.starts)

    def tokens_of(self, row: int) -> NDArray[np.int32]:
        """Return the token ids of a row."""
        return self.ids[self.starts[row] : self.starts[row + 1]]


def write_training_rows(
    vectors: Path, tokenizer: Tokenizer, folder: Path, *, max_length: int, names: Sequence[str]
) -> None:
    """Tokenise all texts once and lay out their vectors beside them; what an earlier run finished is kept.

    Args:
        vectors: The store of teacher vectors.
        tokenizer: The student's.
        folder: Where the files go; its parent belongs to this run alone.
        max_length: Texts are cut to this many of the student's tokens.
        names: Columns of vectors.

    Raises:
        ValueError: If the store lacks a column.
    """
    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    lengths: list[int] = []
    widths: dict[str, int] = {}
    with (partial / "ids").open("wb") as stream:
        for file in shard_files(vectors):
            table = pq.read_table(file)
            if missing := [name for name in names if name not in table.column_names]:
                raise ValueError(f"{file} has no {missing}; its columns are {', '.join(table.column_names)}.")
            for row in tokenize(tokenizer, table.column("text").to_pylist()):
                lengths.append(len(row))
                stream.write(row.tobytes())
            for name in names:
                values = vectors_of(table, name)
                widths[name] = values.shape[1]
                with (partial / name).open("ab") as column:
                    column.write(values.tobytes())
    np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64).tofile(partial / "starts")
    (partial / _DESCRIPTION).write_text(json.dumps({"rows": len(lengths), "widths": widths}), encoding="utf-8")
    os.replace(partial, folder)


def open_training_rows(folder: Path) -> TrainingRows:
    """Map what `write_training_rows` wrote into memory.

    Raises:
        ValueError: If a file of it was cut short.
    """
    described: dict[str, Any] = read_json(folder / _DESCRIPTION)
    rows, starts = described["rows"], np.fromfile(folder / "starts", dtype=np.int64)
    sizes = {"ids": 4 * int(starts[-1]) if len(starts) == rows + 1 else -1}
    sizes |= {name: 2 * rows * width for name, width in described["widths"].items()}
    if wrong := [name for name, size in sizes.items() if (folder / name).stat().st_size != size]:
        raise ValueError(
            f"{folder / wrong[0]} is not as it was written; remove {folder}, and the texts are tokenised again."
        )
    return TrainingRows(
        ids=np.memmap(folder / "ids", dtype=np.int32, mode="r"),
        starts=starts,
        vectors={
            name: np.memmap(folder / name, dtype=np.float16, mode="r", shape=(rows, width))
            for name, width in described["widths"].items()
        },
    )


def locate_rows(vectors: Path, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Say where rows for training stand in the store: shard, row within it, and text."""
    wanted, found, first = set(rows), [], 0
    for file in shard_files(vectors):
        count = pq.read_metadata(file).num_rows
        if own := sorted(row for row in wanted if first <= row < first + count):
            texts = pq.read_table(file, columns=["text"]).column("text")
            shard = file.relative_to(vectors).as_posix()
            found += [{"shard": shard, "row": row - first, "text": texts[row - first].as_py()} for row in own]
        first += count
    return found
