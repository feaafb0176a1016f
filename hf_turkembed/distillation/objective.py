"""What distillation minimises."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Terms of the loss."""

    # Widths at which student and teacher are compared, largest first.
    matryoshka_dims: tuple[int, ...]
    # Weight of the same for what the dense heads are given, at full width.
    pre_dense_weight: float = 0.0
    # Weight of the squared difference of all cosines within a forward pass.
    similarity_weight: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Name the vectors that are compared."""
        return ("embedding", "pre_dense") if self.pre_dense_weight else ("embedding",)

    def loss(self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
        """Return the loss, summed over rows.

        Args:
            student: `(rows, width)` by name, any norm.
            teacher: The same of the teacher.
        """
        loss = matryoshka_cosine_loss(student["embedding"], teacher["embedding"], self.matryoshka_dims)
        if self.pre_dense_weight:
            width = student["pre_dense"].shape[1]
            loss = loss + self.pre_dense_weight * matryoshka_cosine_loss(
                student["pre_dense"], teacher["pre_dense"], [width]
            )
        if self.similarity_weight:
            loss = loss + self.similarity_weight * similarity_loss(student["embedding"], teacher["embedding"])
        return loss


def matryoshka_cosine_loss(student: Tensor, teacher: Tensor, matryoshka_dims: tuple[int, ...] | list[int]) -> Tensor:
    """Return the mean over widths of 1 - cosine, summed over rows.

    Args:
        student: `(rows, embedding_dim)`, any norm.
        teacher: `(rows, embedding_dim)`, any norm.
        matryoshka_dims: Widths of the prefixes that are compared.

    References:
        https://huggingface.co/papers/2605.29992
    """
    per_width = [
        1 - torch.nn.functional.cosine_similarity(student[:, :dim], teacher[:, :dim], dim=-1)
        for dim in matryoshka_dims
    ]
    return torch.stack(per_width).mean(dim=0).sum()


def similarity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return, summed over rows, the mean squared difference of each row's cosines with the others.

    Args:
        student: `(rows, embedding_dim)`, any norm; one row alone has no others and gives zero.
        teacher: `(rows, embedding_dim)`, any norm.

    References:
        Similarity-preserving distillation: https://huggingface.co/papers/1907.09682
    """
    if len(student) == 1:
        return student.sum() * 0
    own, wanted = (vectors @ vectors.T for vectors in map(torch.nn.functional.normalize, (student, teacher)))
    return (own - wanted).square().sum() / (len(student) - 1)
