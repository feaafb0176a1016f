"""Run the steps that a recipe lists, skip those that are done, go on with those that were cut off.

python recipes/pipeline.py RECIPE [section.key=value ...]
"""

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from hf_turkembed.publishing.outbox import outbox_folder
from hf_turkembed.recipe import Recipe, load_recipe, local_path
from hf_turkembed.step import is_done, step_folder
from hf_turkembed.step_identity import check_external_inputs, identify
from input_checks import check_hub_scoring, check_local_data
from startup import add_recipe_arguments, clear_errors, start_logging

logger = logging.getLogger("pipeline")

ROOT = Path(__file__).resolve().parent.parent
_POLL_SECONDS = 0.2
# Steps that use the process group, started by `accelerate launch`.
LAUNCHED = ("embed", "distill", "finetune", "score")


def main() -> None:
    """Run the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recipe_arguments(parser)
    arguments = parser.parse_args()
    start_logging()
    with clear_errors():
        run(arguments.recipe, arguments.overrides, dry_run=arguments.dry_run)


def run(path: Path, overrides: Sequence[str] = (), *, dry_run: bool = False) -> None:
    """Run the steps of a recipe that are not done yet, or only say with which commands."""
    recipe = load_recipe(path, overrides)
    check_external_inputs(recipe)
    check_local_data(recipe, recipe.steps)
    if recipe.score is not None and "score" in recipe.steps and not (dry_run or step_folder(recipe, "score").exists()):
        check_hub_scoring(recipe, recipe.score)
    topology = topology_file(recipe)
    for step in recipe.steps:
        command = step_command(step, topology, [str(path), *overrides])
        if dry_run:
            logger.info("%s: %s", step, " ".join(command))
        elif step_is_done(recipe, step):
            logger.info("%s: already done, skipped", step)
        else:
            run_step(step, command, use_cpu=bool(yaml.safe_load(topology.read_text())["use_cpu"]))


def topology_file(recipe: Recipe) -> Path:
    """Return the launch configuration the recipe names.

    Raises:
        FileNotFoundError: If there is none of that name; the message lists those there are.
    """
    folder = ROOT / "accelerate_configs"
    path = folder / f"{recipe.topology}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise FileNotFoundError(f"`topology` is {recipe.topology!r}, but accelerate_configs has only {names}.")
    return path


def step_command(step: str, topology: Path, arguments: list[str]) -> list[str]:
    """Return the command that runs one step."""
    script = str(ROOT / "recipes" / f"{step}.py")
    if step not in LAUNCHED:
        return [sys.executable, script, *arguments]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(topology)]
    return [*launch, script, *arguments]


def step_is_done(recipe: Recipe, step: str) -> bool:
    """Tell whether a step, all stages of it, is done for this very recipe.

    Raises:
        ValueError: If its folder holds another run.
    """
    if step == "finetune" and recipe.finetune is not None:
        # A later stage's identity needs the output of the one before it, so that the order matters.
        return all(
            step_folder(recipe, f"finetune-{stage}").exists()
            and is_done(step_folder(recipe, f"finetune-{stage}"), identify(recipe, step, stage))
            for stage in recipe.finetune.stages
        )
    folder = step_folder(recipe, step)
    done = is_done(folder, identify(recipe, step))
    if done and step == "publish" and not is_in_outbox(recipe):
        shutil.rmtree(folder)
        return False
    return done


def is_in_outbox(recipe: Recipe) -> bool:
    """Tell whether everything a recipe publishes locally still stands in the outbox."""
    config = recipe.publish
    if config is None or config.target != "outbox":
        return True
    repos = [(local_path(recipe, repo.folder), repo.repo_id) for repo in config.repos.values()]
    return all(outbox_folder(folder, Path(config.outbox), repo_id).is_dir() for folder, repo_id in repos)


def run_step(step: str, command: list[str], *, use_cpu: bool) -> None:
    """Run one step in a process of its own, on the processors alone if `use_cpu`.

    Raises:
        SystemExit: If it fails, with its exit code.
    """
    logger.info("%s: running", step)
    started = time.monotonic()
    # Threads that spin while they wait make small models ten times slower where other work shares the processors.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    if use_cpu:
        # `accelerate launch` passes this on to one process, not to several.
        environment["ACCELERATE_USE_CPU"] = "true"
    # A group of its own, so that what stops the pipeline reaches the workers behind a launcher, too.
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    code = wait_for_group(process)
    if code:
        logger.error("%s: failed with exit code %d; its own message stands above", step, code)
        # As a shell tells of a process that a signal ended.
        raise SystemExit(code if code > 0 else 128 - code)
    logger.info("%s: finished, %.1f s with start-up", step, time.monotonic() - started)


def wait_for_group(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a command; pass on to all of its processes what asks this one to stop, and let them save.

    Args:
        process: Leads a group of its own.

    Returns:
        The exit code of the command.
    """
    asked = []

    def pass_on(number: int, frame: Any) -> None:
        asked.append(number)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        code = process.wait()
        # A launcher may end at once, and leave a worker that is saving.
        while asked and _has_members(process.pid):
            time.sleep(_POLL_SECONDS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code


def _has_members(group: int) -> bool:
    """Tell whether processes of a group are alive; one that ended, but that no parent waited for, is not."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


if __name__ == "__main__":
    main()
