"""The profile of widths: what storage loses and takes, and what search in it costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import MATRYOSHKA_DIMS
from sentence_transformers.util.quantization import quantize_embeddings

from hf_turkembed.findings import ProfilePoint, bytes_per_vector
from hf_turkembed.profile_figure import plot_profile
from hf_turkembed.scoring import Examination, metrics
from hf_turkembed.scoring.profile import _SEARCHES, restore, time_search

FORMS = ("float32", "int8", "binary")


@pytest.fixture
def columns():
    generator = np.random.default_rng(0)
    return [metrics.normalise(generator.normal(size=(50, 20)).astype(np.float32)) for _ in range(2)]


def test_int8_is_off_by_half_a_step_at_most_and_binary_keeps_signs(columns):
    step = np.abs(np.concatenate(columns)).max() / 127
    for stored, column in zip(restore(columns, "int8"), columns, strict=True):
        assert np.array_equal(stored, stored.astype(np.int8))
        assert (np.abs(stored * step - column) <= step * 0.501).all() and not np.array_equal(stored * step, column)
    for stored, column in zip(restore(columns, "binary"), columns, strict=True):
        assert stored.shape == column.shape and np.array_equal(stored, np.where(column > 0, 1, -1))
    for stored, column in zip(restore(columns, "float32"), columns, strict=True):
        assert np.array_equal(stored, column)


def test_the_cosine_of_binary_vectors_follows_from_the_bits_that_differ(columns):
    codes = [quantize_embeddings(column, "ubinary") for column in columns]
    differ = np.bitwise_count(codes[0] ^ codes[1]).sum(axis=1)
    cosines = metrics.similarities(*restore(columns, "binary"), "cosine")
    np.testing.assert_allclose(cosines, 1 - 2 * differ / 20, atol=1e-6)


@given(dim=st.integers(1, 1024))
def test_storage_is_what_the_codes_take(dim):
    vector = np.ones((1, dim), dtype=np.float32)
    ranges = np.vstack((vector[0] - 1, vector[0]))
    assert bytes_per_vector(dim, "float32") == vector.nbytes
    assert bytes_per_vector(dim, "int8") == quantize_embeddings(vector, "int8", ranges=ranges).nbytes
    assert bytes_per_vector(dim, "binary") == quantize_embeddings(vector, "ubinary").nbytes


def test_the_profile_begins_with_the_scores_and_loses_by_storage(model, suite, score):
    suites = [suite("sts"), suite("retrieval"), suite("triplets")]
    report = score(
        {"teacher": model}, suites, examination=Examination(profiled=("sts", "retrieval"), quantizations=FORMS)
    )
    assert len(report.profile) == 2 * len(MATRYOSHKA_DIMS) * len(FORMS)
    assert {(point.suite, point.metric) for point in report.profile} == {
        ("sts", "spearman_cosine"),
        ("retrieval", "ndcg_at_10_cosine"),
    }
    scores = {(s.suite, s.metric, s.truncate_dim): s for s in report.scores}
    for point in (point for point in report.profile if point.quantization == "float32"):
        own = scores[point.suite, point.metric, point.truncate_dim]
        assert point.value == pytest.approx(own.value) and point.interval == pytest.approx(own.interval)


@pytest.mark.parametrize("form", FORMS)
def test_the_search_that_is_timed_finds_what_the_quality_was_measured_on(form):
    vectors = metrics.normalise(np.random.default_rng(0).normal(size=(400, 32)).astype(np.float32))
    stored = metrics.normalise(restore([vectors], form)[0])
    search = _SEARCHES[form](vectors)
    for row in range(5):
        found = search(row)
        nearest = np.asarray(found if form == "binary" else found.indices)
        cosines = stored @ stored[row]
        # Of equally near ones any.
        np.testing.assert_allclose(cosines[nearest], np.sort(cosines)[::-1][:10], atol=1e-6)


def test_search_is_timed_for_every_width_and_form():
    costs = time_search((32, 8), FORMS, 1000, seed=0)
    assert [(cost.truncate_dim, cost.quantization) for cost in costs] == [(d, f) for d in (32, 8) for f in FORMS]
    assert all(cost.search_ms > 0 and cost.vectors == 1000 and cost.load >= 0 for cost in costs)


def test_the_same_profile_draws_the_same_figure_with_a_panel_for_every_model_and_suite(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    saved = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), saved(self, *a, **k))[1])
    points = [
        ProfilePoint(
            model=model,
            suite=suite,
            metric="spearman_cosine",
            truncate_dim=dim,
            quantization=form,
            value=None if (dim, form) == (8, "binary") else 0.5 + dim / 100,
            interval=(0.4, 0.9) if form == "int8" else None,
            synthetic=suite == "made",
        )
        for model in ("teacher", "student")
        for suite in ("sts", "made")
        for dim in (32, 8)
        for form in FORMS
    ]
    for name in ("one.png", "two.png"):
        plot_profile(points, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    titles = [axes.get_title() for axes in figures[0].axes]
    assert titles == [f"{m} on {s}" for m in ("teacher", "student") for s in ("sts", "made, made-up text")]
    lines = {line.get_label(): line.get_xdata() for line in figures[0].axes[0].lines}
    assert {label: list(sizes) for label, sizes in lines.items()} == {
        "float32": [32, 128],
        "int8": [8, 32],
        "binary": [4],
    }
