"""The price of Turkish: tokenizers for several weights of Turkish, and for several sizes of the corpus, side by side.

python recipes/ablations/tokenizer_frontier.py recipes/magibu/tokenizer_real_small.yaml data_root=DIR

Builds one tokenizer for each weight and each size below the recipe's output_dir, skipping those that are done, and
writes frontier.md and frontier.png there: change of tokens on held-out text, Turkish against the other languages.
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_turkembed.markdown import format_table
from hf_turkembed.recipe import Recipe, load_recipe, section_of

RECIPES = Path(__file__).resolve().parents[1]
_WEIGHTS = (0.2, 0.35, 0.5, 0.65, 0.8)
_ROWS = (1_000, 5_000, 20_000)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One tokenizer: change of tokens on held-out text, in per cent."""

    label: str
    new_tokens: int
    turkish: float
    english: float
    # Of the other languages, the median and the greatest.
    median: float
    worst: float


def main() -> None:
    """Build, tabulate and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="a recipe with a section `tokenizer`")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--weights", type=float, nargs="+", default=_WEIGHTS, help="weights of Turkish")
    parser.add_argument("--rows", type=int, nargs="+", default=_ROWS, help="most texts of a language")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe, arguments.overrides)
    frontier = [
        build(recipe, arguments, f"weight {weight:g}", [f"tokenizer.language_weights={weigh(recipe, weight)}"])
        for weight in arguments.weights
    ]
    curve = [build(recipe, arguments, f"{rows:,} texts", [f"tokenizer.corpus.rows={rows}"]) for rows in arguments.rows]
    curve.append(build(recipe, arguments, "all texts", []))
    output = Path(recipe.output_dir)
    text = "\n\n".join(tabulate(points) for points in (frontier, curve))
    (output / "frontier.md").write_text(text + "\n", encoding="utf-8")
    draw(frontier, curve, output / "frontier.png")
    print(text)


def weigh(recipe: Recipe, weight: float) -> str:
    """Return the recipe's weights as YAML, Turkish at `weight` and the others named sharing the rest as before."""
    weights = section_of(recipe, "tokenizer").language_weights
    rest = (1 - weight) / (1 - weights["tr"])
    return json.dumps({name: weight if name == "tr" else share * rest for name, share in weights.items()})


def build(recipe: Recipe, arguments: argparse.Namespace, label: str, changes: list[str]) -> Point:
    """Run the tokenizer step with changes to the recipe, in a folder named for them, and read what came out."""
    folder = Path(recipe.output_dir) / label.replace(" ", "_").replace(",", "")
    command = [sys.executable, str(RECIPES / "tokenizer.py"), str(arguments.recipe), *arguments.overrides, *changes]
    subprocess.run([*command, f"output_dir={folder}"], check=True)
    counts = json.loads((folder / "tokenizer" / "provenance.json").read_text(encoding="utf-8"))["observed"]["counts"]
    change = {row["language"]: 100 * row["change"] for row in counts["fertility"]}
    others = [value for language, value in change.items() if language not in ("tr", "en")]
    return Point(
        label=label,
        new_tokens=counts["new"],
        turkish=change["tr"],
        english=change["en"],
        median=statistics.median(others),
        worst=max(others),
    )


def tabulate(points: list[Point]) -> str:
    """Lay out points as a Markdown table."""
    rows = [
        [p.label, f"{p.new_tokens:,}", *(f"{value:+.1f} %" for value in (p.turkish, p.english, p.median, p.worst))]
        for p in points
    ]
    return format_table(["", "new tokens", "Turkish", "English", "median of the others", "worst of the others"], rows)


def draw(frontier: list[Point], curve: list[Point], path: Path) -> None:
    """Draw Turkish against the others, one panel for the weights and one for the sizes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels: list[Any] = list(figure.subplots(1, 2, sharey=True))
    for axes, points, title in zip(
        panels, (frontier, curve), ("weight of Turkish", "size of the corpus"), strict=True
    ):
        for name in ("english", "median", "worst"):
            axes.plot([p.turkish for p in points], [getattr(p, name) for p in points], marker="o", label=name)
        for point in points:
            axes.annotate(point.label, (point.turkish, point.median), fontsize="x-small")
        axes.set_xlabel("change of tokens, Turkish (%)")
        axes.set_title(title)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("change of tokens, others (%)")
    panels[0].legend()
    figure.savefig(path, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()
