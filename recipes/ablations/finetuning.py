"""Fine-tune the small student with one thing changed at a time, with several seeds.

python recipes/ablations/finetuning.py recipes/turkembed/real_small.yaml data_root=DIR finetune.base_model=DIR

The recipe has the stages `nli` and `sts`, and `{data_root}/data` holds paraphrase-tr, multilingual/tatoeba and
wmt-tr-en beside what the recipe reads. Each stage of each variant is a run of the step, made below the recipe's
output_dir, where it stays, so that a table that was cut off goes on. The last triplets of the recipe's are kept from
training, and scored unless they share a text with the others. Writes finetuning.md: means over seeds and in brackets
the lowest and the highest, and how each variant differs from its counterpart, pair by pair.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from accelerate import Accelerator

from hf_turkembed.corpus import fold_text, read_pairs, read_triplets
from hf_turkembed.markdown import format_table
from hf_turkembed.recipe import Recipe, load_recipe, local_path, section_of
from hf_turkembed.record import digest_file
from hf_turkembed.scores import Resampling, ScoreDataset, ScoreReport
from hf_turkembed.scoring import ScoredModel, Suite, score_models

RECIPES = Path(__file__).resolve().parents[1]
Stage = dict[str, Any]

# Triplets, from the end, that are kept from training.
HELD_OUT_TRIPLETS = 500
RESAMPLES = 10_000
BASELINE = "NLI, then STS"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One stage, the variant that it begins with (None for the recipe's base model), and what it is compared with."""

    name: str
    stage: Callable[[Mapping[str, Stage]], Stage]
    base: str | None = None
    counterpart: str = BASELINE


def main() -> None:
    """Fine-tune, score and tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="a recipe whose finetune section has the stages nli and sts")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    if any(change.startswith("finetune.stages") for change in arguments.overrides):
        parser.error("the stages are the variants' own, and are changed in the recipe alone")
    recipe = load_recipe(arguments.recipe, arguments.overrides)
    # A name without a root would be taken for one of the Hub.
    data = Path(recipe.output_dir, "data").resolve()
    write_data(recipe, data)
    stages = {
        **yaml.safe_load(arguments.recipe.read_text(encoding="utf-8"))["finetune"]["stages"],
        "data": {"folder": str(data)},
    }
    reports = []
    for seed in arguments.seeds:
        folders = {variant.name: run(recipe, arguments, variant, stages, seed) for variant in VARIANTS}
        reports.append(score(recipe, data, folders))
    text = tabulate(reports, section_of(recipe, "score").truncate_dims)
    Path(recipe.output_dir, "finetuning.md").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


def write_data(recipe: Recipe, folder: Path) -> None:
    """Write triplets for training and held out, and as many pairs that people wrote as were machine-translated."""
    folder.mkdir(parents=True, exist_ok=True)
    root = local_path(recipe, "{data_root}/data")
    source = section_of(recipe, "finetune").stages["nli"].tasks["nli"].train.source
    lines = local_path(recipe, source).read_text(encoding="utf-8").splitlines()
    write_lines(folder / "nli_train.jsonl", lines[:-HELD_OUT_TRIPLETS])
    translated = [json.loads(line) for line in lines[:-HELD_OUT_TRIPLETS]]
    known = {fold_text(text) for row in translated for text in row.values()}
    apart = [
        line for line in lines[-HELD_OUT_TRIPLETS:] if known.isdisjoint(map(fold_text, json.loads(line).values()))
    ]
    write_lines(folder / "nli_held_out.jsonl", apart)
    count = len(translated)
    with (root / "paraphrase-tr/tqp_train.csv").open(encoding="utf-8", newline="") as stream:
        # Some pairs stand there both ways.
        unordered = {frozenset((row["input"], row["target"])): row for row in csv.DictReader(stream)}
    paraphrases = [(row["input"], row["target"]) for row in unordered.values()]
    tatoeba = (root / "multilingual/tatoeba/en-tr.tsv").read_text(encoding="utf-8").splitlines()
    english, turkish = (
        (root / f"wmt-tr-en/newstest2016.{end}").read_text(encoding="utf-8").splitlines() for end in ("eng", "tur")
    )
    third = count // 3
    human: list[tuple[str, ...]] = [
        *paraphrases[: count - 2 * third],
        *[tuple(line.split("\t")[:2]) for line in tatoeba[:third]],
        *list(zip(english[:third], turkish[:third], strict=True)),
    ]
    made: dict[str, list[tuple[str, ...]]] = {
        "human": human,
        "translated": [(row["anchor"], row["positive"]) for row in translated],
    }
    for name, rows in made.items():
        objects = [json.dumps({"anchor": row[0], "positive": row[1]}, ensure_ascii=False) for row in rows]
        write_lines(folder / f"pairs_{name}.jsonl", objects)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write lines of text."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def nli(stages: Mapping[str, Stage]) -> Stage:
    """Return the recipe's first stage, without the triplets that are held out."""
    train = {"source": f"{stages['data']['folder']}/nli_train.jsonl", "columns": ["anchor", "positive", "negative"]}
    return {**stages["nli"], "tasks": {"nli": {**stages["nli"]["tasks"]["nli"], "train": train}}}


def sts(stages: Mapping[str, Stage], loss: str = "cosent") -> Stage:
    """Return the recipe's second stage, one epoch of it, perhaps with another loss."""
    changes = {
        "tasks": {"sts": {**stages["sts"]["tasks"]["sts"], "loss": loss}},
        "training": {**stages["sts"]["training"], "num_train_epochs": 1},
    }
    return {**stages["sts"], **changes}


def both(stages: Mapping[str, Stage], settings: Callable[[Mapping[str, Stage]], Stage]) -> Stage:
    """Return one stage with the tasks of the two, and the batch and the rate of one of them."""
    return {**settings(stages), "tasks": {**nli(stages)["tasks"], **sts(stages)["tasks"]}}


def pairs(stages: Mapping[str, Stage], name: str) -> Stage:
    """Return the first stage on pairs without negatives."""
    train = {"source": f"{stages['data']['folder']}/pairs_{name}.jsonl", "columns": ["anchor", "positive"]}
    return {**stages["nli"], "tasks": {"pairs": {"train": train, "loss": "multiple_negatives_ranking"}}}


def full_width(stage: Stage) -> Stage:
    """Return a stage that trains the full width only."""
    return {**stage, "matryoshka_dims": stage["matryoshka_dims"][:1]}


VARIANTS = (
    Variant(name="NLI only", stage=nli),
    Variant(name="STS only", stage=sts),
    Variant(name=BASELINE, base="NLI only", stage=sts),
    Variant(name="STS, then NLI", base="STS only", stage=nli),
    Variant(name="both at once", stage=partial(both, settings=sts)),
    Variant(name="both at once, batch and rate of NLI", stage=partial(both, settings=nli)),
    Variant(name="STS by AnglE", base="NLI only", stage=partial(sts, loss="angle")),
    Variant(name="STS by cosine similarity", base="NLI only", stage=partial(sts, loss="cosine_similarity")),
    Variant(name="full width only, NLI", stage=lambda stages: full_width(nli(stages)), counterpart="NLI only"),
    Variant(
        name="full width only, NLI, then STS",
        base="full width only, NLI",
        stage=lambda stages: full_width(sts(stages)),
    ),
    Variant(name="pairs that people wrote", stage=partial(pairs, name="human")),
    Variant(
        name="pairs machine-translated",
        stage=partial(pairs, name="translated"),
        counterpart="pairs that people wrote",
    ),
)


def run(
    recipe: Recipe, arguments: argparse.Namespace, variant: Variant, stages: Mapping[str, Stage], seed: int
) -> Path:
    """Run the one stage of a variant, unless it is done; return the model's folder."""
    below = Path(recipe.output_dir, "finetuning", f"seed-{seed}").resolve()
    output = below / folder_name(variant.name)
    stage = yaml.safe_dump({"stage": variant.stage(stages)}, default_flow_style=True, allow_unicode=True, width=10**6)
    changes = [
        f"finetune.stages={stage}",
        f"seed={seed}",
        f"output_dir={output}",
    ]
    if variant.base is not None:
        changes.append(f"finetune.base_model={below / folder_name(variant.base) / 'finetune-stage'}")
    script = str(RECIPES / "finetune.py")
    subprocess.run([sys.executable, script, str(arguments.recipe), *arguments.overrides, *changes], check=True)
    return output / "finetune-stage"


def folder_name(variant: str) -> str:
    """Return the name of a variant's folder."""
    return variant.lower().replace(",", "").replace(" ", "-")


def score(recipe: Recipe, data: Path, folders: Mapping[str, Path]) -> list[ScoreReport]:
    """Score the models of one seed, all at the same widths, those that were not trained at them included.

    Returns:
        One report for each counterpart: its scores, and those of what is compared with it.
    """
    from sentence_transformers import SentenceTransformer

    config = section_of(recipe, "score")
    graded = next(suite for suite in config.suites.values() if suite.kind == "sts")
    source = local_path(recipe, graded.data.source)
    tables = {
        "sts": read_pairs(source, columns=graded.data.columns, highest_score=graded.data.highest_score),
        "triplets": read_triplets(data / "nli_held_out.jsonl"),
    }
    before = local_path(recipe, section_of(recipe, "finetune").base_model)
    groups: dict[str, dict[str, Path]] = {BASELINE: {"(before)": before}}
    for variant in VARIANTS:
        groups.setdefault(variant.counterpart, {variant.counterpart: folders[variant.counterpart]})
        groups[variant.counterpart][variant.name] = folders[variant.name]
    return [
        score_models(
            [
                ScoredModel(
                    role=name,
                    digest="",
                    load=partial(SentenceTransformer, str(folder), device="cpu"),
                    truncate_dims=config.truncate_dims,
                    precision="float32",
                )
                for name, folder in group.items()
            ],
            [
                Suite(name=kind, kind=kind, table=table, dataset=_describe(source), prompt=None)  # type: ignore[arg-type]
                for kind, table in tables.items()
            ],
            Accelerator(cpu=True),
            batch_size=config.batch_size,
            resampling=Resampling(resamples=RESAMPLES, seed=0),
            baseline=counterpart,
        )
        for counterpart, group in groups.items()
    ]


def _describe(source: Path) -> ScoreDataset:
    """Describe data for the report, of which only the numbers are used."""
    return ScoreDataset(name=source.name, digest=digest_file(source))


def tabulate(reports: Sequence[Sequence[ScoreReport]], widths: Sequence[int]) -> str:
    """Lay out means over seeds, and below how variants differ from their counterparts in every seed."""
    # By seed: a counterpart is in two reports of one, with the same scores.
    values: dict[tuple[str, str, int], dict[int, float]] = {}
    for seed, found in enumerate(reports):
        for entry in (entry for report in found for entry in report.scores):
            if entry.value is None:
                raise ValueError(f"{entry.metric} of {entry.model!r} is missing: {entry.missing}")
            values.setdefault((entry.model, entry.metric, entry.truncate_dim), {})[seed] = entry.value
    names = ["(before)", *(variant.name for variant in VARIANTS)]
    rows = []
    for name in names:
        cells = [spread(values[name, "spearman_cosine", width].values()) for width in widths]
        cells += [spread(values[name, metric, widths[0]].values()) for metric in ("pearson_cosine", "accuracy_cosine")]
        rows.append([name, *cells])
    header = ["", *(f"Spearman at {width}" for width in widths), f"Pearson at {widths[0]}", "triplets told apart"]
    compared = [
        [name, counterpart, *(difference(reports, name, counterpart, width) for width in widths)]
        for name, counterpart in [("(before)", BASELINE), *((v.name, v.counterpart) for v in VARIANTS)]
        if name != counterpart
    ]
    below = ["", "counterpart", *(f"difference at {width}" for width in widths)]
    return "\n\n".join([format_table(header, rows), format_table(below, compared)])


def spread(values: Collection[float]) -> str:
    """Write a mean and, in brackets, the lowest and the highest."""
    return f"{statistics.mean(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def difference(reports: Sequence[Sequence[ScoreReport]], name: str, counterpart: str, width: int) -> str:
    """Write the mean difference from the counterpart of the same seed, and the largest of the corrected p-values."""
    found = [
        entry
        for reports_of_seed in reports
        for report in reports_of_seed
        for entry in report.comparisons
        if (entry.model, entry.baseline, entry.metric, entry.truncate_dim)
        == (name, counterpart, "spearman_cosine", width)
    ]
    mean, p_value = statistics.mean(entry.difference for entry in found), max(entry.p_adjusted for entry in found)
    return f"{mean:+.3f}, p {'< 0.001' if p_value < 0.001 else f'at most {p_value:.3f}'}"


if __name__ == "__main__":
    main()
