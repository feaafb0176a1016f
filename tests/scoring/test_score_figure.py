"""The figure of a report: one panel a suite, one line a model, and what is missing left out."""

import numpy as np
import pytest
from samples import MATRYOSHKA_DIMS

from hf_turkembed.score_figure import plot_scores


@pytest.fixture
def report(model, suite, score):
    constant = suite(
        "sts", {"sentence1": ["a", "b", "c"], "sentence2": ["d", "e", "f"], "score": [1, 1, 1]}, name="no"
    )
    return score({"teacher": model, "student": model}, [suite("sts"), constant, suite("triplets")])


def test_the_same_report_draws_the_same_file(report, tmp_path):
    plot_scores(report, tmp_path / "one.png")
    plot_scores(report, tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert b"matplotlib" not in (tmp_path / "one.png").read_bytes().lower()


def test_a_suite_has_a_panel_with_a_point_for_every_model_and_width(report, tmp_path, monkeypatch):
    import matplotlib.figure

    figures = []
    saved = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(
        matplotlib.figure.Figure, "savefig", lambda self, *a, **k: (figures.append(self), saved(self, *a, **k))[1]
    )
    plot_scores(report, tmp_path / "scores.png")
    panels = figures[0].axes
    assert [axes.get_title().split(":")[0] for axes in panels] == ["sts", "no", "triplets"]
    main = [entry.value for entry in report.scores if (entry.model, entry.metric) == ("teacher", "spearman_cosine")]
    line = panels[0].containers[0].lines[0]
    np.testing.assert_allclose(sorted(line.get_ydata()), sorted(main[: len(MATRYOSHKA_DIMS)]))
    assert len(panels[1].containers[0].lines[0].get_ydata()) == 0
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["teacher", "student"]
    assert matplotlib.image.imread(tmp_path / "scores.png").std() > 0.01
