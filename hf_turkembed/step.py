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

from safetensors import SafetensorError

from hf_turkembed import record
from hf_turkembed.json_files import as_plain, read_json, write_json
from hf_turkembed.recipe import Recipe
from hf_turkembed.record import Identity, Observed, Provenance
from hf_turkembed.step_identity import identify
from hf_turkembed.step_licenses import hub_licenses, local_licenses

logger = logging.getLogger(__name__)

# The name under which safetensors writes a file before it gives it its own.
_UNFINISHED_WEIGHTS = ".tmp??????"
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
        if opened.done:
            logger.info("%s: already done, %s holds the same run; skipped.", opened.name, opened.output)
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
        licenses={**step.licenses, **hub_licenses(step.identity)},
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
        licenses=local_licenses(recipe, identity, stage),
    )
    if begun.done:
        # Left where a run was killed between its last two moves.
        begun.progress.unlink(missing_ok=True)
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
    # What was being written when a run was killed: nothing writes under such a name again, and it would be kept.
    for path in step.partial.rglob(_UNFINISHED_WEIGHTS):
        path.unlink()
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
    """Read how often the unfinished work of the same identity was begun.

    Raises:
        ValueError: If it belongs to another run, or nobody can tell to which.
    """
    try:
        progress = read_json(step.progress)
        found, runs = record.read_identity(progress["identity"]), int(progress["runs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{step.partial} holds unfinished work, but {step.progress}, which says of which run, is missing or "
            f"damaged ({error}); remove {step.partial}, and the step begins anew."
        ) from error
    _check_same_run(step.partial, found, step.identity)
    return runs
