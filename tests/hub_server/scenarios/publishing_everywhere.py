"""Our publisher, struck at each of its requests in turn by each fault, and killed at the worst moments."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub_server.client import Client
from hub_server.publications import FAULTS, TITLE, digests, publish, remote, strike, write_version

# All requests but those that xet sends at times of its own.
_ANY = "^(?!/v1/telemetry)"
# Requests at which a publication is killed.
_MOMENTS = ("/api/repos/create", "/tree/", "/preupload/", "/lfs/|/cas/v1/xorbs/", "/commit/", "/tag/")


def refusals_with_the_time_to_wait_are_survived_at_every_request(hub: Client) -> None:
    _strike_everywhere(hub, "429 with Retry-After", "429 with RateLimit")


def errors_of_the_server_are_survived_at_every_request(hub: Client) -> None:
    _strike_everywhere(hub, "500", "503")


def a_request_that_is_cut_off_is_survived_at_every_request(hub: Client) -> None:
    _strike_everywhere(hub, "request cut off")


def a_lost_answer_is_survived_at_every_request(hub: Client) -> None:
    _strike_everywhere(hub, "answer lost")


def an_answer_that_is_cut_off_is_survived_at_every_request(hub: Client) -> None:
    _strike_everywhere(hub, "answer cut off")


def a_slow_answer_is_survived_at_every_request(hub: Client) -> None:
    _strike_everywhere(hub, "answer slow")


def a_damaged_answer_is_survived_at_every_request(hub: Client) -> None:
    _strike_everywhere(hub, "answer damaged")


def a_fault_that_stays_leaves_the_old_or_the_new_and_the_next_run_finishes(hub: Client) -> None:
    for update in (False, True):
        for place in range(_requests_of(hub, update)):
            for fault in ("503", "answer lost"):
                struck = strike(hub, _ANY, FAULTS[fault], update=update, skip=place, count=1000)
                hub.survived += struck.requests > 0


def a_file_in_parts_survives_every_fault_at_a_part_and_at_their_end(hub: Client) -> None:
    if hub.xet:
        pytest.skip("xet has no parts")
    for route in ("/parts/2$", "/complete$"):
        for name, fault in FAULTS.items():
            struck = strike(hub, route, fault, update=False, size=12_000_000)
            assert struck.requests > 0, name
            hub.survived += struck.requests


def a_publication_that_is_killed_is_finished_by_the_next(hub: Client) -> None:
    # Answered slowly, it does not know what became of its request; refused, it is waiting for the next try.
    faults = [("slow", route, {"seconds": 30.0}) for route in _MOMENTS]
    faults.append(("refuse", "/commit/", {"status": 503, "headers": {"Retry-After": "30"}}))
    for number, (kind, route, settings) in enumerate(faults):
        name, folder = hub.new_name(), write_version(hub.folder / str(number), 1)
        hub.server.clear()
        hub.server.fault(kind, route, **settings)
        _kill_when_struck(hub, [name, str(folder)])
        hub.server.clear()
        assert remote(hub, name) in ({}, digests(folder))
        publish(name, folder, tag="v1")
        assert remote(hub, name) == digests(folder)
        assert [commit.title for commit in hub.api.list_repo_commits(name)] == [TITLE, "initial commit"]
        hub.survived += 1


def a_quota_that_is_used_up_is_waited_for(hub: Client) -> None:
    name, folder = hub.new_name(), write_version(hub.folder / "model", 1)
    hub.server.limit_rate(quota=8, window=2)
    publish(name, folder)
    assert remote(hub, name) == digests(folder)
    hub.survived += 1


def _strike_everywhere(hub: Client, *names: str) -> None:
    """Let each request of a first and of a second publication meet each fault."""
    for update in (False, True):
        for place in range(_requests_of(hub, update)):
            for name in names:
                struck = strike(hub, _ANY, FAULTS[name], update=update, skip=place)
                assert struck.error is None, f"{name} at request {place}: {struck.error}"
                # By xet, a publication sends a request more or less.
                hub.survived += struck.requests


def _requests_of(hub: Client, update: bool) -> int:
    """Count the requests of a publication that meets no fault."""
    name, folder = hub.new_name(), hub.folder / f"counted-{time.monotonic_ns()}"
    if update:
        publish(name, write_version(folder / "old", 1), tag="v1")
    hub.server.clear()
    publish(name, write_version(folder / "new", 2), tag="v2")
    return sum("/v1/telemetry" not in request["path"] for request in hub.requests(""))


def _kill_when_struck(hub: Client, arguments: list[str]) -> None:
    """Publish in a process of its own, and kill it at the request that meets a fault."""
    child = subprocess.Popen([sys.executable, "-m", __name__, *arguments], stderr=subprocess.PIPE, env={**os.environ})
    try:
        while not any(request["fault"] for request in hub.server.requests()):
            if child.poll() is not None:
                pytest.fail(f"the publication ended before it was killed: {child.stderr.read().decode()}")
            time.sleep(0.05)
        time.sleep(0.1)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


if __name__ == "__main__":
    publish(sys.argv[1], Path(sys.argv[2]), tag="v1")
