"""Where models and data come from: a Hub id, or a local path."""

from pathlib import Path
from typing import NewType

# A Hub id with an optional revision (`org/name`, `org/name@sha`), or a local path, which begins with
# `{output_dir}`, `{data_root}`, `.`, `/` or `~`. The two types differ in the kind of Hub repo they name.
ModelSource = NewType("ModelSource", str)
DataSource = NewType("DataSource", str)

_PATH_STARTS = ("{output_dir}", "{data_root}", ".", "/", "~")


def is_local(source: str) -> bool:
    """Tell whether a source is a local path rather than a Hub id."""
    return source.startswith(_PATH_STARTS)


def split_revision(source: str) -> tuple[str, str | None]:
    """Split a Hub source `org/name@revision` into id and revision."""
    repo_id, _, revision = source.partition("@")
    return repo_id, revision or None


def portable_name(source: str) -> str:
    """Return a source as records hold it: no absolute path, no home, nothing of one machine."""
    if is_local(source) and source.startswith(("/", "~", ".")):
        return Path(source).name
    return source
