"""Scores over width as a figure."""

from pathlib import Path

from hf_turkembed.figure_files import save_figure
from hf_turkembed.scores import Score, ScoreReport

SCORES_FIGURE = "scores.png"
# Inches of one panel.
_PANEL = (5.0, 3.6)


def plot_scores(report: ScoreReport, path: Path) -> None:
    """Draw the main metric of every suite over the width, one line a model, with its interval.

    Args:
        report: Scores of a run; missing ones leave a gap.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    suites = list(dict.fromkeys(score.suite for score in report.scores))
    figure = Figure(figsize=(_PANEL[0] * len(suites), _PANEL[1]), layout="constrained")
    for axes, suite in zip(figure.subplots(1, len(suites), squeeze=False)[0], suites, strict=True):
        scores = [score for score in report.scores if score.suite == suite]
        main = scores[0].metric
        roles = list(dict.fromkeys(score.model for score in scores))
        widths = sorted({score.truncate_dim for score in scores})
        for position, role in enumerate(roles):
            line = [s for s in scores if s.model == role and s.metric == main and s.value is not None]
            # A little apart, so that intervals do not hide one another.
            shift = 0.12 * (position - (len(roles) - 1) / 2)
            axes.errorbar(
                [widths.index(score.truncate_dim) + shift for score in line],
                [score.value for score in line],
                yerr=_error_bars(line),
                marker="o",
                markersize=4,
                capsize=3,
                label=role,
            )
        axes.set_xticks(range(len(widths)), [str(width) for width in widths])
        axes.set_xlabel("width (dimensions)")
        axes.set_ylabel(main.replace("_", " "))
        made_up = ", made-up text" if scores[0].dataset.synthetic else ""
        axes.set_title(f"{suite}: {scores[0].rows:,} rows{made_up}")
        axes.grid(axis="y", alpha=0.3)
    labels = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=len(labels))
    save_figure(figure, path, report.scores)


def _error_bars(line: list[Score]) -> list[list[float]]:
    """Return how far the intervals reach below and above the values."""
    bounds = [(s.value or 0.0, *(s.interval or (s.value or 0.0, s.value or 0.0))) for s in line]
    # A percentile interval of a skewed statistic need not hold the value itself.
    return [[max(0.0, v - low) for v, low, _ in bounds], [max(0.0, high - v) for v, _, high in bounds]]
