"""The outbox: a local folder that holds repos exactly as they would stand on the Hub."""

import os
import shutil
from pathlib import Path

from hf_turkembed import record
from hf_turkembed.publishing import lineage
from hf_turkembed.publishing.lineage import RepoType


def outbox_path(outbox: Path, repo_id: str, repo_type: RepoType) -> Path:
    """Return where a repo stands: `outbox/ORG/NAME`, or `outbox/datasets/ORG/NAME`."""
    return (outbox if repo_type == "model" else outbox / "datasets") / repo_id


def outbox_folder(folder: Path, outbox: Path, repo_id: str) -> Path:
    """Return where the output folder of a step stands in the outbox once it is published.

    Raises:
        FileNotFoundError: If the folder has no record.
        ValueError: If it is not the output of a step that is published.
    """
    return outbox_path(outbox, repo_id, lineage.repo_type_of(lineage.kind_of_output(folder)))


def read_outbox(outbox: Path, repo_id: str, repo_type: RepoType) -> dict[str, str]:
    """Map the paths of a repo in the outbox to SHA-256; there are none where it was not published yet."""
    folder = outbox_path(outbox, repo_id, repo_type)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): record.digest_file(path) for path in files}


def write_to_outbox(staged: Path, outbox: Path, repo_id: str, repo_type: RepoType) -> Path:
    """Copy a staged folder into the outbox; an older version is replaced at the end, as a whole.

    Args:
        staged: A verified folder.
        outbox: Root of the outbox, created where it is missing.
        repo_id: `org/name`.
        repo_type: `model` or `dataset`.

    Returns:
        The folder that now holds the repo.

    Raises:
        OSError: If a file cannot be written; the older version then stands as before.
    """
    target = outbox_path(outbox, repo_id, repo_type)
    # Neither name is a valid repo name, so that no repo is ever taken for one of them.
    partial, replaced = (target.with_name(f".{target.name}.{state}") for state in ("partial", "replaced"))
    if replaced.exists() and not target.exists():
        # A run was killed between the two moves at the end: the older version goes back first.
        os.replace(replaced, target)
    for leftover in (partial, replaced):
        if leftover.exists():
            shutil.rmtree(leftover)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(staged, partial)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if target.exists():
        os.replace(target, replaced)
    os.replace(partial, target)
    if replaced.exists():
        shutil.rmtree(replaced)
    return target
