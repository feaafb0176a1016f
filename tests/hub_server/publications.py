"""Publications that something strikes: a repo as it stood, a folder on its way there, and what is left afterwards."""

import contextlib
import io
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from hf_turkembed.publishing.hub import HubSettings, push_folder
from hf_turkembed.publishing.hub_state import HubRepo, read_state
from hf_turkembed.publishing.planned_files import git_id, plan_files
from hf_turkembed.record import digest_file
from hub_server.client import Client

# Else each failure of xet costs seconds; it is read when its first session begins.
os.environ["HF_XET_CLIENT_RETRY_BASE_DELAY"] = "10ms"

# What a publication calls its commit.
TITLE = "Publish it with hf_turkembed"
_CARD = "---\nlicense: apache-2.0\nlanguage: tr\n---\n# Sürüm {version}\n"
WAIT = 7
_LIMIT = {"RateLimit": f'"api";r=0;t={WAIT}', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
# What can go wrong with one request, by name.
FAULTS: dict[str, dict[str, Any]] = {
    "429 with Retry-After": {"kind": "refuse", "status": 429, "headers": {"Retry-After": str(WAIT)}},
    "429 with RateLimit": {"kind": "refuse", "status": 429, "headers": _LIMIT},
    "500": {"kind": "refuse", "status": 500},
    "503": {"kind": "refuse", "status": 503},
    "request cut off": {"kind": "cut_request", "size": 20},
    "answer lost": {"kind": "lose_answer"},
    "answer cut off": {"kind": "cut_answer", "size": 10},
    "answer slow": {"kind": "slow", "seconds": 0.2},
    "answer damaged": {"kind": "corrupt", "size": 1},
}


@dataclass(frozen=True)
class Strike:
    """What one fault did to one publication."""

    # What the publication ended with, None for well.
    error: str | None
    # How many requests met the fault.
    requests: int
    # Seconds that were to be waited.
    waits: list[float]


def write_version(folder: Path, version: int, size: int = 100_000) -> Path:
    """Write one version of a model's folder: card and weights change, a file goes, a file comes, one stays."""
    folder.mkdir(parents=True)
    (folder / "1_Pooling").mkdir()
    (folder / "README.md").write_text(_CARD.format(version=version), encoding="utf-8")
    (folder / "config.json").write_text('{"model_type": "gte"}')
    (folder / "model.safetensors").write_bytes(os.urandom(size))
    (folder / "1_Pooling" / f"config_{version}.json").write_text(f'{{"version": {version}}}')
    return folder


def publish(name: str, folder: Path, *, repo_type: str = "model", **settings: Any) -> str:
    """Publish a folder."""
    repo = HubRepo(repo_id=name, repo_type=repo_type)
    state = read_state(HfApi(), repo)
    return push_folder(folder, plan_files(folder), repo, state, HubSettings(**settings), subject="it")


def digests(folder: Path, large: str = ".safetensors") -> dict[str, str]:
    """Map the paths of a folder to the digests that the Hub should give for them; large files have one suffix."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): digest_file(path) if path.suffix == large else git_id(path)
        for path in paths
    }


def remote(hub: Client, name: str, revision: str = "main") -> dict[str, str]:
    """Map the paths of a repo to the digests that the Hub gives for them; none where there is no repo."""
    try:
        files = [item for item in hub.api.list_repo_tree(name, recursive=True, revision=revision)]
    except RepositoryNotFoundError:
        return {}
    found = {item.path: item for item in files if isinstance(item, RepoFile) and item.path != ".gitattributes"}
    return {path: item.lfs.sha256 if item.lfs else item.blob_id for path, item in found.items()}


def strike(
    hub: Client, route: str, fault: dict[str, Any], *, update: bool, size: int = 100_000, **settings: Any
) -> Strike:
    """Publish while something goes wrong, and check what is left; publish again, and check that all is well.

    Args:
        hub: Where.
        route: A regular expression for the requests that are struck.
        fault: What strikes them.
        size: Bytes of the weights.
        update: Publish a second version over a first; else the first one, into a repo that is not there yet.
        settings: Which of these requests are struck.
    """
    name, place = hub.new_name(), hub.folder / f"{time.monotonic_ns()}"
    old, new = write_version(place / "old", 1, size), write_version(place / "new", 2, size)
    before, after = digests(old) if update else {}, digests(new)
    if update:
        publish(name, old, tag="v1")
    hub.server.clear()
    hub.server.fault(route=route, **fault, **settings)
    error = None
    with no_waiting() as waits, listening() as log:
        try:
            publish(name, new, tag="v2")
        except (ValueError, OSError) as failure:
            error = f"{type(failure).__name__}: {failure}"
    struck = sum(request["fault"] is not None for request in hub.server.requests())
    hub.server.clear()
    assert str(get_token()) not in f"{error}{log.getvalue()}", "the token was told"
    left = remote(hub, name)
    assert left in (before, after), f"neither the old nor the new: {sorted(left)} ({error})"
    assert error is not None or left == after
    publish(name, new, tag="v2")
    assert remote(hub, name) == after
    commits = [commit.title for commit in hub.api.list_repo_commits(name)]
    assert commits == [TITLE] * (2 if update else 1) + ["initial commit"], f"{commits} ({error})"
    tags = {tag.name: tag.target_commit for tag in hub.api.list_repo_refs(name).tags}
    assert tags.keys() == ({"v1", "v2"} if update else {"v2"}) and tags["v2"] == hub.api.model_info(name).sha
    return Strike(error, struck, waits)


@contextlib.contextmanager
def no_waiting() -> Iterator[list[float]]:
    """Let nobody wait; gives the seconds that they would have."""
    waits: list[float] = []
    clock = SimpleNamespace(sleep=waits.append, time=time.time)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.utils._http.time", clock)
        patch.setattr("hf_turkembed.publishing.retries.time", clock)
        yield waits


@contextlib.contextmanager
def listening() -> Iterator[io.StringIO]:
    """Collect all that is logged."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level, client = root.level, logging.getLogger("huggingface_hub")
    client_level = client.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    client.addHandler(handler)
    client.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        client.removeHandler(handler)
        client.setLevel(client_level)
        root.removeHandler(handler)
        root.setLevel(level)
