"""Distil the small teacher with one thing changed at a time, with several seeds.

python recipes/ablations/distillation.py recipes/magibu/real_small.yaml data_root=DIR [--seeds 0 1 2]

Everything is made below the recipe's output_dir, where it stays, so that a run that was cut off goes on. There is less
text than in the recipe, so that each run takes a minute or so. Writes distillation.md: the mean over seeds, and in
brackets the lowest and the highest.
"""

import argparse
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_turkembed.markdown import format_table
from hf_turkembed.recipe import Recipe, load_recipe, section_of
from hf_turkembed.record import read_provenance

RECIPES = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The recipe with one thing changed."""

    name: str
    # Changes to the steps that make the student, by step, to what it is taught with, and to its training.
    corpus: tuple[str, ...] = ()
    tokenizer: tuple[str, ...] = ()
    clone: tuple[str, ...] = ()
    distill: tuple[str, ...] = ()


# A third of the recipe's text.
CORPUS = ("corpus.text.rows=200", "corpus.text.rows_by_language={tr: 12000}")
# News, essays, fiction and everyday sentences in place of the encyclopedia, about as many.
OTHER_TURKISH = (
    "corpus.text.files={tr: ['{data_root}/data/wmt-tr-en/newstest2016.tur', "
    "'{data_root}/data/turkish-text/ud_boun_dev.txt']}",
    "corpus.text.tables=[{source: '{data_root}/data/multilingual/tatoeba', files: en-tr.tsv, column: '2', "
    "language: tr}]",
)
VARIANTS = (
    Variant(name="as the recipe"),
    Variant(name="rows of new tokens scaled", clone=("clone.initialization=scaled_mean",)),
    Variant(name="rows of new tokens random", clone=("clone.initialization=random",)),
    Variant(name="full width only", distill=("distill.matryoshka_dims=[128]",)),
    Variant(name="65,536 tokens, 24,576 of them new, as in the recipe", tokenizer=("tokenizer.vocab_size=65536",)),
    Variant(
        name="65,536 tokens, 12,288 of them new",
        tokenizer=("tokenizer.vocab_size=65536", "tokenizer.new_tokens=12288"),
    ),
    Variant(
        name="new rows alone in the first 30 % of the steps",
        distill=("distill.new_rows_ratio=0.3", "distill.id_map={output_dir}/tokenizer"),
    ),
    Variant(name="three epochs", distill=("distill.epochs=3",)),
    Variant(
        name="rates three times as high",
        distill=("distill.learning_rate=3.0e-4", "distill.embedding_learning_rate=3.0e-3"),
    ),
    Variant(name="similarities within a batch kept as well", distill=("distill.similarity_weight=1.0",)),
    Variant(name="news, essays and everyday sentences in place of the Turkish encyclopedia", corpus=OTHER_TURKISH),
)


def main() -> None:
    """Distil and tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="a recipe with the steps from tokenizer to distill")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe, arguments.overrides)
    step("tokenizer", arguments, [])
    step("corpus", arguments, list(CORPUS))
    step("embed", arguments, [])
    found = {variant.name: [run(recipe, arguments, variant, seed) for seed in arguments.seeds] for variant in VARIANTS}
    text = tabulate(found, section_of(recipe, "distill").matryoshka_dims)
    Path(recipe.output_dir, "distillation.md").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


def run(recipe: Recipe, arguments: argparse.Namespace, variant: Variant, seed: int) -> dict[str, Any]:
    """Distil once; return what the last evaluation found."""
    # A name without a root would be taken for one of the Hub.
    base = Path(recipe.output_dir).resolve()
    own = base / "distillation" / re.sub(r"\W+", "-", variant.name)
    shared = base / "distillation" / "as-the-recipe"
    tokenizer = own / "tokenizer" if variant.tokenizer else base / "tokenizer"
    clone = own / "clone" if variant.tokenizer or variant.clone else shared / "clone"
    if variant.tokenizer:
        step("tokenizer", arguments, [*variant.tokenizer, f"output_dir={own}"])
    vectors = own / "embed" if variant.corpus else base / "embed"
    if variant.corpus:
        step("corpus", arguments, [*CORPUS, *variant.corpus, f"output_dir={own}"])
        step("embed", arguments, [f"output_dir={own}"])
    step("clone", arguments, [*variant.clone, f"clone.tokenizer={tokenizer}", f"output_dir={clone.parent}"])
    changes = [change.replace("{output_dir}", str(base)) for change in variant.distill]
    output = own / f"seed-{seed}"
    step(
        "distill",
        arguments,
        [
            *changes,
            f"distill.student={clone}",
            f"distill.vectors={vectors}",
            f"seed={seed}",
            f"output_dir={output}",
        ],
    )
    counts = read_provenance(output / "distill").observed.counts
    return dict(counts["evaluations"][-1])


def step(name: str, arguments: argparse.Namespace, changes: list[str]) -> None:
    """Run a step with changes to the recipe; one that is done is skipped."""
    command = [sys.executable, str(RECIPES / f"{name}.py"), str(arguments.recipe), *arguments.overrides, *changes]
    subprocess.run(command, check=True)


def tabulate(found: dict[str, list[dict[str, Any]]], widths: tuple[int, ...]) -> str:
    """Lay out the means over seeds as a Markdown table."""
    rows = []
    for name, results in found.items():
        cosines = [result["cosine"] for result in results]
        turkish = spread([cosine["tr"] for cosine in cosines])
        others = spread([statistics.mean(value for key, value in cosine.items() if key != "tr") for cosine in cosines])
        spearman = [
            spread([result["spearman"][str(width)] for result in results if str(width) in result["spearman"]])
            for width in widths
        ]
        rows.append([name, turkish, others, *spearman])
    header = ["", "cosine to the teacher, Turkish", "others", *(f"Spearman at {width}" for width in widths)]
    return format_table(header, rows)


def spread(values: list[float]) -> str:
    """Write a mean and, in brackets, the lowest and the highest."""
    return f"{statistics.mean(values):.4f} [{min(values):.4f}, {max(values):.4f}]" if values else ""


if __name__ == "__main__":
    main()
