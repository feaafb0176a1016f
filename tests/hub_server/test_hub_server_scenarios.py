"""The real clients against the server, by xet and without; each test is a function of `scenarios/`."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub_server.accounts import ORGANIZATION
from hub_server.running import client_environment

FOLDER = Path(__file__).resolve().parent / "scenarios"
MODES = ("xet", "lfs")
# What only this server can play, since it needs other accounts or faults.
OURS = ("access", "faults", "retries", "publishing", "publishing_everywhere", "fetching")
ANYWHERE = ("answers", "uploads", "revisions", "cards", "commands", "loaders")
# Modules that one process plays, which has imported torch for the first.
TOGETHER = {"fetching": "publishing"}
# Seconds in backoff, or in importing torch once more.
SLOW = {(module, mode) for module in ("retries", "publishing_everywhere") for mode in MODES} | {("loaders", "lfs")}


def scenarios(module):
    """List the scenarios of a module without importing what it plays with."""
    nodes = ast.parse((FOLDER / f"{module}.py").read_text()).body
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    return [node.name for node in functions if [argument.arg for argument in node.args.args] == ["hub"]]


def cases(modules, slow=frozenset()):
    return [
        pytest.param(module, mode, name, marks=[pytest.mark.slow] * ((module, mode) in slow))
        for module in modules
        for mode in MODES
        for name in scenarios(module)
    ]


class Plays:
    """Plays, in one process for each module and mode, the scenarios that are asked for."""

    def __init__(self, session, folder, model):
        self.session, self.folder, self.model, self.results = session, folder, model, {}

    def result(self, test, module, mode, name, **hub):
        key = (test, TOGETHER.get(module, module), mode)
        if key not in self.results:
            self.results[key] = self._play(key, **hub)
        return self.results[key][f"{module}.{name}"]

    def _play(self, key, *, endpoint, token, namespace, server):
        test, process, mode = key
        asked = [item.callspec.params for item in self.session.items if getattr(item, "originalname", None) == test]
        names = [
            f"{params['module']}.{params['name']}"
            for params in asked
            if (TOGETHER.get(params["module"], params["module"]), params["mode"]) == (process, mode)
        ]
        folder = self.folder / "-".join(key)
        (folder / "scenarios").mkdir(parents=True)
        settings = {
            "endpoint": endpoint,
            "namespace": namespace,
            "server": server,
            "scenarios": names,
            "folder": str(folder / "scenarios"),
            "model": str(self.model),
            "results": str(folder / "results.json"),
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        command = [sys.executable, "-m", "hub_server.client", str(folder / "settings.json")]
        environment = client_environment(endpoint, token, folder / "home", xet=mode == "xet")
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            failed = {"error": done.stderr, "skipped": None, "problems": [], "survived": 0}
            return dict.fromkeys(names, failed)
        return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="session")
def plays(request, tmp_path_factory, gemma):
    return Plays(request.session, tmp_path_factory.mktemp("plays"), gemma)


def check(result, note):
    note("faults survived", result["survived"])
    if result["skipped"]:
        pytest.skip(result["skipped"])
    assert result["error"] is None, result["error"]
    assert not result["problems"], "\n".join(result["problems"])


@pytest.mark.launch
@pytest.mark.parametrize(("module", "mode", "name"), cases(ANYWHERE + OURS, SLOW))
def test_scenario(plays, hub, module, mode, name, record_property):
    settings = {"endpoint": hub.endpoint, "token": "hf_writer", "namespace": ORGANIZATION, "server": str(hub.folder)}
    check(plays.result("test_scenario", module, mode, name, **settings), record_property)


@pytest.mark.hub
@pytest.mark.parametrize(("module", "mode", "name"), cases(ANYWHERE))
def test_scenario_on_the_real_hub(plays, module, mode, name, record_property):
    token, namespace = os.environ.get("TURKEMBED_HUB_TOKEN"), os.environ.get("TURKEMBED_HUB_NAMESPACE")
    if not token or not namespace:
        pytest.skip("set TURKEMBED_HUB_TOKEN and TURKEMBED_HUB_NAMESPACE to play on the real Hub, in private repos")
    settings = {"endpoint": "https://huggingface.co", "token": token, "namespace": namespace, "server": None}
    check(plays.result("test_scenario_on_the_real_hub", module, mode, name, **settings), record_property)
