"""How close a student is to its teacher on rows it is not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import spearmanr

from hf_turkembed.distillation.batched_encoder import BatchedEncoder
from hf_turkembed.distillation.checkpoints import Evaluation
from hf_turkembed.distillation.vectors import shard_files, vectors_of

# Of the rows of a language, for an interval.
_RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a student is compared on."""

    # The student.
    encoder: BatchedEncoder
    # The store of teacher vectors, of which the split for validation is read.
    vectors: Path
    # Graded pairs, as `corpus.read_pairs` gives them, or none, and the widths at which they are compared.
    sts: Mapping[str, Sequence[Any]] | None = None
    compared_dims: tuple[int, ...] = ()


def evaluate(held_out: HeldOut, step: int) -> Evaluation:
    """Compare the student with the teacher's vectors, and with people's grades.

    Args:
        held_out: What it is compared on.
        step: Number of the step, for the result.
    """
    return Evaluation(
        step=step,
        cosine={
            language: round(float(_cosines(*pair).mean()), 6)
            for language, pair in _embed_by_language(held_out.encoder, held_out.vectors).items()
        },
        spearman={} if held_out.sts is None else _spearman_by_width(held_out, held_out.sts),
    )


def compare_by_width(
    student: BatchedEncoder, vectors: Path, dims: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    """Compare a student with the stored vectors of rows it is not trained on, both cut to some widths.

    Args:
        student: The student.
        vectors: The store, of which the split for validation is read.
        dims: The widths.

    Returns:
        For each language and width the mean `cosine`, and the ends of its 95 % percentile interval, `low` and `high`,
        of bootstrap resamples of the rows. Nothing where the store has no such split.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for language, (embeddings, stored) in _embed_by_language(student, vectors).items():
        rows = np.random.default_rng(0).integers(0, len(stored), (_RESAMPLES, len(stored)))
        found[language] = {}
        for dim in dims:
            cosines = _cosines(embeddings[:, :dim], stored[:, :dim])
            low, high = np.quantile(cosines[rows].mean(axis=1), (0.025, 0.975))
            values = {"cosine": cosines.mean(), "low": low, "high": high}
            found[language][str(dim)] = {name: round(float(value), 6) for name, value in values.items()}
    return found


def _embed_by_language(
    student: BatchedEncoder, vectors: Path
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return the student's embeddings of held-out rows and the stored ones, `(rows, width)`."""
    tables: dict[str, list[pa.Table]] = {}
    for file in shard_files(vectors, "validation"):
        tables.setdefault(file.parent.name, []).append(pq.read_table(file))
    joined = {language: pa.concat_tables(parts) for language, parts in tables.items()}
    return {
        language: (
            student.embed(table.column("text").to_pylist()).vectors["embedding"],
            vectors_of(table).astype(np.float32),
        )
        for language, table in joined.items()
    }


def _cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosines of rows."""
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / norms)


def _spearman_by_width(held_out: HeldOut, sts: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """Return the rank correlation of cosines with grades."""
    sides = [held_out.encoder.embed(sts[name]).vectors["embedding"] for name in ("sentence1", "sentence2")]
    found = {}
    for dim in held_out.compared_dims:
        cosines = _cosines(*(side[:, :dim] for side in sides))
        found[str(dim)] = round(float(spearmanr(cosines, sts["score"]).statistic), 6)
    return found
