"""The life of a step: is it done, where does it write, and the record it leaves when it is finished."""

import errno
import fcntl
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import metadata_load, try_to_load_from_cache
from safetensors import SafetensorError

from hf_turkembed import recipe as recipes
from hf_turkembed import record
from hf_turkembed.json_files import as_plain, read_json, write_json
from hf_turkembed.recipe import Recipe
from hf_turkembed.record import Identity, Input, Observed, Provenance
from hf_turkembed.version import __version__

logger = logging.getLogger(__name__)

# A full disk, a full quota, a file too large for its file system, and one that cannot be written to.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# How safetensors ends the message of an error of the operating system.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of one recipe, about to run or already done."""

    name: str
    identity: Identity
    # The finished output, which exists only when the step is done.
    output: Path
    # Where the step writes until it is done.
    partial: Path
    # Beside that: the identity the unfinished work belongs to, and how often it was begun.
    progress: Path
    done: bool
    resumable: bool = False
    # Names, or patterns of names, of what lies there that only unfinished work needs.
    scratch: tuple[str, ...] = ()
    runs_before: int = 0
    started: float = 0.0
    price_per_hour: float | None = None
    # Licences that local models stated which are inputs, by role.
    licenses: Mapping[str, str] = field(default_factory=dict)


def step_folder(recipe: Recipe, name: str) -> Path:
    """Return the folder a step or stage writes, such as `clone` or `finetune-nli`."""
    return Path(recipe.output_dir) / name


def identify(recipe: Recipe, step: str, stage: str | None = None) -> Identity:
    """Work out a step's identity: its section, its inputs by digest or revision, the code's version, the seed.

    Args:
        recipe: The whole recipe.
        step: One of `recipe.STEPS`.
        stage: Name of a stage of `finetune`; its identity leaves out the other stages, and its base is the stage
            before it.

    Raises:
        ValueError: If the recipe has no section for the step.
        FileNotFoundError: If a local input does not exist; the message names the key.
    """
    section = recipes.section_of(recipe, step)
    if stage is not None:
        section = only_stage(section, stage)
    inputs = tuple(_identify_input(recipe, section, role, source) for role, source in recipes.find_sources(section))
    return Identity(
        step=step, recipe=recipes.portable_section(section), inputs=inputs, code=__version__, seed=recipe.seed
    )


def is_done(output: Path, identity: Identity) -> bool:
    """Tell whether a folder holds the finished output of this very run.

    Raises:
        ValueError: If it holds another run; the message lists the keys that differ.
        FileNotFoundError: If it exists but was not made by a step.
    """
    if not output.exists():
        return False
    _check_same_run(output, record.read_provenance(output).identity, identity)
    return True


@contextmanager
def open_step(
    recipe: Recipe,
    step: str,
    *,
    stage: str | None = None,
    resumable: bool = False,
    mendable: bool = False,
    scratch: tuple[str, ...] = (),
    group: Any = None,
) -> Iterator[Step]:
    """Find out whether a step is done; if not, prepare the folder of its unfinished work, and clear it if it fails.

    Args:
        recipe: The whole recipe.
        step: One of `recipe.STEPS`.
        stage: Name of a stage of `finetune`.
        resumable: Whether the step goes on from what an interrupted run left, which then also outlives an error;
            otherwise nothing half-written stays.
        mendable: Whether a finished folder whose files are no longer as its record says becomes unfinished work again,
            with the record in it, for a resumable step that makes those files anew.
        scratch: Names, or patterns of names, of what a resumable step leaves in its folder that only unfinished work
            needs; it goes once the record is written.
        group: An `accelerate.Accelerator` where several processes run the step; only the main one changes folders.

    Yields:
        The step, which may be `done` already.

    Raises:
        ValueError: If the output folder, or the unfinished work of a resumable step, belongs to another run; the
            message lists the keys that differ.
        FileNotFoundError: If an input does not exist.
        OSError: If there is no room for what the step writes, whichever library met that.
    """
    main_process = group is None or group.is_main_process
    with nullcontext() if group is None else group.main_process_first():
        opened = replace(_begin(recipe, step, stage, resumable), scratch=scratch)
        if opened.done and mendable:
            opened = _reopen_if_damaged(opened)
        lock = None if opened.done or not main_process else _lock(opened)
        if lock is not None:
            opened, lock = _prepare(opened, lock)
    try:
        yield opened
    except BaseException as error:
        if main_process and not opened.done and opened.partial.is_dir():
            if not resumable or not any(opened.partial.iterdir()):
                shutil.rmtree(opened.partial)
                opened.progress.unlink()
        if (unwritten := _find_failed_write(error, opened.partial)) is not None:
            raise unwritten from error
        raise
    finally:
        if lock is not None:
            os.close(lock)


def finish_step(
    step: Step,
    *,
    counts: Mapping[str, Any],
    num_processes: int = 1,
    outputs: tuple[str, ...] = (),
    parts: tuple[str, ...] = (),
) -> None:
    """Write the record of a finished step and give its folder the final name.

    Args:
        step: What `open_step` gave.
        counts: Numbers the step counted, for `Observed.counts`.
        num_processes: Size of the process group that ran it.
        outputs: Names of files whose digests the record holds, besides weights and settings.
        parts: Names of folders that can be published by themselves; each gets the record with its own outputs alone.

    Raises:
        ValueError: If a number in `counts` is not finite.
    """
    seconds = time.monotonic() - step.started
    scratch = {path for pattern in step.scratch for path in step.partial.glob(pattern)}
    kept = (path for path in step.partial.rglob("*.*") if path.is_file() and scratch.isdisjoint((path, *path.parents)))
    found = set(filter(record.is_output, (path.relative_to(step.partial).as_posix() for path in kept)))
    observed = Observed(
        finished=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(seconds, 2),
        runs=step.runs_before + 1,
        num_processes=num_processes,
        hardware=record.observe_hardware(),
        packages=record.observe_packages(),
        counts=counts,
        outputs={name: record.digest_file(step.partial / name) for name in sorted({*outputs, *found})},
        licenses={**step.licenses, **_hub_licenses(step.identity)},
        price_per_hour=step.price_per_hour,
        cost=None if step.price_per_hour is None else round(step.price_per_hour * seconds / 3600, 4),
    )
    for part in parts:
        own = {
            name.removeprefix(f"{part}/"): value
            for name, value in observed.outputs.items()
            if name.startswith(f"{part}/") and record.is_output(name.removeprefix(f"{part}/"))
        }
        part_observed = replace(observed, outputs=own)
        record.write_provenance(step.partial / part, Provenance(identity=step.identity, observed=part_observed))
    # With its record the step is finished but for what `_complete` does, and can do again after a kill.
    record.write_provenance(step.partial, Provenance(identity=step.identity, observed=observed))
    _complete(step)
    logger.info("%s: done in %.1f s, written to %s", step.name, seconds, step.output)


def remove_scratch(folder: Path, scratch: tuple[str, ...]) -> None:
    """Remove what only unfinished work needs, by names or patterns of names."""
    for path in [path for pattern in scratch for path in folder.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def check_external_inputs(recipe: Recipe) -> None:
    """Check that the local inputs which no step of the recipe makes exist, before any work.

    Raises:
        FileNotFoundError: If one is missing; the message names its key and where it was looked for.
    """
    made = {name.split("-")[0] for name in recipe.steps}
    for step in recipe.steps:
        section = recipes.section_of(recipe, step)
        for role, source in recipes.find_sources(section):
            below = source.removeprefix("{output_dir}/")
            if recipes.is_local(source) and (below == source or below.split("/")[0].split("-")[0] not in made):
                _require(recipe, f"{step}.{role}", source)


def _begin(recipe: Recipe, step: str, stage: str | None, resumable: bool) -> Step:
    """Identify a step and find out whether it is done."""
    identity = identify(recipe, step, stage)
    name = step if stage is None else f"{step}-{stage}"
    output = step_folder(recipe, name)
    begun = Step(
        name=name,
        identity=identity,
        output=output,
        partial=output.with_name(f"{name}.partial"),
        progress=output.with_name(f"{name}.progress.json"),
        done=is_done(output, identity),
        resumable=resumable,
        started=time.monotonic(),
        price_per_hour=recipe.price_per_hour,
        licenses=_local_licenses(recipe, identity, stage),
    )
    if begun.done:
        # Left where a run was killed between its last two moves.
        begun.progress.unlink(missing_ok=True)
        logger.info("%s: already done, %s holds the same run; skipped.", name, output)
    return begun


def _reopen_if_damaged(step: Step) -> Step:
    """Turn a finished folder back into unfinished work where files in it changed or are missing."""
    damaged = record.find_damaged(step.output)
    if not damaged:
        return step
    logger.warning("%s: %s is not as it was written; such files alone are made again", step.name, damaged[0])
    runs = record.read_provenance(step.output).observed.runs
    write_json(step.progress, {"identity": as_plain(step.identity), "runs": runs})
    os.replace(step.output, step.partial)
    return replace(step, done=False)


def _local_licenses(recipe: Recipe, identity: Identity, stage: str | None) -> dict[str, str]:
    """Read the licences that local models state in their cards."""
    section = recipes.section_of(recipe, identity.step)
    sources = dict(recipes.find_sources(section if stage is None else only_stage(section, stage)))
    cards = {
        found.role: recipes.local_path(recipe, sources[found.role]) / "README.md"
        for found in identity.inputs
        if found.kind == "model" and found.revision is None
    }
    return {role: stated for role, card in cards.items() if (stated := _stated_license(card))}


def _hub_licenses(identity: Identity) -> dict[str, str]:
    """Read the licences that models of the Hub state in their cards, as they were downloaded for the step."""
    cards = {
        found.role: try_to_load_from_cache(found.name, "README.md", revision=found.revision)
        for found in identity.inputs
        if found.kind == "model" and found.revision is not None
    }
    paths = {role: Path(card) for role, card in cards.items() if isinstance(card, str)}
    return {role: stated for role, card in paths.items() if (stated := _stated_license(card))}


def _stated_license(card: Path) -> str | None:
    """Return the licence id that a card states."""
    try:
        stated = (metadata_load(card) or {}).get("license") if card.is_file() else None
    except yaml.YAMLError as error:
        raise ValueError(f"{card}: its header is not valid YAML ({error}); correct it, or remove the file.") from error
    return stated if isinstance(stated, str) else None


def _complete(step: Step) -> None:
    """Give a folder that has its record the final name."""
    remove_scratch(step.partial, step.scratch)
    os.replace(step.partial, step.output)
    step.progress.unlink(missing_ok=True)


def _has_whole_output(step: Step) -> bool:
    """Tell whether a run of the same identity was killed after it wrote its record."""
    if not (step.partial / record.PROVENANCE_FILE).is_file():
        return False
    identity = record.read_provenance(step.partial).identity
    return identity.digest == step.identity.digest and not record.find_damaged(step.partial)


def _prepare(step: Step, lock: int) -> tuple[Step, int | None]:
    """Make the locked folder of unfinished work ready: emptied, unless the step can go on from it or was finished."""
    if _has_whole_output(step):
        _complete(step)
        os.close(lock)
        logger.info("%s: was done but for its name, now %s", step.name, step.output)
        return replace(step, done=True), None
    runs = _read_runs(step) if step.resumable and any(step.partial.iterdir()) else 0
    if not step.resumable and any(step.partial.iterdir()):
        shutil.rmtree(step.partial)
        os.close(lock)
        lock, runs = _lock(step), 0
    write_json(step.progress, {"identity": as_plain(step.identity), "runs": runs + 1})
    return replace(step, runs_before=runs), lock


def _lock(step: Step) -> int:
    """Make the folder of unfinished work and lock it for as long as this process works in it.

    A launcher that was killed can leave its workers running; they must not meet those of the next run.
    """
    step.partial.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(step.partial, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ValueError(
            f"another process is working in {step.partial}; wait for it, or end it, then run `{step.name}` again."
        ) from error
    return descriptor


def only_stage(section: recipes.FinetuneConfig, stage: str) -> recipes.FinetuneConfig:
    """Return a finetune section with one stage alone, and what it begins with as the base model."""
    names = list(section.stages)
    before = names.index(stage) - 1
    own = section.stages[stage]
    base = own.base_model
    if base is None:
        base = section.base_model if before < 0 else recipes.ModelSource(f"{{output_dir}}/finetune-{names[before]}")
    return replace(section, base_model=base, stages={stage: replace(own, base_model=None)})


def _identify_input(recipe: Recipe, section: Any, role: str, source: str) -> Input:
    """Name one input by digest (local) or by commit (Hub)."""
    kind, name = recipes.source_kind(section, role), recipes.portable_name(source)
    if not recipes.is_local(source):
        repo_id, revision = recipes.split_revision(source)
        return Input(role=role, kind=kind, name=repo_id, revision=_resolve_revision(role, repo_id, revision, kind))
    path = _require(recipe, role, source)
    # The record lies in the input itself, or beside it where the input is a part of a step's output.
    records = [folder for folder in (path, path.parent) if (folder / record.PROVENANCE_FILE).is_file()]
    link = record.read_provenance(records[0]).identity.digest if records else None
    if records and records[0] == path:
        # A bit that flipped on a disk would be read as another text, vector or weight.
        record.check_outputs(path)
    return Input(role=role, kind=kind, name=name, digest=record.digest_path(path), record=link)


def _require(recipe: Recipe, role: str, source: str) -> Path:
    """Return the path of a local input that exists."""
    path = recipes.local_path(recipe, source)
    if not path.exists():
        raise FileNotFoundError(
            f"`{role}` names {source!r}, but {path} does not exist; run the step that makes it, or correct the path."
        )
    return path


def _resolve_revision(role: str, repo_id: str, revision: str | None, kind: str) -> str:
    """Ask the Hub for the commit behind a branch, a tag or the default branch; a full commit needs no asking."""
    if revision is not None and len(revision) == 40:
        return revision
    from httpx2 import HTTPError
    from huggingface_hub import HfApi

    try:
        commit = HfApi().repo_info(repo_id, revision=revision, repo_type=kind).sha
    except (OSError, HTTPError) as error:
        raise ConnectionError(
            f"`{role}` names the {kind} {repo_id!r} on the Hub, which did not say which commit that is: "
            f"{' '.join(str(error).split())} Check name, network and access, or pin it with @<commit>."
        ) from error
    if commit is None:
        raise ValueError(f"the Hub names no commit for {repo_id!r} at revision {revision!r}; pin one with @<commit>.")
    return commit


def _check_same_run(folder: Path, found: Identity, expected: Identity) -> None:
    """Raise unless a folder belongs to the run that was asked for."""
    if differences := record.describe_differences(found, expected):
        listed = "\n  ".join(differences[:8])
        raise ValueError(
            f"{folder} holds another run of `{found.step}`; these keys differ (found -> asked for):\n  {listed}\n"
            "Choose another output_dir, or remove that folder."
        )


def _find_failed_write(error: BaseException, folder: Path) -> OSError | None:
    """Return the error of a full disk, with the folder's name, behind one that lacks the name or hides it."""
    number = error.errno if isinstance(error, OSError) and error.filename is None else None
    if isinstance(error, SafetensorError) and (found := _OS_ERROR.search(str(error))):
        number = int(found[1])
    # torch's writer of archives says no more than that its file ended early.
    if isinstance(error, RuntimeError) and "inline_container" in str(error) and "unexpected pos" in str(error):
        number = errno.ENOSPC
    return OSError(number, os.strerror(number), str(folder)) if number in NO_ROOM else None


def _read_runs(step: Step) -> int:
    """Read how often the unfinished work of the same identity was begun."""
    if not step.progress.is_file():
        return 0
    progress = read_json(step.progress)
    _check_same_run(step.partial, record.read_identity(progress["identity"]), step.identity)
    return int(progress["runs"])
