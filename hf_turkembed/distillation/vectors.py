"""Teacher vectors on disk: numbered Parquet shards, one folder a language."""

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hf_turkembed.corpus import Shard, count_splits, list_shards
from hf_turkembed.distillation.batching import MOST_PADDING, padding_share
from hf_turkembed.json_files import read_json
from hf_turkembed.record import digest_file

# float16 keeps about three digits; a stored unit vector is off by less than this.
_NORM_TOLERANCE = 2e-3
_VECTORS = ("embedding", "pre_dense")
_CHECKSUMS = "checksums"
# What a finished store has no need of: its record then holds a digest of each shard.
SCRATCH = (_CHECKSUMS,)


def write_shard(folder: Path, shard: Shard, table: pa.Table) -> None:
    """Write a shard, then its checksum, each through a temporary name; a shard counts once it has both.

    Args:
        folder: The store.
        shard: The shard.
        table: What `make_table` made of it.
    """
    stream = io.BytesIO()
    pq.write_table(table, stream, write_page_checksum=True)
    content = stream.getvalue()
    _write(folder, shard.path(folder), content)
    _write(folder, _checksum_path(folder, shard), _checksum(shard, content))


def make_table(
    shard: Shard,
    texts: Sequence[str],
    teacher_texts: Sequence[str | None] | None,
    tokens: Sequence[int],
    vectors: Mapping[str, NDArray[np.float32]],
) -> pa.Table:
    """Lay out the rows of a shard.

    Args:
        shard: The shard.
        texts: Its texts, cut to the teacher's window.
        teacher_texts: Of a corpus with parallel text, what the teacher embedded in place of each, or none.
        tokens: Tokens of what the teacher embedded, special ones included.
        vectors: `embedding`, and `pre_dense` where it is kept, `(rows, width)` of unit L2 norm; stored as float16.

    Raises:
        ValueError: If a vector is not finite or not of unit norm; the message names its text.
    """
    for name, values in vectors.items():
        norms = np.linalg.norm(values.astype(np.float64), axis=1)
        if (bad := np.flatnonzero(~(np.abs(norms - 1) < _NORM_TOLERANCE))).size:
            raise ValueError(
                f"the teacher gave a vector `{name}` of norm {norms[bad[0]]} for {texts[bad[0]]!r}, expected 1; "
                "nothing was written. Gemma's activations overflow in float16: use float32 or bfloat16."
            )
    columns = {
        "text": pa.array(texts, pa.string()),
        "language": pa.array([shard.language] * len(texts), pa.string()),
        "tokens": pa.array(tokens, pa.int32()),
    }
    if teacher_texts is not None:
        columns["teacher_text"] = pa.array(teacher_texts, pa.string())
    for name, values in vectors.items():
        flat = pa.array(values.astype(np.float16).ravel())
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.table(columns)


def is_whole_shard(folder: Path, shard: Shard) -> bool:
    """Tell whether a shard is there, of the same rows and as it was written; vectors are checked when it is made.

    Args:
        folder: The store.
        shard: The shard.
    """
    try:
        return _checksum_path(folder, shard).read_bytes() == _checksum(shard, shard.path(folder).read_bytes())
    except FileNotFoundError:
        return False


def restore_checksum(folder: Path, shard: Shard, digest: str) -> None:
    """Write the checksum of a shard of a store that was finished once, if it still is what its record says.

    Args:
        folder: The store, unfinished again.
        shard: The shard.
        digest: SHA-256 of its file in the record.
    """
    path = shard.path(folder)
    if path.is_file() and digest_file(path) == digest:
        _write(folder, _checksum_path(folder, shard), _checksum(shard, path.read_bytes()))


def check_checksums(folder: Path) -> None:
    """Check that every shard of a store that is about to be finished still is as it was written.

    Raises:
        ValueError: If one is not; it is made again by the next run.
    """
    for name in list_shards(folder):
        expected = read_json((folder / _CHECKSUMS / name).with_suffix(".json"))["sha256"]
        if digest_file(folder / name) != expected:
            raise ValueError(f"{folder / name} is not as it was written; run the step again, which makes it anew.")


def vectors_of(table: pa.Table, name: str = "embedding") -> NDArray[np.float16]:
    """Return a column of vectors as `(rows, width)`."""
    column = table.column(name).combine_chunks()
    return np.asarray(column.flatten()).reshape(len(column), -1)


def count_rows(folder: Path, batch_tokens: int) -> dict[str, Any]:
    """Count rows by language, and these by split, shards, teacher tokens, and the widths of the vectors.

    Args:
        folder: The store.
        batch_tokens: Tokens of a forward pass, from which the share of padding follows.

    Raises:
        FileNotFoundError: If the folder holds no shard.
    """
    splits = count_splits(folder)
    languages: Counter[str] = Counter()
    for rows in splits.values():
        languages.update(rows)
    files = [file for split in splits for file in shard_files(folder, split)]
    tokens, padded = 0, 0.0
    for file in files:
        lengths = np.asarray(pq.read_table(file, columns=["tokens"]).column("tokens"))
        tokens += int(lengths.sum())
        padded += int(lengths.sum()) / (1 - padding_share(lengths, batch_tokens, most_padding=MOST_PADDING))
    schema = pq.read_schema(files[0])
    widths = {name: schema.field(name).type.list_size for name in _VECTORS if name in schema.names}
    return {
        "rows": sum(languages.values()),
        "shards": len(files),
        "tokens": tokens,
        "padding_share": round(1 - tokens / padded, 4),
        "embedding_dim": widths["embedding"],
        "pre_dense_dim": widths.get("pre_dense"),
        "columns": schema.names,
        "splits": splits,
        "languages": dict(sorted(languages.items())),
    }


def shard_files(folder: Path, split: str = "train") -> list[Path]:
    """List the shards of a split in order.

    Raises:
        FileNotFoundError: If the split is that for training and there is none.
    """
    files = sorted((folder / "data").glob(f"*/{split}-*.parquet"))
    if not files and split == "train":
        raise FileNotFoundError(f"{folder} holds no data/<language>/train-*.parquet; run the `embed` step first.")
    return files


def _checksum_path(folder: Path, shard: Shard) -> Path:
    """Return where the checksum of a shard is kept."""
    return folder / _CHECKSUMS / shard.path(Path()).with_suffix(".json")


def _checksum(shard: Shard, content: bytes) -> bytes:
    """Describe a shard's file and the rows it was made of, before they were cut to any window."""
    rows = hashlib.sha256(json.dumps(shard.rows).encode()).hexdigest()
    return json.dumps({"sha256": hashlib.sha256(content).hexdigest(), "rows": rows}).encode()


def _write(folder: Path, path: Path, content: bytes) -> None:
    """Write a file through a temporary name, and to the disk; what a killed process leaves goes with the checksums."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes of several machines may share a number.
    temporary = folder / _CHECKSUMS / f"{uuid4().hex}.tmp"
    temporary.parent.mkdir(exist_ok=True)
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
