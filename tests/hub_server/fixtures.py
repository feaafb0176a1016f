"""A Hub for tests: one server for all of them, cleared of faults and requests before each."""

import subprocess
import sys

import pytest

from hub_server.running import client_environment, running_server


@pytest.fixture(scope="session")
def hub_process(tmp_path_factory):
    """The server; pages are short, so that every client has to turn them."""
    with running_server(tmp_path_factory.mktemp("hub") / "server", page_size=5) as server:
        yield server


@pytest.fixture
def hub(hub_process):
    """The server for one test, which fails if a request met no route."""
    hub_process.clear()
    yield hub_process
    problems = hub_process.take_problems()
    assert not problems, "\n".join(problems)


@pytest.fixture
def run_client(hub, tmp_path):
    """Runs Python in processes that see the server, with a cache for this test alone."""

    def run(*arguments, token="hf_writer", xet=True):
        environment = client_environment(hub.endpoint, token, tmp_path / "hf_home", xet=xet)
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)

    return run


def pytest_terminal_summary(terminalreporter):
    """Say how many faults were survived."""
    reports = [report for report in terminalreporter.stats.get("passed", ()) if report.when == "call"]
    counts = [count for report in reports for name, count in report.user_properties if name == "faults survived"]
    if sum(counts):
        terminalreporter.write_line(f"faults survived by publications and downloads: {sum(counts)}")
