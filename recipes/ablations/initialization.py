"""What the rows of new tokens start as: clones of one teacher side by side, before any training.

python recipes/ablations/initialization.py recipes/magibu/real_small.yaml data_root=DIR

Needs the recipe's tokenizer step done. Clones once for each initialisation below the recipe's output_dir, scores all
on the recipe's suites of graded pairs, and writes initialization.md there. The last row takes the clone by means and
lets each token count in the pooling as often as the teacher's tokens it stands for: what is lost to pooling alone.
Below the table: whether a composition learned in closed form would come closer to hidden rows than the mean does.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

from hf_turkembed.cloning import Initialization
from hf_turkembed.markdown import format_table
from hf_turkembed.recipe import Recipe, load_recipe, local_path, section_of
from hf_turkembed.scores import SCORES_FILE, Score, ScoreReport, read_scores

RECIPES = Path(__file__).resolve().parents[1]
_METRIC = "spearman_cosine"
_BY_PIECES = "mean_pooled_by_pieces"
# Penalties of the learned composition, as shares of the mean square of its inputs.
_RIDGES = (0.01, 0.1, 1.0)


def main() -> None:
    """Clone, score and tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="a recipe with sections `clone` and `score`")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe, arguments.overrides)
    # A name without a root would be taken for one of the Hub.
    output = Path(recipe.output_dir, "initialization").resolve()
    teacher = local_path(recipe, section_of(recipe, "clone").teacher)
    tokenizer = local_path(recipe, section_of(recipe, "clone").tokenizer)
    clones = {name: output / name / "clone" for name in get_args(Initialization)}
    for name, folder in clones.items():
        changes = [f"clone.initialization={name}", f"clone.tokenizer={tokenizer}", f"output_dir={folder.parent}"]
        run("clone.py", arguments, changes)
    pooled = output / "pooled"
    if not pooled.is_dir():
        pool_by_pieces(teacher, clones["mean"], pooled)
    models = {**{name: str(folder) for name, folder in clones.items()}, _BY_PIECES: str(pooled)}
    report = score(recipe, arguments, models, output)
    text = f"{tabulate(report, clones)}\n\n{describe_learned_composition(teacher, recipe.seed)}"
    (output / "initialization.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def run(script: str, arguments: argparse.Namespace, changes: list[str]) -> None:
    """Run a step with changes to the recipe."""
    command = [sys.executable, str(RECIPES / script), str(arguments.recipe), *arguments.overrides, *changes]
    subprocess.run(command, check=True)


def pool_by_pieces(teacher: Path, clone: Path, folder: Path) -> None:
    """Save a clone whose pooling weighs each token by the number of the teacher's tokens that spell it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import WordWeights
    from tokenizers import Tokenizer

    from hf_turkembed.cloning import find_table, plan_rows

    model = SentenceTransformer(str(clone), device="cpu")
    vocabulary = Tokenizer.from_file(str(clone / "tokenizer.json")).get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    plan = plan_rows(Tokenizer.from_file(str(teacher / "tokenizer.json")), tokens, find_table(teacher).shape[0])
    pieces = {tokens[row]: 0 for row in plan.composed.tolist()}
    for owner in plan.owners.tolist():
        pieces[tokens[plan.composed[owner]]] += 1
    weights = WordWeights(tokens, {token: pieces.get(token, 1) for token in tokens})
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    modules = list(model)
    SentenceTransformer(modules=[modules[0], weights, *modules[1:]], device="cpu").save_pretrained(
        str(partial), create_model_card=False
    )
    # Without its widths it loads as the native encoder: the class of this package knows no module that weighs tokens.
    config = json.loads((partial / "config.json").read_text(encoding="utf-8"))
    del config["matryoshka_dims"]
    (partial / "config.json").write_text(json.dumps(config), encoding="utf-8")
    partial.replace(folder)


def describe_learned_composition(teacher: Path, seed: int) -> str:
    """Fit a linear map from means of pieces to real rows on half of the hidden tokens; say how it does on the rest."""
    import torch

    from hf_turkembed.cloning import compare_rows, find_table, recompose_rows

    made, real = recompose_rows(teacher, find_table(teacher), "mean", seed=seed)
    half = len(made) // 2
    gram = made[:half].T @ made[:half]
    lines = []
    for ridge in _RIDGES:
        penalty = ridge * gram.trace() / len(gram) * torch.eye(len(gram))
        learned = torch.linalg.solve(gram + penalty, made[:half].T @ real[:half])
        found = compare_rows(made[half:] @ learned, real[half:])
        lines.append(f"ridge {ridge:g}: cosine {found.cosine:.3f}, relative L2 {found.relative_l2:.3f}")
    mean = compare_rows(made[half:], real[half:])
    lines.append(f"the mean itself: cosine {mean.cosine:.3f}, relative L2 {mean.relative_l2:.3f}")
    rows = f"learned on {half:,} hidden rows, on {len(made) - half:,} others"
    return f"A linear map of the mean, {rows}: {'; '.join(lines)}."


def score(recipe: Recipe, arguments: argparse.Namespace, models: dict[str, str], output: Path) -> ScoreReport:
    """Score the teacher and the clones at full width on the suites of graded pairs."""
    section = section_of(recipe, "score")
    names = {role: source for role, source in section.models.items() if role == section.baseline}
    changes = [
        f"score.models={json.dumps({**names, **models})}",
        f"score.truncate_dims=[{section.truncate_dims[0]}]",
        "score.require=[]",
        f"output_dir={output}",
    ]
    run("score.py", arguments, changes)
    return read_scores(output / "score" / SCORES_FILE)


def tabulate(report: ScoreReport, clones: dict[str, Path]) -> str:
    """Lay out rows, agreement and scores as a Markdown table."""
    found = [entry for entry in report.scores if entry.metric == _METRIC]
    return format_table(
        [
            "rows of new tokens",
            "cosine with hidden rows",
            "relative L2",
            "cosine with the teacher, Turkish",
            "others",
            "Spearman",
        ],
        [[entry.model, *_fidelity(clones.get(entry.model)), _format(entry)] for entry in found],
    )


def _fidelity(clone: Path | None) -> list[str]:
    """Read how close a clone is to its teacher."""
    if clone is None:
        return [""] * 4
    record: Any = json.loads((clone / "provenance.json").read_text(encoding="utf-8"))
    counts = record["observed"]["counts"]
    rows, agreement = counts["reconstruction"], counts["agreement"]
    turkish = [value for name, value in agreement.items() if name.startswith("tr")]
    others = [value for name, value in agreement.items() if not name.startswith("tr")]
    values = [rows["cosine"], rows["relative_l2"], statistics.mean(turkish), statistics.mean(others)]
    return [f"{value:.3f}" for value in values]


def _format(entry: Score) -> str:
    """Write a score with its interval."""
    low, high = entry.interval or (entry.value, entry.value)
    return f"{entry.value:.4f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
