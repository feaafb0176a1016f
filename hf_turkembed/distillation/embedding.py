"""Fills the store of teacher vectors, shard by shard, on any number of processes."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from hf_turkembed.distillation.vectors import is_whole_shard, plan_shards, shard_path, write_shard

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)


def embed_corpus(
    teacher: "SentenceTransformer",
    texts: Mapping[str, Iterable[str]],
    folder: Path,
    *,
    shard_rows: int,
    batch_size: int,
    prompt: str | None,
    rank: int,
    num_processes: int,
) -> None:
    """Write this process's share of the shards; shards that are already whole are left as they are.

    Every process walks the same texts in the same order and takes each `num_processes`-th shard, so that no two
    write the same one and any of them can redo it. A shard's batches do not depend on the number of processes.

    Args:
        teacher: Gives vectors, `(texts, embedding_dim)`, of any norm; they are stored with unit norm.
        texts: Texts by language, each streamed once.
        folder: Where the shards go.
        shard_rows: Rows of one shard.
        batch_size: Texts of one forward pass.
        prompt: Name of one of the teacher's prompts, or none.
        rank: Number of this process, from 0.
        num_processes: Size of the process group.

    Raises:
        ValueError: If the teacher has no prompt of that name, or gives a vector that is zero or not finite.
    """
    if prompt is not None and prompt not in teacher.prompts:
        raise ValueError(f"the teacher has no prompt {prompt!r}; it has {', '.join(teacher.prompts) or 'none'}.")
    shards = enumerate(plan_shards(texts, shard_rows))
    for number, (language, index, rows) in tqdm(
        shards, desc="embed", unit="shard", disable=None if rank == 0 else True
    ):
        path = shard_path(folder, language, index)
        if number % num_processes != rank or is_whole_shard(path, rows):
            continue
        vectors = teacher.encode(
            rows,
            prompt_name=prompt,
            batch_size=batch_size,
            convert_to_numpy=True,
            show_progress_bar=False,
        ).astype(np.float32)
        # In float32 whatever the forward pass ran in: norms that bfloat16 computes are off by up to 0.4 %.
        with np.errstate(invalid="ignore"):
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        write_shard(path, language, rows, vectors)
