"""How close a student is to its teacher on rows it is not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import spearmanr

from hf_turkembed.distillation.batched_encoder import BatchedEncoder
from hf_turkembed.distillation.checkpoints import Evaluation
from hf_turkembed.distillation.vectors import shard_files, vectors_of


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a student is compared on."""

    # The student.
    encoder: BatchedEncoder
    # The store of teacher vectors, of which the split for validation is read.
    vectors: Path
    # Graded pairs, as `corpus.read_pairs` gives them, or none, and the widths at which they are compared.
    sts: Mapping[str, Sequence[Any]] | None = None
    sts_dims: tuple[int, ...] = ()


def evaluate(held_out: HeldOut, step: int) -> Evaluation:
    """Compare the student with the teacher's vectors, and with people's grades.

    Args:
        held_out: What it is compared on.
        step: Number of the step, for the result.
    """
    return Evaluation(
        step=step,
        cosine=_cosine_by_language(held_out.encoder, held_out.vectors),
        spearman={} if held_out.sts is None else _spearman_by_width(held_out, held_out.sts),
    )


def _cosine_by_language(student: BatchedEncoder, vectors: Path) -> dict[str, float]:
    """Return the mean cosine to the stored vectors."""
    cosines: dict[str, list[NDArray[np.float32]]] = {}
    for file in shard_files(vectors, "validation"):
        table = pq.read_table(file)
        embeddings = student.embed(table.column("text").to_pylist()).vectors["embedding"]
        stored = vectors_of(table).astype(np.float32)
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        cosines.setdefault(file.parent.name, []).append((embeddings * stored).sum(axis=1))
    return {language: round(float(np.concatenate(parts).mean()), 6) for language, parts in cosines.items()}


def _spearman_by_width(held_out: HeldOut, sts: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """Return the rank correlation of cosines with grades."""
    sides = [held_out.encoder.embed(sts[name]).vectors["embedding"] for name in ("sentence1", "sentence2")]
    found = {}
    for dim in held_out.sts_dims:
        first, second = (side[:, :dim] / np.linalg.norm(side[:, :dim], axis=1, keepdims=True) for side in sides)
        found[str(dim)] = round(float(spearmanr((first * second).sum(axis=1), sts["score"]).statistic), 6)
    return found
