import matplotlib.figure
import pytest

from hf_turkembed.tokenizer import plot_fertility_change

CHANGE = {"en": 0.05, "tr": -0.2, "de": 0.0, "ar": 0.05}


def test_the_same_numbers_draw_the_same_file(tmp_path):
    plot_fertility_change(CHANGE, tmp_path / "one.png")
    plot_fertility_change(dict(reversed(CHANGE.items())), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert b"matplotlib" not in (tmp_path / "one.png").read_bytes().lower()


def test_bars_are_sorted_with_the_largest_gain_on_top(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda self, *a, **k: figures.append(self))
    plot_fertility_change(CHANGE, tmp_path / "figure.png")
    axes = figures[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["tr", "de", "ar", "en"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([-20, 0, 5, 5])
    assert axes.yaxis_inverted()
