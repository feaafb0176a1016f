"""The main job end to end on the sandbox, and everything the README says, run against what it published."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dulwich.repo import Repo
from huggingface_hub import ModelCard
from legacy_gte import write_legacy_gte
from samples import ROOT
from scripts import run_script

from hf_turkembed import cli, record
from hf_turkembed.json_files import read_json
from hf_turkembed.recipe import load_recipe
from hf_turkembed.scores import read_scores

pytestmark = pytest.mark.launch

README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
MODELS = ("sandbox/magibu-sandbox", "sandbox/turkembed-sandbox")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [line.split("    #")[0].strip() for block in blocks("bash") for line in block.splitlines() if line.strip()]


def run(command, folder, **settings):
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, **settings
    )


@pytest.fixture
def script(caplog, capsys):
    """Run a script of recipes/ in this process: how it ended, and what it logged and printed."""

    def start(name, folder, *arguments):
        with caplog.at_level("INFO"):
            code = run_script(name, *arguments, folder=folder)
        return code, caplog.text, capsys.readouterr().out

    return start


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder in which the demo ran, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    result = run([sys.executable, str(ROOT / "recipes/demo.py")], folder)
    assert result.returncode == 0, result.stderr[-3000:]
    # The README names it on the Hub; a folder of that name comes first.
    write_legacy_gte(folder / "Alibaba-NLP" / "gte-multilingual-base")
    return folder, result.stdout


def test_the_demo_ends_with_scores_parameters_times_the_outbox_and_a_snippet_that_ran(demo):
    _, printed = demo
    for model in ("teacher", "cloned", "distilled", "nli", "fine-tuned"):
        row = re.search(rf"^{model}((?: +0\.\d{{3}}){{3}})$", printed, flags=re.MULTILINE)
        assert row is not None and all(float(value) > 0.5 for value in row[1].split())
    assert "made up" in printed and "parameters: teacher" in printed
    for name in ("magibu distill", "turkembed finetune-nli", "outbox/datasets/sandbox/magibu-sandbox-vectors"):
        assert name in printed
    assert "(3, 64) tensor([[1.0000" in printed


def test_the_second_run_skips_every_step_and_says_so(demo, script):
    folder, _ = demo
    for name in ("magibu", "turkembed"):
        code, log, _ = script("pipeline", folder, ROOT / f"recipes/sandbox/{name}.yaml")
        assert code is None
    assert re.findall(r"(\w+): already done, skipped$", log, flags=re.MULTILINE) == [
        "sandbox",
        "tokenizer",
        "corpus",
        "clone",
        "embed",
        "distill",
        "score",
        "publish",
        "finetune",
        "score",
        "publish",
    ]
    assert "running" not in log


def test_every_published_folder_holds_its_record_and_a_card_without_leaks(demo):
    folder, _ = demo
    repos = [path.parent for path in (folder / "outbox").rglob("README.md")]
    assert len(repos) == 5
    for repo in repos:
        assert record.read_provenance(repo).identity.code
        text = (
            "\n".join(path.read_text(encoding="utf-8") for path in repo.glob("*.json"))
            + (repo / "README.md").read_text()
        )
        assert str(folder) not in text and str(ROOT) not in text and str(Path.home()) + "/" not in text
        assert not [path for path in repo.rglob("*") if path.suffix in (".bin", ".pt", ".pkl", ".pth")]


@pytest.mark.parametrize("name", MODELS)
def test_sandbox_scores_stand_in_the_card_and_never_in_its_model_index(demo, name):
    folder, _ = demo
    card = ModelCard.load(folder / "outbox" / name / "README.md")
    assert "model-index" not in card.data.to_dict() and "eval_results" not in card.data.to_dict()
    assert "made up by the sandbox grammar" in card.text
    scores = read_scores(folder / "outbox" / name / "scores.json").scores
    assert scores and all(score.dataset.synthetic for score in scores)


def test_a_step_names_its_inputs_by_digest_and_its_scores_by_theirs(demo):
    folder, _ = demo
    run_folder = folder / "output/sandbox/magibu"
    scored = record.read_provenance(run_folder / "score")
    assert scored.observed.outputs["scores.json"] == record.digest_file(run_folder / "score/scores.json")
    assert scored.identity.input("models.distilled").digest == record.digest_path(run_folder / "distill")


def test_the_published_tokenizer_holds_its_report_and_the_map_of_its_ids(demo):
    folder, _ = demo
    repo = folder / "outbox/sandbox/magibu-sandbox-tokenizer"
    outputs = record.read_provenance(repo).observed.outputs
    names = ("id_map.json", "tokenizer.json", "tokenizer_config.json", "tokenizer_report.json")
    assert outputs == {name: record.digest_file(repo / name) for name in names}
    id_map, report = (read_json(repo / name) for name in ("id_map.json", "tokenizer_report.json"))
    kept = [new for new in id_map["old_to_new"] if new is not None]
    assert len(kept) == report["vocabulary"]["kept"] and len(id_map["old_to_new"]) == report["before"]["vocab_size"]
    assert report["after"]["unreachable"] == 0 and report["change"]["tr"] < 0
    assert (repo / "fertility.png").is_file() and "](fertility.png)" in (repo / "README.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
def test_a_published_repo_that_was_removed_is_published_again(demo):
    folder, _ = demo
    moved = (folder / "outbox/sandbox/turkembed-sandbox").rename(folder / "moved")
    recipe = str(ROOT / "recipes/sandbox/turkembed.yaml")
    result = run([sys.executable, str(ROOT / "recipes/pipeline.py"), recipe], folder)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "finetune: already done, skipped" in result.stderr and "publish: running" in result.stderr
    restored = folder / "outbox/sandbox/turkembed-sandbox"
    assert record.digest_path(restored) == record.digest_path(moved)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["xet", "lfs"])
def test_a_release_that_was_cut_off_is_finished_by_the_next_run_and_loads_from_the_hub(
    demo, hub, run_client, tmp_path, mode
):
    shutil.copytree(demo[0] / "output", tmp_path / "output")
    text = (ROOT / "recipes/sandbox/release.yaml").read_text().replace("sandbox/release-", f"acme/{mode}-")
    (tmp_path / "release.yaml").write_text(text.replace("Turkish sandbox", f"Turkish sandbox by {mode}"))
    publish = [ROOT / "recipes/publish.py", "release.yaml", "publish.target=hub"]
    hub.fault("refuse", f"/api/models/acme/{mode}-distilled/commit/", status=403)
    release = ["-m", "hf_turkembed", "release", "release.yaml", "publish.target=hub"]
    planned = run_client(*release, "--dry-run", xet=mode == "xet")
    assert planned.returncode == 0, planned.stderr[-3000:]
    assert planned.stdout.count("would be published to hub:") == 7 and "collected" not in planned.stdout
    assert {request["method"] for request in hub.requests()} == {"GET"}
    cut_off = run_client(*publish, xet=mode == "xet")
    assert cut_off.returncode == 1 and "Traceback" not in cut_off.stderr
    assert "error: the Hub refused" in cut_off.stderr and "403 Forbidden" in cut_off.stderr.splitlines()[-1]
    hub.clear()
    done = run_client(*release, xet=mode == "xet")
    assert done.returncode == 0, done.stderr[-3000:]
    sent = [request["path"] for request in hub.requests() if request["method"] != "GET"]
    written = {name for path in sent for name in re.findall(r"^/api/(?:models|datasets)/acme/([\w-]+)/", path)}
    assert written == {f"{mode}-{name}" for name in ("distilled", "nli", "sts")}
    repos = {repo.repo_id: repo.folder for repo in load_recipe(tmp_path / "release.yaml").publish.repos.values()}
    for name in repos:
        kind = "datasets" if name.endswith(("corpus", "vectors")) else "models"
        git = Repo(str(hub.folder / kind / name))
        messages = [entry.commit.message.decode().split()[0] for entry in git.get_walker()]
        assert messages == ["Publish", "initial"]
        assert git.refs[b"refs/tags/v1.0"] == git.head()
        card = git[git[git[git.head()].tree][b"README.md"][1]].data.decode()
        assert {other for other in repos if f"]({other}" in card or f"/{other})" in card} == repos.keys() - {name}
    pairs = [f"{name}={folder.replace('{output_dir}', 'output/sandbox/release')}" for name, folder in repos.items()]
    for package in ("with", "without"):
        loaded = run_client("-m", "hub_server.release_loading", package, "v1.0", *pairs, xet=mode == "xet")
        assert loaded.returncode == 0, loaded.stderr[-3000:]
        assert loaded.stdout.count(f"loaded {package} the package") == len(repos) == 7
    verified = run_client("-m", "hf_turkembed", "verify", f"acme/{mode}-sts@v1.0", xet=mode == "xet")
    assert verified.returncode == 0, verified.stdout + verified.stderr[-2000:]


def test_a_changed_key_is_refused_before_any_work(demo, script):
    folder, _ = demo
    recipe = ROOT / "recipes/sandbox/magibu.yaml"
    code, *_ = script("pipeline", folder, recipe, "tokenizer.vocab_size=4000")
    assert "holds another run of `tokenizer`" in code and "recipe.vocab_size: 4608 -> 4000" in code


@pytest.mark.parametrize("snippet", blocks("python"), ids=lambda text: text.split("\n")[0])
def test_a_snippet_of_the_readme_runs(demo, snippet, monkeypatch):
    folder, _ = demo
    monkeypatch.chdir(folder)
    exec(compile(snippet, "README.md", "exec"), {})


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("hf-turkembed ")])
def test_a_command_of_the_readme_runs(demo, command, monkeypatch, capsys):
    folder, _ = demo
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = capsys.readouterr()
    assert stop.value.code == 0, printed.err
    assert printed.out.strip()


@pytest.mark.parametrize("command", [c for c in COMMANDS if "| hf-turkembed " in c])
def test_a_command_of_the_readme_that_reads_from_a_pipe_runs(demo, command):
    folder, _ = demo
    result = run(["bash", "-c", f"set -euo pipefail; {command}"], folder)
    assert result.returncode == 0, result.stderr[-2000:]
    assert len(json.loads(result.stdout)) == 32


@pytest.mark.parametrize("command", [c for c in COMMANDS if "recipes/" in c and "hf jobs " not in c])
def test_a_run_that_the_readme_names_is_planned(demo, command, script):
    folder, _ = demo
    words = shlex.split(command.replace("DIR", str(folder)))
    (folder / "data").mkdir(exist_ok=True)
    path = next(word for word in words if re.fullmatch(r"recipes/\w+\.py", word))
    arguments = [word.replace("recipes/", f"{ROOT}/recipes/") for word in words[words.index(path) + 1 :]]
    recipe = load_recipe(Path(arguments[0]), arguments[1:])
    assert Path(path).stem == "pipeline" or Path(path).stem in recipe.steps
    if words[0] == "accelerate":
        words[words.index("--config_file") + 1] = f"{ROOT}/{words[words.index('--config_file') + 1]}"
        result = run([*words[: words.index(path)], str(ROOT / path), *arguments], folder)
        assert result.returncode == 0, result.stderr[-2000:]
    elif not any(root in Path(arguments[0]).read_text() for root in ("{data_root}", "{output_dir}/..")):
        code, log, _ = script(Path(path).stem, folder, *arguments, "--dry-run")
        assert code in (None, 0) and f"{recipe.steps[0]}: " in log


@pytest.mark.parametrize("command", [c for c in COMMANDS if "make " in c and "hf jobs " not in c])
def test_a_make_target_of_the_readme_exists(command):
    target = shlex.split(command)[-1]
    result = run(["make", "--dry-run", target], ROOT)
    assert result.returncode == 0, result.stderr


def test_every_command_of_the_readme_is_tested():
    kinds = ("hf-turkembed ", "recipes/", "make ", "pip install --constraint constraints.txt .")
    assert [command for command in COMMANDS if not any(kind in command for kind in kinds)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_recipe_parses_says_what_it_needs_and_names_no_machine(path):
    recipe = load_recipe(path, ["data_root=DIR"])
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ") and re.search(r"Needs|minutes", text.split("output_dir")[0])
    assert not re.search(r"(^|[\s\"'])(/|~)", text, flags=re.MULTILINE)
    assert (ROOT / "accelerate_configs" / f"{recipe.topology}.yaml").is_file()


def test_the_full_recipes_have_the_papers_settings():
    magibu = load_recipe(ROOT / "recipes/magibu/embeddingmagibu_200m.yaml")
    assert magibu.tokenizer.vocab_size == 131072 and len(magibu.corpus.text.languages) == 40
    rows = {
        **dict.fromkeys(magibu.corpus.text.languages, magibu.corpus.text.rows),
        **magibu.corpus.text.rows_by_language,
    }
    assert sum(rows.values()) == 580_000
    assert (magibu.distill.epochs, magibu.distill.batch_size, magibu.distill.learning_rate) == (1, 256, 5e-5)
    assert (magibu.distill.precision, magibu.clone.max_length) == ("bfloat16", 8192)
    turkembed = load_recipe(ROOT / "recipes/turkembed/turkembed.yaml").finetune
    nli, sts = turkembed.stages["nli"], turkembed.stages["sts"]
    assert (nli.tasks["nli"].train.expected_rows, sts.tasks["sts"].train.expected_rows) == (482_091, 5_749)
    assert nli.matryoshka_dims == sts.matryoshka_dims == (768, 512, 256, 128, 64)
    assert [stage.batch_size for stage in (nli, sts)] == [32, 16]
    assert {stage.training["learning_rate"] for stage in (nli, sts)} == {2e-5}


@pytest.mark.parametrize(
    "step",
    (
        "sandbox",
        "tokenizer",
        "corpus",
        "clone",
        "embed",
        "distill",
        "finetune",
        "classify",
        "score",
        "publish",
        "pipeline",
    ),
)
def test_every_script_has_help(step, capsys):
    assert run_script(step, "--help") == 0
    text = capsys.readouterr().out
    assert "section.key=value" in text and "--dry-run" in text


def test_a_dry_run_prints_the_identity_and_writes_nothing(demo, script):
    folder, _ = demo
    before = sorted(path.name for path in (folder / "output/sandbox/magibu").iterdir())
    *_, printed = script("clone", folder, ROOT / "recipes/sandbox/magibu.yaml", "--dry-run")
    assert json.loads(printed)["step"] == "clone"
    assert sorted(path.name for path in (folder / "output/sandbox/magibu").iterdir()) == before


def test_a_misspelt_key_stops_the_script_with_one_line(script, tmp_path):
    content = yaml.safe_load((ROOT / "recipes/sandbox/magibu.yaml").read_text())
    content["distill"]["leaning_rate"] = content["distill"].pop("learning_rate")
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    message, log, printed = script("distill", tmp_path, path)
    assert "unknown key 'leaning_rate' in `distill`; did you mean 'learning_rate'?" in message
    assert (message.count("\n"), log, printed) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]
