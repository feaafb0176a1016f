"""What distillation minimises."""

import pytest
import torch

from hf_turkembed.distillation import Objective
from hf_turkembed.distillation.objective import matryoshka_cosine_loss, similarity_loss


def test_the_loss_is_the_mean_over_widths_of_one_minus_cosine():
    teacher = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    student = torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    cosine = 1 - 2**-0.5
    assert matryoshka_cosine_loss(student, teacher, (3,)) == pytest.approx(cosine)
    # At width 1 the second target is the zero vector, whose cosine with anything is zero.
    assert matryoshka_cosine_loss(student, teacher, (3, 1)) == pytest.approx((cosine + 1) / 2)


def test_similarities_differ_by_nothing_when_the_student_is_the_teacher_turned():
    torch.manual_seed(0)
    teacher = torch.randn(6, 4)
    turned = teacher @ torch.linalg.qr(torch.randn(4, 4))[0]
    assert similarity_loss(turned, teacher) == pytest.approx(0, abs=1e-9)
    pair = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert similarity_loss(torch.ones(2, 2), pair) == pytest.approx(2.0)
    assert similarity_loss(torch.ones(1, 2), torch.ones(1, 2)) == 0


def test_terms_are_weighed():
    torch.manual_seed(0)
    student = {name: torch.randn(5, 8) for name in ("embedding", "pre_dense")}
    teacher = {name: torch.randn(5, 8) for name in ("embedding", "pre_dense")}
    whole = Objective(matryoshka_dims=(8, 4), pre_dense_weight=0.5, similarity_weight=2.0)
    expected = (
        matryoshka_cosine_loss(student["embedding"], teacher["embedding"], (8, 4))
        + 0.5 * matryoshka_cosine_loss(student["pre_dense"], teacher["pre_dense"], (8,))
        + 2 * similarity_loss(student["embedding"], teacher["embedding"])
    )
    assert float(whole.loss(student, teacher)) == pytest.approx(float(expected))
    assert whole.names == ("embedding", "pre_dense") and Objective(matryoshka_dims=(8,)).names == ("embedding",)
