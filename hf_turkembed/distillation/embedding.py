"""Fills the store of teacher vectors, shard by shard, on any number of processes."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from hf_turkembed.corpus import Shard, list_shards
from hf_turkembed.distillation.batched_encoder import BatchedEncoder
from hf_turkembed.distillation.vectors import (
    is_whole_shard,
    make_table,
    restore_checksum,
    shard_files,
    vectors_of,
    write_shard,
)

logger = logging.getLogger(__name__)

# A stored vector and the same one computed again in another batch differ by rounding, most of it bfloat16's.
_LEAST_COSINE = 0.995


def embed_corpus(
    teacher: BatchedEncoder,
    shards: Iterable[Shard],
    folder: Path,
    *,
    parallel: bool = False,
    recorded: Mapping[str, str] | None = None,
    rank: int = 0,
    num_processes: int = 1,
) -> None:
    """Write this process's share of the shards; those that are whole already stay, others than planned are removed.

    Every process walks the same shards in the same order and takes each `num_processes`-th shard, so that no two
    write the same one and any of them can redo it. A shard's batches do not depend on the number of processes.

    Args:
        teacher: Gives the vectors.
        shards: The rows, cut into shards, which are streamed once.
        folder: Where the shards go.
        parallel: Whether rows may have a text that the teacher embeds in place of theirs, which is stored beside it.
        recorded: Of a store that was finished once, the SHA-256 of its files; shards that still have it are whole.
        rank: Number of this process, from 0.
        num_processes: Size of the process group.

    Raises:
        ValueError: If the teacher gives a vector that is zero or not finite.
    """
    planned = set()
    for number, shard in tqdm(enumerate(shards), desc="embed", unit="shard", disable=None if rank == 0 else True):
        planned.add(shard.path(Path()).as_posix())
        if number % num_processes != rank:
            continue
        if recorded and (digest := recorded.get(shard.path(Path()).as_posix())) is not None:
            restore_checksum(folder, shard, digest)
        if is_whole_shard(folder, shard):
            continue
        if shard.path(folder).exists():
            logger.warning("embed: %s is not as it was written; it is made again", shard.path(folder))
        write_shard(folder, shard, _embed_shard(teacher, shard, parallel))
    for name in set(list_shards(folder)) - planned if rank == 0 else ():
        logger.warning("embed: %s is none of the shards of this corpus; it is removed", folder / name)
        (folder / name).unlink()


def check_vectors(teacher: BatchedEncoder, folder: Path, *, rows: int, seed: int) -> dict[str, float]:
    """Embed random rows for training once more, and compare.

    Args:
        teacher: The teacher, with the settings that the store was filled with.
        folder: The store.
        rows: How many rows.
        seed: Chooses them.

    Returns:
        The number of rows, and the lowest and the mean cosine between stored and new vectors.

    Raises:
        ValueError: If a vector is not the teacher's.
    """
    generator = np.random.default_rng(seed)
    files = shard_files(folder)
    counts = np.array([pq.read_metadata(file).num_rows for file in files])
    chosen = np.sort(generator.choice(counts.sum(), size=min(rows, int(counts.sum())), replace=False))
    texts, stored, first = [], [], 0
    for file, count in zip(files, counts.tolist(), strict=True):
        places = chosen[(chosen >= first) & (chosen < first + count)] - first
        first += count
        if len(places):
            table = pq.read_table(file).take(places)
            own = table.column("text").to_pylist()
            other = table.column("teacher_text").to_pylist() if "teacher_text" in table.column_names else own
            texts += [text if replaced is None else replaced for text, replaced in zip(own, other, strict=True)]
            stored.append(vectors_of(table).astype(np.float32))
    again = teacher.embed(texts).vectors["embedding"]
    before = np.concatenate(stored)
    cosines = (before * again).sum(axis=1) / np.linalg.norm(before, axis=1)
    worst = int(cosines.argmin())
    if not cosines[worst] >= _LEAST_COSINE:
        raise ValueError(
            f"{folder}: the stored vector of {texts[worst]!r} has a cosine of {cosines[worst]:.4f} with the "
            "teacher's; remove the folder and run the step again."
        )
    return {"rows": len(texts), "lowest_cosine": float(cosines[worst]), "mean_cosine": float(cosines.mean())}


def _embed_shard(teacher: BatchedEncoder, shard: Shard, parallel: bool) -> pa.Table:
    """Embed the rows of a shard."""
    read = [row.text if row.teacher_text is None else row.teacher_text for row in shard.rows]
    embedded = teacher.embed(read)
    if not parallel:
        return make_table(shard, embedded.texts, None, embedded.tokens, embedded.vectors)
    texts = teacher.cut([row.text for row in shard.rows])
    pairs = zip(shard.rows, embedded.texts, strict=True)
    replaced = [None if row.teacher_text is None else text for row, text in pairs]
    return make_table(shard, texts, replaced, embedded.tokens, embedded.vectors)
