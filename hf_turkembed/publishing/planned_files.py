"""What a folder puts into a repo, file by file, and how that differs from what stands there."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_turkembed import record as records
from hf_turkembed.publishing.staging import list_files

# Files that the Hub itself keeps in a repo.
KEPT_FILES = frozenset({".gitattributes"})
# Hexadecimal digits of git's id of a file; a SHA-256 has more.
_GIT_DIGITS = 40


@dataclass(frozen=True, kw_only=True)
class PlannedFile:
    """One file of a repo as it would be published."""

    path: str
    # Bytes.
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The paths at which a folder and a repo differ, as what publishing the folder does to them."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    deleted: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is anything to publish."""
        return bool(self.added or self.changed or self.deleted)

    @property
    def sent(self) -> tuple[str, ...]:
        """Paths whose content goes into the repo."""
        return (*self.added, *self.changed)


def plan_files(staged: Path) -> tuple[PlannedFile, ...]:
    """List the files of a staged folder with size and SHA-256."""
    paths = [(name, staged / name) for name in list_files(staged)]
    return tuple(
        PlannedFile(path=name, size=path.stat().st_size, sha256=records.digest_file(path)) for name, path in paths
    )


def compare_files(staged: Path, files: Sequence[PlannedFile], there: Mapping[str, str]) -> Difference:
    """Compare the files of a staged folder with those of a repo, by content.

    Args:
        staged: The folder.
        files: What `plan_files` gave for it.
        there: Digests of the repo's files by path, each a SHA-256 or git's id of the file.
    """
    paths = {file.path: file for file in files}
    return Difference(
        added=tuple(path for path in paths if path not in there),
        changed=tuple(
            path for path, file in paths.items() if path in there and not _is_same(staged, file, there[path])
        ),
        deleted=tuple(sorted(there.keys() - paths.keys() - KEPT_FILES)),
    )


def git_id(path: Path) -> str:
    """Return the name that git gives to the content of a file: SHA-1 over its size and bytes."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _is_same(staged: Path, file: PlannedFile, digest: str) -> bool:
    """Tell whether a planned file has a digest; its SHA-256 is known."""
    return file.sha256 == digest or (len(digest) == _GIT_DIGITS and git_id(staged / file.path) == digest)
