"""How close a student is to its teacher on rows it is not trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import spearmanr

from hf_turkembed.distillation.batched_encoder import BatchedEncoder
from hf_turkembed.distillation.checkpoints import Evaluation
from hf_turkembed.distillation.vectors import shard_files, vectors_of


def evaluate(
    student: BatchedEncoder,
    vectors: Path,
    sts: Mapping[str, Sequence[str] | Sequence[float]] | None,
    *,
    matryoshka_dims: Sequence[int],
    step: int,
) -> Evaluation:
    """Compare the student with stored vectors of the split for validation, and with people on graded pairs.

    Args:
        student: The student.
        vectors: The store of teacher vectors.
        sts: Graded pairs, as `corpus.read_pairs` gives them, or none.
        matryoshka_dims: Widths at which pairs are compared.
        step: Number of the step, for the result.
    """
    return Evaluation(
        step=step,
        cosine=_cosine_by_language(student, vectors),
        spearman={} if sts is None else _spearman_by_width(student, sts, matryoshka_dims),
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


def _spearman_by_width(
    student: BatchedEncoder, sts: Mapping[str, Sequence[str] | Sequence[float]], matryoshka_dims: Sequence[int]
) -> dict[str, float]:
    """Return the rank correlation of cosines with grades."""
    columns = ([str(text) for text in sts[name]] for name in ("sentence1", "sentence2"))
    sides = [student.embed(texts).vectors["embedding"] for texts in columns]
    found = {}
    for dim in matryoshka_dims:
        first, second = (side[:, :dim] / np.linalg.norm(side[:, :dim], axis=1, keepdims=True) for side in sides)
        found[str(dim)] = round(float(spearmanr((first * second).sum(axis=1), sts["score"]).statistic), 6)
    return found
