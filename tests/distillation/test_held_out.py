"""How close a student is to its teacher on rows kept from training, by language and width."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from accelerate import Accelerator
from samples import MATRYOSHKA_DIMS, TEXTS
from stores import SCHEDULE, embed

from hf_turkembed.distillation import BatchedEncoder, Objective, compare_by_width, distill


@pytest.fixture
def encoder(student):
    return BatchedEncoder(student, max_length=64, batch_tokens=256)


def test_training_says_how_close_the_student_was_before_its_first_step(student, encoder, vectors, tmp_path):
    expected = compare_by_width(encoder, vectors, (32, 8))
    assert {language: [*widths] for language, widths in expected.items()} == {"en": ["32", "8"], "tr": ["32", "8"]}
    report = distill(
        student,
        vectors,
        Accelerator(cpu=True),
        tmp_path,
        schedule=SCHEDULE,
        objective=Objective(matryoshka_dims=MATRYOSHKA_DIMS),
        max_length=64,
        seed=5,
        compared_dims=(32, 8),
    )
    assert report.untrained_cosine == expected
    after = {language: cells["32"]["cosine"] for language, cells in compare_by_width(encoder, vectors, (32,)).items()}
    assert after == pytest.approx(report.evaluations[-1].cosine, abs=1e-5)
    assert all(after[language] > expected[language]["32"]["cosine"] for language in after)


def test_at_a_width_both_vectors_are_cut_and_set_to_unit_norm_again(student, encoder, gemma, tmp_path):
    embed(gemma, tmp_path, {"tr": [f"{text} {number}" for number in range(6) for text in TEXTS]}, validation_rows=24)
    found = compare_by_width(encoder, tmp_path, (32, 16))["tr"]
    files = sorted((tmp_path / "data" / "tr").glob("validation-*"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len(rows) == 24
    for width, cell in found.items():
        left = student.encode([row["text"] for row in rows])[:, : int(width)]
        right = np.array([row["embedding"] for row in rows], dtype=np.float32)[:, : int(width)]
        cosines = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
        assert cell["cosine"] == pytest.approx(cosines.mean(), abs=1e-5)
        # As wide as the normal approximation of the mean's error, to within a third.
        half = 1.96 * cosines.std(ddof=1) / len(cosines) ** 0.5
        assert (cell["high"] - cell["low"]) / 2 == pytest.approx(half, rel=0.33)
        assert cell["low"] < cell["cosine"] < cell["high"]


def test_a_store_without_rows_kept_from_training_compares_nothing(encoder, gemma, tmp_path):
    embed(gemma, tmp_path, validation_rows=0)
    assert compare_by_width(encoder, tmp_path, (32,)) == {}
