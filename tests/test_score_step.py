"""The score step as a script: what it writes, and that a missed requirement stops it and publishing."""

import shlex
import shutil
import sys
from itertools import pairwise

import pytest
import yaml
from samples import MATRYOSHKA_DIMS, TEXTS
from tr_mteb_data import write_datasets

import publish
import score
from hf_turkembed.findings import DIAGNOSTICS
from hf_turkembed.recipe import load_recipe
from hf_turkembed.record import Identity, Input
from hf_turkembed.scores import read_scores

GATE = {"metric": "spearman_cosine", "model": "student"}


@pytest.fixture
def recipe(tmp_path, gemma, encoders):
    """Write a recipe that scores two models, with `require` entries and changes of single keys."""
    lines = [f"{text} {number}" for number in range(4) for text in TEXTS]
    pairs = [f"{number * 5 % 7 / 7 * 5}\t{a}\t{b}" for number, (a, b) in enumerate(pairwise(lines))]
    (tmp_path / "sts.tsv").write_text("\n".join(["score\tsentence1\tsentence2", *pairs]), encoding="utf-8")
    for name, folder in (("teacher", gemma), ("student", encoders("bert"))):
        (tmp_path / name).symlink_to(folder)
    data = {"source": "{data_root}/sts.tsv", "columns": ["sentence1", "sentence2", "score"], "synthetic": True}

    def write(*require, **changes):
        section = {
            "models": {name: f"{{data_root}}/{name}" for name in ("teacher", "student")},
            "suites": {"sts": {"kind": "sts", "data": data}},
            "truncate_dims": list(MATRYOSHKA_DIMS),
            "batch_size": 8,
            "baseline": "teacher",
            "resamples": 1000,
            "require": list(require),
            **changes,
        }
        content = {
            "output_dir": str(tmp_path / "run"),
            "seed": 1,
            "steps": ["score", "publish"],
            "data_root": str(tmp_path),
            "score": section,
            "publish": {
                "license": "mit",
                "languages": ["tr"],
                "scores": "{output_dir}/score",
                "outbox": str(tmp_path / "outbox"),
                "repos": {"model": {"folder": "{data_root}/student", "repo_id": "example/student"}},
            },
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def run(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, arguments)])
    module.main()


def test_the_step_writes_scores_a_table_and_a_figure_and_prints_the_table(recipe, monkeypatch, tmp_path, capsys):
    run(score, monkeypatch, recipe({**GATE, "min": -1.0}), "score.batch_size=4", f"output_dir={tmp_path}/run")
    folder = tmp_path / "run" / "score"
    assert sorted(p.name for p in folder.iterdir()) == ["provenance.json", "scores.json", "scores.md", "scores.png"]
    report = read_scores(folder / "scores.json")
    assert capsys.readouterr().out == (folder / "scores.md").read_text()
    assert len(report.scores) == 2 * 2 * 3 and len(report.comparisons) == 6
    assert [verdict.passed for verdict in report.verdicts] == [True] * 3
    assert all(entry.dataset.digest and entry.interval for entry in report.scores)
    # The command can be run again elsewhere: no path of this machine.
    assert report.command.endswith("recipes/score.py recipe.yaml score.batch_size=4 output_dir=DIR")
    assert str(tmp_path) not in (folder / "scores.json").read_text()


LOOKED_INTO = {
    "suites": {
        "sts": {
            "kind": "sts",
            "data": {"source": "{data_root}/sts.tsv", "columns": ["sentence1", "sentence2", "score"]},
        },
        "search": {
            "kind": "retrieval",
            "data": {"source": "{data_root}/sts.tsv", "columns": ["sentence1", "sentence2"]},
        },
    },
    "profile": {"suites": ["sts", "search"], "vectors": 100},
    "long_text": {
        "pairs": {"source": "{data_root}/sts.tsv", "columns": ["sentence1", "sentence2"]},
        "corpus": {"languages": ["tr"], "files": {"tr": ["{data_root}/tr.txt"]}},
        "lengths": [256],
        "candidates": 4,
        "models": ["student"],
    },
    "diagnostics": {"trained_from": {"student": "teacher"}},
}


def test_the_step_looks_into_the_models_and_a_strict_recipe_stops_at_a_warning(recipe, monkeypatch, tmp_path, capsys):
    (tmp_path / "tr.txt").write_text(
        "\n".join(f"{text} {row}" for row in range(9) for text in TEXTS), encoding="utf-8"
    )
    run(score, monkeypatch, recipe(**LOOKED_INTO))
    folder = tmp_path / "run" / "score"
    report = read_scores(folder / "scores.json")
    assert len(report.profile) == 2 * 2 * 3 * 3 and len(report.observed_search) == 3 * 3
    assert {(point.model, point.length) for point in report.long_text} == {("student", 0), ("student", 256)}
    assert {found.name for found in report.diagnostics} == set(DIAGNOSTICS)
    assert {found.model for found in report.diagnostics} == {"teacher", "student"}
    assert (folder / "matryoshka_profile.png").is_file()
    # Networks with random weights point everywhere alike.
    assert any(found.name == "anisotropy" and found.flagged for found in report.diagnostics)
    text = capsys.readouterr().out
    assert all(f"## {title}" in text for title in ("Widths and storage", "Long texts", "Signs of failure"))
    strict = recipe(**{**LOOKED_INTO, "diagnostics": {"strict": True}, "long_text": None, "profile": None})
    with pytest.raises(SystemExit, match=r"(?s)diagnostics warn and the recipe is `strict`.*`anisotropy` of"):
        run(score, monkeypatch, strict, f"output_dir={tmp_path}/strict")
    with pytest.raises(SystemExit, match="diagnostics warn and the recipe is `strict`"):
        run(publish, monkeypatch, strict, f"output_dir={tmp_path}/strict")
    assert not (tmp_path / "outbox").exists()


def test_a_missed_requirement_fails_the_step_every_time_and_nothing_is_published(
    recipe, monkeypatch, tmp_path, capsys
):
    path = recipe({**GATE, "min": 0.99, "truncate_dim": 8})
    missed = r"1 of 1 scores miss what the recipe requires.*`student` on `sts` at 8 dimensions is -?0\.\d{4}, required"
    for _ in range(2):
        with pytest.raises(SystemExit, match=f"(?s){missed}"):
            run(score, monkeypatch, path)
        assert "**not met**" in capsys.readouterr().out
    assert (tmp_path / "run" / "score" / "scores.json").is_file()
    with pytest.raises(SystemExit, match=f"(?s){missed}"):
        run(publish, monkeypatch, path)
    assert not (tmp_path / "outbox").exists() and not (tmp_path / "run" / "publish").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "techer"}, "there is no model 'techer' among `models`, which has student, teacher"),
        ({"require": [{"metric": "spearman_cosine"}]}, "needs either `min` or `at_least`"),
        ({"require": [{"metric": "spearman", "min": 0.5}]}, "names the metric 'spearman'; the suites measure"),
        ({"require": [{**GATE, "min": 0.5, "truncate_dim": 7}]}, "the width 7, which is not in `truncate_dims`"),
        ({"require": [{**GATE, "min": 0.5, "suite": "stsb"}]}, "`require` names 'stsb'; the suites are sts"),
        ({"require": [{**GATE, "at_least": "base"}]}, "there is no model 'base'"),
        ({"seeds": {"runs": ["student"]}}, "`seeds.runs` needs at least two models"),
        ({"resamples": 10}, "needs at least 1,000"),
        ({"require": [{"tr_mteb": "tasks", "min": 0.5}]}, "names TR-MTEB's `tasks`, but there is no `tr_mteb`"),
        (
            {"tr_mteb": {"models": ["student"]}, "require": [{"tr_mteb": "tasks", "at_least": "teacher"}]},
            "names TR-MTEB's `tasks` of 'teacher'; `tr_mteb.models` has student",
        ),
        (
            {"tr_mteb": {"models": ["student"], "tasks": ["SnliTr"]}, "require": [{"tr_mteb": "STS", "min": 0.5}]},
            "`tr_mteb.tasks` leaves out STSbTR",
        ),
        ({"tr_mteb": {"models": []}}, "`tr_mteb.models` is empty"),
        ({"tr_mteb": {"models": ["techer"]}}, "there is no model 'techer'"),
        ({"tr_mteb": {"models": ["teacher"], "datasets": "org/name"}}, "is no local folder"),
        ({"tr_mteb": {"models": ["teacher"], "tasks": ["STSTR"]}}, "no task 'STSTR'; did you mean 'STSbTR'"),
        ({"truncate_dims": [32, -8]}, r"`truncate_dims` is \[32, -8\]; expected widths of at least 1, each once"),
        ({"truncate_dims": [32, 32]}, "each once"),
        ({"truncate_dims": []}, "each once"),
        ({"truncate_dims": [64, 8]}, r"asks for \[64\], which no model was trained at"),
        ({"profile": {"suites": ["stsb"]}}, "`profile` names 'stsb'; the suites are sts"),
        ({"profile": {"suites": []}}, "a profile needs `suites`"),
        ({"diagnostics": {"trained_from": {"student": "bse"}}}, "there is no model 'bse'"),
        ({"diagnostics": {"models": ["pupil"]}}, "there is no model 'pupil'"),
        ({"diagnostics": {}, "suites": {}}, "`diagnostics` look at the texts of `suites`, of which there are none"),
        ({"long_text": {**LOOKED_INTO["long_text"], "models": ["x"]}}, "there is no model 'x'"),
        ({"long_text": {**LOOKED_INTO["long_text"], "lengths": [512, 512]}}, "`lengths` is .* each once"),
        ({"long_text": {**LOOKED_INTO["long_text"], "candidates": 1}}, "`candidates` has to be at least 2"),
    ],
)
def test_a_recipe_that_cannot_be_scored_stops_before_any_work(recipe, monkeypatch, tmp_path, changes, message):
    with pytest.raises(SystemExit, match=message):
        run(score, monkeypatch, recipe(**changes))
    assert not (tmp_path / "run" / "score").exists() and not (tmp_path / "run" / "score.partial").exists()


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("bitext", {}, "a suite of the kind `bitext` reads 2 columns"),
        ("pairs", {}, "`labels` belongs to a suite of the kind `pairs`"),
        ("sts", {"labels": {"a": 1}}, "`labels` belongs to a suite of the kind `pairs`"),
    ],
)
def test_a_suite_whose_data_does_not_fit_its_kind_is_refused(recipe, kind, changes, message):
    data = {"source": "{data_root}/sts.tsv", "columns": ["sentence1", "sentence2", "score"], **changes}
    with pytest.raises(ValueError, match=message):
        load_recipe(recipe(suites={"sts": {"kind": kind, "data": data}}))


def test_a_suite_of_the_hub_without_a_split_is_refused(recipe):
    data = {"source": "org/sts-tr", "columns": ["sentence1", "sentence2", "score"]}
    with pytest.raises(ValueError, match="names 'org/sts-tr' on the Hub, but no `split`"):
        load_recipe(recipe(suites={"sts": {"kind": "sts", "data": data}}))


def test_the_command_pins_what_came_from_the_hub_and_can_be_pasted(recipe, monkeypatch):
    found = Input(role="suites.sts.data.source", kind="dataset", name="org/sts-tr", revision="0" * 40)
    identity = Identity(step="score", recipe={}, inputs=(found,), code="", seed=1)
    override = "score.require=[{metric: spearman_cosine, min: 0.1}]"
    monkeypatch.setattr(sys, "argv", ["score.py", str(recipe()), override, "score.suites.sts.data.source=org/sts-tr"])
    command = score.reproduce_command(load_recipe(recipe()), identity)
    words = shlex.split(command)
    assert words[-2:] == [override, f"score.suites.sts.data.source=org/sts-tr@{'0' * 40}"]
    assert words[-3] == "recipe.yaml"


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("output_dir=/home/me/out", "output_dir=DIR"),
        ("data_root=data", "data_root=DIR"),
        ("score.batch_size=4", "score.batch_size=4"),
        (
            'score.models={"a": "{output_dir}/clone", "b": "/home/me/b", "c": "org/name", "d": "../d"}',
            'score.models={"a": "{output_dir}/clone", "b": "DIR", "c": "org/name", "d": "DIR"}',
        ),
        ("score.models={a: ~/a, b: ./b}", "score.models={a: DIR, b: DIR}"),
    ],
)
def test_the_command_shows_no_path_of_this_machine(override, shown):
    assert score.portable_override(override) == shown


def test_a_suite_out_of_reach_is_an_error_that_names_its_key(recipe, monkeypatch, tmp_path):
    data = {"source": "org/sts-tr", "columns": ["sentence1", "sentence2", "score"], "split": "test"}
    with pytest.raises(SystemExit, match=r"`suites.stsb.data.source` names the dataset 'org/sts-tr' on the Hub"):
        run(score, monkeypatch, recipe(suites={"stsb": {"kind": "sts", "data": data}}))


def test_tr_mteb_is_scored_as_well_and_missing_tasks_are_tried_again(recipe, monkeypatch, tmp_path, capsys, caplog):
    pytest.importorskip("mteb")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    write_datasets(tmp_path / "benchmark", ["STSbTR"])
    asked = {"models": ["student"], "tasks": ["STSbTR", "SnliTr"], "datasets": "{data_root}/benchmark"}
    path = recipe({"tr_mteb": "STSbTR", "min": -1.0}, tr_mteb=asked, suites={})
    run(score, monkeypatch, path)
    folder = tmp_path / "run" / "score"
    report = read_scores(folder / "scores.json")
    assert report.scores == () and not (folder / "scores.png").exists()
    assert [(found.suite, found.value is None) for found in report.benchmark.scores] == [
        ("SnliTr", True),
        ("STSbTR", False),
    ]
    means = {mean.over: mean for mean in report.benchmark.means}
    assert (means["tasks"].count, means["tasks"].total) == (1, 26)
    text = capsys.readouterr().out
    assert "(1 of 26)" in text and "- Missing: SnliTr of student: FileNotFoundError: there is no copy" in text
    assert "embeddingmagibu-200m, published (2) | 0.6388 |" in text
    assert len(list((tmp_path / "run" / "tr_mteb").rglob("STSbTR.json"))) == 1
    assert "- met: TR-MTEB's `STSbTR` of `student` is " in text
    assert not any(str(tmp_path) in file.read_text() for file in folder.glob("scores.*"))
    # As the step is done, a second run only says how the missing task is tried again, and then that is what happens.
    run(score, monkeypatch, path)
    assert caplog.messages[-1].endswith(f"to try the missing ones again, remove {folder} and run this once more.")
    finished = next((tmp_path / "run" / "tr_mteb").rglob("STSbTR.json")).read_bytes()
    shutil.rmtree(folder)
    write_datasets(tmp_path / "benchmark", ["SnliTr"])
    run(score, monkeypatch, path)
    assert all(found.value is not None for found in read_scores(folder / "scores.json").benchmark.scores)
    assert next((tmp_path / "run" / "tr_mteb").rglob("STSbTR.json")).read_bytes() == finished
    shutil.rmtree(tmp_path / "benchmark/trmteb/snli_tr")
    # What is required of a task that is missing is not met, and the reason is given.
    path = recipe({"tr_mteb": "SnliTr", "min": 0.5}, tr_mteb=asked, suites={})
    missed = r"(?s)1 of 1 scores miss.*`SnliTr` of `student` is missing, required at least 0.5000 \(FileNotFoundError"
    with pytest.raises(SystemExit, match=missed):
        run(score, monkeypatch, path, f"output_dir={tmp_path}/required")
