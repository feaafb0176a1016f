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
OURS = ("access", "faults", "retries")
ANYWHERE = ("answers", "uploads", "revisions", "cards", "commands", "loaders")
# Seconds in backoff, or in importing torch once more.
SLOW = {("retries", "xet"), ("retries", "lfs"), ("loaders", "lfs")}


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
        key = (test, module, mode)
        if key not in self.results:
            self.results[key] = self._play(key, module, mode, **hub)
        return self.results[key][name]

    def _play(self, key, module, mode, *, endpoint, token, namespace, server):
        asked = [item.callspec.params for item in self.session.items if getattr(item, "originalname", None) == key[0]]
        names = [params["name"] for params in asked if (params["module"], params["mode"]) == (module, mode)]
        folder = self.folder / "-".join(key)
        (folder / "scenarios").mkdir(parents=True)
        settings = {
            "endpoint": endpoint,
            "namespace": namespace,
            "server": server,
            "module": f"hub_server.scenarios.{module}",
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
            return {name: {"error": done.stderr, "skipped": None, "problems": []} for name in names}
        return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="session")
def plays(request, tmp_path_factory, gemma):
    return Plays(request.session, tmp_path_factory.mktemp("plays"), gemma)


def check(result):
    if result["skipped"]:
        pytest.skip(result["skipped"])
    assert result["error"] is None, result["error"]
    assert not result["problems"], "\n".join(result["problems"])


@pytest.mark.launch
@pytest.mark.parametrize(("module", "mode", "name"), cases(ANYWHERE + OURS, SLOW))
def test_scenario(plays, hub, module, mode, name):
    settings = {"endpoint": hub.endpoint, "token": "hf_writer", "namespace": ORGANIZATION, "server": str(hub.folder)}
    check(plays.result("test_scenario", module, mode, name, **settings))


@pytest.mark.hub
@pytest.mark.parametrize(("module", "mode", "name"), cases(ANYWHERE))
def test_scenario_on_the_real_hub(plays, module, mode, name):
    token, namespace = os.environ.get("TURKEMBED_HUB_TOKEN"), os.environ.get("TURKEMBED_HUB_NAMESPACE")
    if not token or not namespace:
        pytest.skip("set TURKEMBED_HUB_TOKEN and TURKEMBED_HUB_NAMESPACE to play on the real Hub, in private repos")
    settings = {"endpoint": "https://huggingface.co", "token": token, "namespace": namespace, "server": None}
    check(plays.result("test_scenario_on_the_real_hub", module, mode, name, **settings))
