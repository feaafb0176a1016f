"""Tasks and their losses, each applied at every width."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sentence_transformers.sentence_transformer.losses import (
    AnglELoss,
    CachedMultipleNegativesRankingLoss,
    CoSENTLoss,
    CosineSimilarityLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

Loss = Literal["multiple_negatives_ranking", "cosent", "angle", "cosine_similarity"]

_SCORED = {"cosent": CoSENTLoss, "angle": AnglELoss, "cosine_similarity": CosineSimilarityLoss}


@dataclass(frozen=True, kw_only=True)
class Task:
    """Rows, and the loss they are trained with."""

    # Columns in the order that the loss takes: anchor, positive and perhaps negative for ranking; two sentences and
    # `score`, 0 to 1, for the others.
    rows: Mapping[str, Sequence[Any]]
    loss: Loss
    # Ranking only: rows of one forward pass of one process; None for the whole batch at once.
    mini_batch_size: int | None = None

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(next(iter(self.rows.values())))


def make_loss(model: "SentenceTransformer", task: Task, matryoshka_dims: Sequence[int]) -> "nn.Module":
    """Return a task's loss at every width.

    Ranking compares an anchor with the positives and negatives of all processes; the other losses compare pairs
    within a process.

    References:
        MatryoshkaLoss: https://huggingface.co/papers/2205.13147
        Cached ranking (GradCache): https://huggingface.co/papers/2101.06983
        AnglE: https://huggingface.co/papers/2309.12871
    """
    inner: nn.Module
    if task.loss in _SCORED:
        inner = _SCORED[task.loss](model)
    elif task.mini_batch_size is None:
        inner = MultipleNegativesRankingLoss(model, gather_across_devices=True)
    else:
        inner = CachedMultipleNegativesRankingLoss(
            model, mini_batch_size=task.mini_batch_size, gather_across_devices=True
        )
    return MatryoshkaLoss(model, inner, matryoshka_dims=list(matryoshka_dims))
