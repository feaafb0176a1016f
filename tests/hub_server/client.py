"""Plays scenarios against one Hub, in a process of its own: `python -m hub_server.client SETTINGS` (a JSON file)."""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi, constants
from huggingface_hub.errors import HfHubHTTPError

from hub_server.running import HubServer


@dataclass
class Client:
    """What a scenario plays with."""

    api: HfApi
    # Where its repos go.
    namespace: str
    # Its own, and empty.
    folder: Path
    # A model in the sentence-transformers layout.
    model: Path
    # None for the real Hub.
    server: HubServer | None
    # Faults that the scenario has survived.
    survived: int = 0
    _repos: list[tuple[str, str]] = field(default_factory=list)

    @property
    def xet(self) -> bool:
        return not constants.HF_HUB_DISABLE_XET

    def new_name(self) -> str:
        return f"{self.namespace}/test-{uuid.uuid4().hex[:12]}"

    def new_repo(self, repo_type: str = "model", *, private: bool = True) -> str:
        """Create a repo that is deleted after the scenario."""
        name = self.new_name()
        self.api.create_repo(name, repo_type=repo_type, private=private)
        self._repos.append((name, repo_type))
        return name

    def add(self, name: str, path: str, **settings: Any) -> CommitInfo:
        """Commit a small file that holds its own name."""
        addition = CommitOperationAdd(path, path.encode())
        return self.api.create_commit(name, [addition], commit_message=f"Add {path}", **settings)

    def add_large(self, name: str, path: str, size: int) -> bytes:
        """Upload a file of bytes that no cache has seen, and return them."""
        data = os.urandom(size)
        self.api.upload_file(repo_id=name, path_in_repo=path, path_or_fileobj=data)
        return data

    def forget(self) -> None:
        for name, repo_type in self._repos:
            self.api.delete_repo(name, repo_type=repo_type, missing_ok=True)

    def requests(self, path: str) -> list[dict[str, Any]]:
        """List what the server was asked whose path holds a text, and forget all."""
        assert self.server is not None
        found = [request for request in self.server.requests() if path in request["path"]]
        self.server.clear()
        return found

    def run(self, module: str, *arguments: str, **environment: str) -> str:
        """Run a module as a process that sees the same Hub, and return what it wrote."""
        command = [sys.executable, "-m", module, *arguments]
        settings = {**os.environ, **environment}
        done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextlib.contextmanager
def refused(status: int) -> Iterator[None]:
    """Expect the Hub to refuse with a status."""
    with pytest.raises(HfHubHTTPError) as caught:
        yield
    assert caught.value.response.status_code == status, caught.value


def main(path: str) -> None:
    settings = json.loads(Path(path).read_text())
    server = HubServer(settings["endpoint"], Path(settings["server"])) if settings["server"] else None
    results = {}
    for name in settings["scenarios"]:
        module, _, scenario = name.partition(".")
        folder = Path(settings["folder"], name)
        folder.mkdir()
        client = Client(HfApi(), settings["namespace"], folder, Path(settings["model"]), server)
        results[name] = _play(getattr(importlib.import_module(f"hub_server.scenarios.{module}"), scenario), client)
    Path(settings["results"]).write_text(json.dumps(results))


def _play(scenario: Any, client: Client) -> dict[str, Any]:
    """Play one scenario and say how it ended."""
    begin, error, skipped, problems = time.perf_counter(), None, None, []
    if client.server:
        client.server.clear()
    try:
        scenario(client)
    except pytest.skip.Exception as reason:
        skipped = str(reason)
    except (Exception, pytest.fail.Exception):
        error = traceback.format_exc()
    finally:
        if client.server:
            client.server.clear()
        client.forget()
        if client.server:
            problems = client.server.take_problems()
    seconds = time.perf_counter() - begin
    ended = {"error": error, "skipped": skipped, "problems": problems}
    return {"seconds": seconds, "survived": client.survived, **ended}


if __name__ == "__main__":
    main(sys.argv[1])
