"""The profile of a model's widths as a figure."""

from collections.abc import Sequence
from pathlib import Path

from hf_turkembed.figure_files import save_figure
from hf_turkembed.findings import ProfilePoint, bytes_per_vector

PROFILE_FIGURE = "matryoshka_profile.png"
# Inches of one panel.
_PANEL = (5.0, 3.6)


def plot_profile(points: Sequence[ProfilePoint], path: Path) -> None:
    """Draw what is left of quality over what a million vectors take, one panel a suite and model.

    Args:
        points: A profile; points without a value leave a gap.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys((point.model, point.suite, point.metric) for point in points))
    models = list(dict.fromkeys(model for model, _, _ in panels))
    columns = -(-len(panels) // len(models))
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * len(models)), layout="constrained")
    grid = figure.subplots(len(models), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    for model, suite, metric in panels:
        row = models.index(model)
        axes = grid[row][[panel[1] for panel in panels if panel[0] == model].index(suite)]
        axes.set_visible(True)
        of_panel = [p for p in points if (p.model, p.suite) == (model, suite) and p.value is not None]
        for form in dict.fromkeys(point.quantization for point in of_panel):
            line = sorted((p for p in of_panel if p.quantization == form), key=lambda p: p.truncate_dim)
            sizes = [bytes_per_vector(point.truncate_dim, form) for point in line]
            axes.plot(sizes, [p.value for p in line], marker="o", markersize=4, label=form)
            axes.fill_between(
                sizes,
                [p.value if p.interval is None else p.interval[0] for p in line],
                [p.value if p.interval is None else p.interval[1] for p in line],
                alpha=0.15,
            )
            for size, point in zip(sizes, line, strict=True):
                axes.annotate(
                    str(point.truncate_dim), (size, point.value), fontsize=7, xytext=(3, 4), textcoords="offset points"
                )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("MB for a million vectors")
        axes.set_ylabel(metric.replace("_", " "))
        made_up = ", made-up text" if any(point.synthetic for point in of_panel) else ""
        axes.set_title(f"{model} on {suite}{made_up}", fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save_figure(figure, path, points)
