"""A running server as tests see it: where it is, what to let go wrong, what it was asked; and how clients reach it."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class HubServer:
    """The address of a server, and the controls that no real Hub has; its tokens are `accounts.ACCOUNTS`."""

    endpoint: str
    # Repos lie in `models/` and `datasets/` here, each a bare git repository.
    folder: Path

    def clear(self) -> None:
        """Forget faults, limits and requests; repos stay."""
        self._control("clear")

    def fault(self, kind: str, route: str, **settings: Any) -> None:
        """Let something go wrong, see `faults.Fault`."""
        self._control("fault", kind=kind, route=route, **settings)

    def limit_rate(self, quota: int, window: int) -> None:
        """Allow that many requests to the API in so many seconds."""
        self._control("rate_limit", quota=quota, window=window)

    def requests(self) -> list[dict[str, Any]]:
        """List the requests since the last `clear`: method, path, status, bytes received, token sent, fault."""
        log: list[dict[str, Any]] = self._control("log")
        return log

    def take_problems(self) -> list[str]:
        """List requests that no route answered, and errors of the server itself, since this was last asked."""
        problems: list[str] = self._control("problems")
        return problems

    def _control(self, action: str, **body: Any) -> Any:
        request = urllib.request.Request(f"{self.endpoint}/_control/{action}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@contextlib.contextmanager
def running_server(folder: Path, page_size: int) -> Iterator[HubServer]:
    """Run a server in a process of its own, with so many entries on a page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hub_server.serve", str(folder), str(page_size)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert process.stdout is not None
    try:
        yield HubServer(process.stdout.readline().strip(), folder)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def client_environment(endpoint: str, token: str | None, home: Path, *, xet: bool) -> dict[str, str]:
    """Say to a process which Hub it talks to; huggingface_hub reads this when it is imported, and never again."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "0" if xet else "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent), str(TESTS.parent / "recipes")]),
    }
    return {**ours, **settings, **({"HF_TOKEN": token} if token else {})}
