"""`hf turkembed`: the command as an extension of `hf`, from a manifest as `hf extensions install` writes it."""

import json
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hub_server.running import client_environment
from huggingface_hub import JobHardware
from huggingface_hub.cli import extensions
from huggingface_hub.cli.jobs import jobs_cli
from samples import ROOT

from hf_turkembed.recipe import load_recipe

OWNER, REPO = "example", "hf-turkembed"
SCRIPT = Path(sys.executable).with_name(REPO)
README = (ROOT / "README.md").read_text(encoding="utf-8")
JOBS = [line for line in README.splitlines() if line.startswith("hf jobs ")]


@pytest.fixture
def hf(hub, tmp_path):
    """Run `hf` as a user for whom the extension was installed, against the test Hub."""
    folder = tmp_path / "home" / extensions.EXTENSIONS_ROOT.relative_to("~") / REPO
    extensions.ExtensionManifest(
        owner=OWNER,
        repo=REPO,
        repo_id=f"{OWNER}/{REPO}",
        short_name=REPO.removeprefix("hf-"),
        executable_path=str(SCRIPT),
        type="python",
        installed_at=datetime.now(timezone.utc),
    ).save(folder)
    environment = client_environment(hub.endpoint, "hf_writer", tmp_path / "hf_home", xet=False)
    environment["HOME"] = str(tmp_path / "home")

    def run(*arguments):
        command = [str(SCRIPT.with_name("hf")), *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    return run


def test_the_repo_and_its_console_script_have_the_names_that_hf_looks_for():
    assert extensions._normalize_repo_id(f"{OWNER}/{REPO}") == (OWNER, REPO, "turkembed")
    assert extensions._get_executable_name("turkembed") == REPO
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'{REPO} = "hf_turkembed.cli:main"' in project
    # The extension's list shows the first line that begins so.
    assert next(line for line in project.splitlines() if line.startswith("description")).endswith('Hub"')


@pytest.mark.launch
def test_hf_runs_the_extension(hf, staged_repos):
    shown = hf("turkembed", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "hf-turkembed [OPTIONS] COMMAND" in shown.stdout and "verify" in shown.stdout
    told = hf("turkembed", "tokenizer-report", staged_repos["tokenizer"], "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["unreachable"] == 0


@pytest.mark.slow
@pytest.mark.launch
@pytest.mark.parametrize("kind", ["tokenizer", "dataset"])
def test_a_repo_of_the_hub_is_verified(hf, staged_repos, kind):
    name = f"acme/{kind}"
    sent = hf(
        "upload", name, staged_repos[kind], "--quiet", "--repo-type", "dataset" if kind == "dataset" else "model"
    )
    assert sent.returncode == 0, sent.stderr
    verified = hf("turkembed", "verify", f"datasets/{name}" if kind == "dataset" else name, "--json")
    assert verified.returncode == 0, verified.stderr
    report = json.loads(verified.stdout)
    assert report["passed"] and report["loaded"] and report["kind"] == kind


@pytest.mark.slow
@pytest.mark.launch
def test_a_model_of_the_hub_is_verified_and_a_damaged_download_is_found(hf, tmp_path, staged_repos):
    assert hf("upload", "acme/model", staged_repos["model"], "--quiet").returncode == 0
    verified = hf("turkembed", "verify", "acme/model", "--json")
    assert verified.returncode == 0, verified.stderr
    assert {"remote code", "repo code = package at 8", "snippet 4 runs"} <= {
        check["name"] for check in json.loads(verified.stdout)["checks"]
    }
    weights = next((tmp_path / "hf_home").rglob("model.safetensors")).resolve()
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    damaged = hf("turkembed", "verify", "acme/model", "--quiet")
    assert (damaged.returncode, damaged.stdout) == (1, "")
    assert "error: acme/model at " in damaged.stderr and "model.safetensors has another digest" in damaged.stderr
    # It was removed, and is downloaded anew.
    assert hf("turkembed", "verify", "acme/model", "--quiet").returncode == 0


def test_the_readme_shows_a_job():
    assert JOBS


@pytest.mark.parametrize("line", JOBS)
def test_a_job_of_the_readme_is_one_that_hf_takes(line, capsys):
    words = shlex.split(line)
    assert words[:2] == ["hf", "jobs"]
    parsed = jobs_cli.commands[words[2]].make_context(words[2], words[3:])
    assert parsed.params["flavor"] in {flavor.value for flavor in JobHardware}
    jobs_cli.main([*words[2:3], "--dry-run", *words[3:]], standalone_mode=False)
    assert "(dry run) Job not submitted." in capsys.readouterr().out
    script = shlex.split(words[-1])
    assert script[:3] == ["git", "clone", f"https://github.com/OWNER/{REPO}"]
    place = script.index("recipes/pipeline.py")
    recipe = load_recipe(ROOT / script[place + 1], script[place + 2 :])
    assert recipe.publish.target == "hub"
    assert run_make("--dry-run", script[script.index("make") + 1]) == 0


def run_make(*arguments):
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, check=False).returncode
