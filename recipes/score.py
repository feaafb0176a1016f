"""Score models on held-out text at every width.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/score.py RECIPE [section.key=value ...]
"""

import logging
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars

from hf_turkembed import recipe as recipes
from hf_turkembed.modeling.repository import trained_widths
from hf_turkembed.profile_figure import PROFILE_FIGURE, plot_profile
from hf_turkembed.recipe import Recipe, ScoreConfig
from hf_turkembed.record import Identity, digest_model
from hf_turkembed.score_figure import SCORES_FIGURE, plot_scores
from hf_turkembed.score_tables import format_report
from hf_turkembed.scores import (
    SCORES_FILE,
    BenchmarkReport,
    PublishedScores,
    Resampling,
    ScoreDataset,
    ScoreReport,
    read_scores,
    write_scores,
)
from hf_turkembed.scoring import Examination, ScoredModel, Suite, score_models
from hf_turkembed.scoring.gate import judge
from hf_turkembed.scoring.long_text import LongTextProbe, probe_long_text
from hf_turkembed.scoring.profile import time_search
from hf_turkembed.scoring.tr_mteb import read_published, score_benchmark
from hf_turkembed.step import finish_step, open_step, step_folder
from input_checks import check_scoring
from inputs import fetch, load_encoder, read_all, read_labelled, text_sources
from startup import clear_errors, read_recipe, start_process_group
from training_text import read_trained_on

logger = logging.getLogger(__name__)

# An absolute path, or one from home or a folder with dots, in a value that holds more; not what follows a placeholder.
_PATH_INSIDE = re.compile(r"""(?<![\w}./:-])(?:~|\.{1,2})?/[^\s"',\]}]*""")


def main() -> None:
    """Run the step; it fails after its report is written where the recipe's requirements are not met."""
    recipe = read_recipe(__doc__ or "", "score")
    with clear_errors():
        accelerator = start_process_group()
        config: ScoreConfig = recipes.section_of(recipe, "score")
        check_scoring(config)
        with open_step(recipe, "score", group=accelerator) as step:
            if step.done:
                report = read_scores(step.output / SCORES_FILE)
            else:
                report = measure(recipe, step.identity, config, accelerator)
                if accelerator.is_main_process:
                    write_report(step.partial, report)
                    counts = {"models": list(config.models), "scores": len(report.scores)}
                    finish_step(step, counts=counts, num_processes=accelerator.num_processes, outputs=(SCORES_FILE,))
        accelerator.end_training()
        if accelerator.is_main_process:
            sys.stdout.write(format_report(report, published_beside(report)))
            if report.benchmark is not None and any(score.missing for score in report.benchmark.scores):
                logger.warning(
                    "%s: finished tasks are kept; to try the missing ones again, remove %s and run this once more.",
                    *(report.benchmark.name, step.output),
                )
            for diagnostic in (found for found in report.diagnostics if found.flagged):
                logger.warning("%s", diagnostic.describe())
        report.check_gate()


def measure(recipe: Recipe, identity: Identity, config: ScoreConfig, accelerator: Any) -> ScoreReport:
    """Score all models of a recipe on all its suites, and look into them as it says."""
    suites = read_suites(recipe, identity, config)
    folders = {role: fetch(recipe, identity, f"models.{role}", source) for role, source in config.models.items()}
    widths = choose_widths(folders, config.truncate_dims)
    models = {
        role: ScoredModel(
            role=role,
            digest=identity.input(f"models.{role}").revision or digest_model(folder),
            load=partial(load_encoder, folder, config.precision, accelerator.device),
            truncate_dims=widths[role],
            precision=config.precision,
        )
        for role, folder in folders.items()
    }
    resampling = Resampling(resamples=config.resamples, seed=recipe.seed)
    probe = read_probe(recipe, identity, config)
    report = score_models(
        list(models.values()),
        suites,
        accelerator,
        batch_size=config.batch_size,
        resampling=resampling,
        baseline=config.baseline,
        seed_groups=config.seeds,
        examination=plan_examination(recipe, config, folders),
    )
    if probe is not None and config.long_text is not None:
        probed = [models[role] for role in config.long_text.models or config.models]
        report = replace(report, long_text=probe_long_text(probed, probe, accelerator, resampling))
    if config.profile is not None and accelerator.is_main_process:
        found = time_search(config.truncate_dims, config.profile.quantizations, config.profile.vectors, recipe.seed)
        report = replace(report, observed_search=found)
    # mteb knows nothing of process groups: the main process runs it, the others have no more to do.
    benchmark = run_tr_mteb(recipe, identity, models) if accelerator.is_main_process else None
    return replace(
        report,
        command=reproduce_command(recipe, identity),
        benchmark=benchmark,
        verdicts=judge(config.require, report.scores, benchmark) if accelerator.is_main_process else (),
        strict=config.diagnostics is not None and config.diagnostics.strict,
    )


def plan_examination(recipe: Recipe, config: ScoreConfig, folders: Mapping[str, Path]) -> Examination:
    """Say what is looked into beside scores, and what the diagnosed models were trained on."""
    profile, diagnostics = config.profile, config.diagnostics
    diagnosed = () if diagnostics is None else diagnostics.models or tuple(config.models)
    return Examination(
        lexical_floor=config.lexical_floor,
        profiled=() if profile is None else profile.suites,
        quantizations=() if profile is None else profile.quantizations,
        trained_on={role: read_trained_on(recipe, folders[role]) for role in diagnosed},
        trained_from={} if diagnostics is None else diagnostics.trained_from,
    )


def read_probe(recipe: Recipe, identity: Identity, config: ScoreConfig) -> LongTextProbe | None:
    """Read what the probe of long texts is made of, if the recipe asks for it."""
    if config.long_text is None:
        return None
    section = config.long_text
    table = read_labelled(recipe, identity, "long_text.pairs", section.pairs, "retrieval")
    # Of pairs that share a text, one: two right answers would be one too many.
    answers = dict(zip(table["sentence1"], table["sentence2"], strict=True))
    queries = {answer: query for query, answer in answers.items()}
    used = len(queries) - len(queries) % section.candidates
    sources = text_sources(recipe, identity, "long_text.corpus", section.corpus)
    sentences = [text for texts in read_all(sources, recipe.seed).values() for text in texts]
    return LongTextProbe(
        queries=list(queries.values())[:used],
        answers=list(queries)[:used],
        sentences=sentences,
        lengths=section.lengths,
        candidates=section.candidates,
        seed=recipe.seed,
        synthetic=section.pairs.synthetic,
    )


def run_tr_mteb(recipe: Recipe, identity: Identity, models: Mapping[str, ScoredModel]) -> BenchmarkReport | None:
    """Score models on TR-MTEB where the recipe asks for it.

    mteb's results stay in a folder beside those of the steps, so that a run that was cut off, or a later one of the
    same models, goes on from them.
    """
    config: ScoreConfig = recipes.section_of(recipe, "score")
    if config.tr_mteb is None:
        return None
    asked = config.tr_mteb
    if not sys.stderr.isatty():
        # A bar for each of some eighty files; what is done is logged task by task.
        disable_progress_bars()
    return score_benchmark(
        [(models[role], _mteb_name(identity, role)) for role in asked.models],
        asked.tasks,
        results=step_folder(recipe, "tr_mteb"),
        batch_size=config.batch_size,
        prompts=asked.prompts,
        datasets=None if asked.datasets is None else recipes.local_path(recipe, asked.datasets),
    )


def _mteb_name(identity: Identity, role: str) -> str:
    """Return the name under which mteb files a model: its Hub id, or its role for a local one."""
    found = identity.input(f"models.{role}")
    return found.name if found.revision else f"local/{role}"


def write_report(folder: Path, report: ScoreReport) -> None:
    """Write the scores as JSON, as a table, and as figures."""
    write_scores(folder, report)
    (folder / "scores.md").write_text(format_report(report, published_beside(report)), encoding="utf-8")
    if report.scores:
        plot_scores(report, folder / SCORES_FIGURE)
    if report.profile:
        plot_profile(report.profile, folder / PROFILE_FIGURE)


def published_beside(report: ScoreReport) -> tuple[PublishedScores, ...]:
    """Return what others published on the benchmark of a report."""
    return () if report.benchmark is None else read_published()


def reproduce_command(recipe: Recipe, identity: Identity) -> str:
    """Return the command that measures the scores again: inputs of the Hub pinned, no path of this machine."""
    path, *overrides = sys.argv[1:]
    below = Path(path).resolve()
    root = Path(__file__).resolve().parents[1]
    shown = below.relative_to(root).as_posix() if below.is_relative_to(root) else below.name
    pins = [f"score.{found.role}={found.name}@{found.revision}" for found in identity.inputs if found.revision]
    pinned = {pin.partition("=")[0] for pin in pins}
    kept = [portable_override(override) for override in overrides if override.partition("=")[0] not in pinned]
    launch = f"accelerate launch --config_file accelerate_configs/{recipe.topology}.yaml"
    return f"{launch} recipes/score.py {shlex.join([shown, *kept, *pins])}"


def portable_override(override: str) -> str:
    """Return an override of the command line, paths of this machine replaced by DIR, inside lists and mappings too."""
    key, _, value = override.partition("=")
    if recipes.portable_name(value) != value or key == "data_root":
        return f"{key}=DIR"
    return f"{key}={_PATH_INSIDE.sub('DIR', value)}"


def choose_widths(models: Mapping[str, Path], truncate_dims: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Choose the widths each model is scored at: those asked for that it declares, or all where it declares none.

    Raises:
        ValueError: If a width was trained by none of the models that say what they were trained at.
    """
    declared = {role: trained_widths(folder) for role, folder in models.items()}
    known = {width for widths in declared.values() for width in widths or ()}
    if untrained := [width for width in truncate_dims if known and width not in known]:
        raise ValueError(
            f"`score.truncate_dims` asks for {untrained}, which no model was trained at; the trained "
            f"`matryoshka_dims` are {', '.join(map(str, sorted(known, reverse=True)))}."
        )
    return {
        role: tuple(width for width in truncate_dims if widths is None or width in widths)
        for role, widths in declared.items()
    }


def read_suites(recipe: Recipe, identity: Identity, config: ScoreConfig) -> list[Suite]:
    """Read the held-out data of every suite."""
    suites = []
    for name, suite in config.suites.items():
        role = f"suites.{name}.data"
        found = identity.input(f"{role}.source")
        dataset = ScoreDataset(
            name=recipes.portable_name(suite.data.source),
            revision=found.revision,
            digest=found.digest,
            config=suite.data.config,
            split=suite.data.split,
            synthetic=suite.data.synthetic,
        )
        table = read_labelled(recipe, identity, role, suite.data, suite.kind)
        suites.append(Suite(name=name, kind=suite.kind, table=table, dataset=dataset, prompt=suite.prompt))
    return suites


if __name__ == "__main__":
    main()
