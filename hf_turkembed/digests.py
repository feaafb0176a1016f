"""Digests of files that unfinished work goes on from, kept beside them."""

from collections.abc import Iterable
from pathlib import Path

from hf_turkembed.json_files import read_json, write_json
from hf_turkembed.record import digest_file

DIGESTS_FILE = "digests.json"


def write_digests(folder: Path, files: Iterable[Path]) -> None:
    """Write the SHA-256 of files of a folder into it."""
    write_json(
        folder / DIGESTS_FILE, {file.relative_to(folder).as_posix(): digest_file(file) for file in sorted(files)}
    )


def check_digests(folder: Path) -> None:
    """Check that the files of a folder are as they were when their digests were written; without these, nothing is.

    Raises:
        ValueError: If one is missing, or another one.
    """
    path = folder / DIGESTS_FILE
    for name, digest in read_json(path).items() if path.is_file() else ():
        if not (folder / name).is_file() or digest_file(folder / name) != digest:
            raise ValueError(f"{folder / name} is not as it was written; remove {folder}, and run the step again.")
