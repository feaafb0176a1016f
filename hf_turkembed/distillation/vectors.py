"""Teacher vectors on disk: numbered Parquet shards, one folder a language."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

# float16 keeps about three digits; a stored unit vector is off by less than this.
_NORM_TOLERANCE = 2e-3


def shard_path(folder: Path, language: str, index: int) -> Path:
    """Return the path of a shard, in the layout that `datasets` reads as one config per language."""
    return folder / "data" / language / f"train-{index:05d}.parquet"


def plan_shards(texts: Mapping[str, Iterable[str]], shard_rows: int) -> Iterator[tuple[str, int, list[str]]]:
    """Cut each language's texts into shards of `shard_rows`, yielding (language, index, texts)."""
    for language, stream in texts.items():
        index, rows = 0, []
        for text in stream:
            rows.append(text)
            if len(rows) == shard_rows:
                yield language, index, rows
                index, rows = index + 1, []
        if rows:
            yield language, index, rows


def write_shard(path: Path, language: str, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Write one shard through a temporary name, so that a shard that exists is whole.

    Args:
        path: Where the shard goes.
        language: ISO 639 code, the same for all rows.
        texts: The texts.
        vectors: `(len(texts), embedding_dim)`, rows of unit L2 norm; stored as float16.

    Raises:
        ValueError: If a vector is not finite or not of unit norm; the message names its text.
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1) < _NORM_TOLERANCE))
    if bad.size:
        raise ValueError(
            f"the teacher gave a vector of norm {norms[bad[0]]} for {texts[bad[0]]!r}, expected 1; nothing was "
            "written. Gemma's activations overflow in float16: use float32 or bfloat16."
        )
    flat = pa.array(vectors.astype(np.float16).ravel())
    table = pa.table(
        {
            "text": pa.array(texts, pa.string()),
            "language": pa.array([language] * len(texts), pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    pq.write_table(table, temporary)
    os.replace(temporary, path)


def is_whole_shard(path: Path, texts: Sequence[str]) -> bool:
    """Tell whether a shard exists, reads, holds these texts, and its vectors are finite and of unit norm."""
    if not path.is_file():
        return False
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        return False
    if table.column("text").to_pylist() != list(texts):
        return False
    norms = np.linalg.norm(embeddings_of(table).astype(np.float32), axis=1)
    return bool((np.abs(norms - 1) < _NORM_TOLERANCE).all())


def embeddings_of(table: pa.Table) -> NDArray[np.float16]:
    """Return the `embedding` column as `(rows, embedding_dim)`."""
    column = table.column("embedding").combine_chunks()
    return np.asarray(column.flatten()).reshape(len(column), -1)


def count_rows(folder: Path) -> dict[str, Any]:
    """Count rows by language, shards, and the vectors' width, from the shards' footers.

    Raises:
        FileNotFoundError: If the folder holds no shard.
    """
    files = shard_files(folder)
    rows: dict[str, int] = {}
    for file in files:
        rows[file.parent.name] = rows.get(file.parent.name, 0) + pq.read_metadata(file).num_rows
    width = pq.read_schema(files[0]).field("embedding").type.list_size
    return {"rows": sum(rows.values()), "shards": len(files), "embedding_dim": width, "languages": rows}


def shard_files(folder: Path) -> list[Path]:
    """List the shards in order.

    Raises:
        FileNotFoundError: If there is none.
    """
    files = sorted((folder / "data").glob("*/train-*.parquet"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no data/<language>/train-*.parquet; run the `embed` step first.")
    return files
