"""The change of fertility by language as a figure."""

from collections.abc import Mapping
from pathlib import Path

from hf_turkembed.figure_files import save_figure

# Inches: width, height of one bar, height of title and axis.
_WIDTH, _BAR, _FRAME = 6.0, 0.18, 1.0


def plot_fertility_change(change: Mapping[str, float], path: Path) -> None:
    """Draw how many more or fewer tokens each language needs, one bar a language, the largest gain on top.

    Args:
        change: Tokens of the new tokenizer divided by those of the old one, minus 1, by language.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    languages = sorted(change, key=lambda language: (change[language], language))
    values = [100 * change[language] for language in languages]
    figure = Figure(figsize=(_WIDTH, _FRAME + _BAR * len(languages)), layout="constrained")
    axes = figure.subplots()
    axes.barh(languages, values, color=["tab:blue" if value <= 0 else "tab:orange" for value in values])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("change of tokens per word (%)")
    axes.grid(axis="x", alpha=0.3)
    save_figure(figure, path, change)
