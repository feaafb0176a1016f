"""TR-MTEB: its table of tasks, what each reads, and that results are kept, read by mteb, and never silently fewer."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import ROOT
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer
from tr_mteb_data import (
    FEW,
    MTEB_DATASETS,
    ROWS,
    contents_of,
    judgements,
    labelled,
    sentence,
    write_dataset,
    write_datasets,
)

from hf_turkembed.corpus import read_pairs
from hf_turkembed.record import digest_path
from hf_turkembed.scoring.tr_mteb import check_request, load_benchmark, read_published
from hf_turkembed.scoring.tr_mteb.means import average_scores
from hf_turkembed.scoring.tr_mteb.tasks import MAIN_SCORES, TASKS, select_tasks

mteb = pytest.importorskip("mteb")


def unreachable(self, *arguments, **settings):
    """Stand for a Hub without a network."""
    raise ConnectionError("no network")


def unable(model):
    """Return the model, unable to encode anything."""

    def refuse(*arguments, **settings):
        raise AssertionError("a finished task was run again")

    model.encode = model.encode_query = model.encode_document = refuse
    return model


def test_the_benchmark_has_the_26_tasks_with_datasets_splits_and_main_scores():
    tasks = {task.metadata.name: task for task in load_benchmark().tasks}
    assert list(tasks) == [row.name for row in TASKS] and len(tasks) == 26
    assert sum(row.dataset is None for row in TASKS) == 4
    counts = {"Retrieval": 11, "Classification": 8, "PairClassification": 3, "Clustering": 2}
    assert Counter(task.metadata.type for task in tasks.values()) == {**counts, "BitextMining": 1, "STS": 1}
    for row in TASKS:
        task = tasks[row.name]
        assert task.metadata.main_score == MAIN_SCORES[row.category] and task.metadata.type == row.category
        assert task.metadata.dataset["path"] == (row.dataset or MTEB_DATASETS[row.name])
        if row.dataset is not None:
            assert task.metadata.dataset["revision"] == "main" and tuple(task.eval_splits) == row.splits
        assert task.languages == (["eng", "tur"] if row.category == "BitextMining" else ["tur"])
    assert {row.name for row in TASKS if row.skip_own_id} == {"ArguAnaTR", "FiQA2018TR", "QuoraRetrievalTR"}
    assert tasks["FiQA2018TR"].ignore_identical_ids and not tasks["SCIDOCSTR"].ignore_identical_ids
    # mteb finds tasks by name, as its tables and results do.
    assert mteb.get_task("SciFactTR").metadata.dataset["path"] == "trmteb/scifact-tr"


def test_a_task_that_does_not_exist_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="TR-MTEB has no task 'STSTR'; did you mean 'STSbTR'"):
        check_request(["STSTR"])


def test_without_mteb_the_request_is_refused_before_any_work(monkeypatch):
    monkeypatch.setattr("hf_turkembed.scoring.tr_mteb.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="TR-MTEB needs mteb, which is not installed; the extra `mteb`"):
        check_request(())


def test_scores_are_what_the_model_gives_and_results_are_read_by_mteb(run, gemma, data, tmp_path):
    report = run(*FEW)
    assert [score.suite for score in report.scores] == ["SnliTr", "STSbTR", "SciFactTR"]
    scores = {score.suite: score for score in report.scores}
    rows = contents_of(ROWS["STSbTR"])["default"]["test"]
    model = SentenceTransformer(str(gemma), device="cpu")

    def expected(**settings):
        left, right = (model.encode([row[name] for row in rows], **settings) for name in ("sentence1", "sentence2"))
        return spearmanr(model.similarity_pairwise(left, right), [row["score"] for row in rows]).statistic

    assert scores["STSbTR"].value == pytest.approx(expected(prompt=""), abs=1e-6)
    assert [score.prompt for score in report.scores] == [None, None, None]
    # Those that mteb finds in the model for a kind of task; an empty one is none.
    prompted = {score.suite: score for score in run(*FEW, prompts=True).scores}
    assert prompted["STSbTR"].value == pytest.approx(expected(prompt_name="STS"), abs=1e-6)
    assert {name: score.prompt for name, score in prompted.items()} == {
        "SnliTr": None,
        "STSbTR": "STS",
        "SciFactTR": "query",
    }
    assert expected(prompt="") != pytest.approx(expected(prompt_name="STS"), abs=1e-3)
    for name, score in scores.items():
        assert score.dataset.name == ROWS[name].dataset
        assert score.dataset.digest == digest_path(data / score.dataset.name) and score.dataset.revision is None
    loaded = mteb.ResultCache(tmp_path / "tr_mteb").load_results(tasks=list(FEW))
    (result,) = loaded.model_results
    assert result.model_name == "local/student" and result.model_revision == "ab" * 32
    assert {task.task_name: task.get_score() for task in result.task_results} == {
        name: pytest.approx(score.value, abs=1e-6) for name, score in scores.items()
    }
    assert {task.task.metadata.type for task in result.task_results} == {"PairClassification", "STS", "Retrieval"}
    assert len(loaded.to_dataframe()) == 3
    assert str(tmp_path) not in (tmp_path / "tr_mteb/results/local__student" / ("ab" * 32) / "STSbTR.json").read_text()


def test_finished_tasks_are_not_run_again_unless_cut_off_or_of_another_version(run, gemma, tmp_path):
    first = run("SnliTr", "STSbTR")

    def load():
        return unable(SentenceTransformer(str(gemma), device="cpu"))

    # The model is not needed any more.
    assert run("SnliTr", "STSbTR", load=load) == first
    folder = tmp_path / "tr_mteb/results/local__student" / ("ab" * 32)
    whole = (folder / "STSbTR.json").read_text()
    for damaged in (whole[:100], "", "null", "{}", "[]", "[" * 100_000, whole.replace(mteb.__version__, "2.0.0")):
        (folder / "STSbTR.json").write_text(damaged)
        with pytest.raises(AssertionError, match="run again"):
            run("SnliTr", "STSbTR", load=load)
        (folder / "STSbTR.json").write_text(damaged)
        assert run("SnliTr", "STSbTR") == first
    # Another precision is another model.
    with pytest.raises(AssertionError, match="run again"):
        run("STSbTR", load=load, precision="bfloat16")


def test_results_of_one_folder_are_none_of_another_or_of_the_hub(run, tmp_path, monkeypatch):
    monkeypatch.setattr("hf_turkembed.scoring.tr_mteb.running.HfApi.dataset_info", unreachable)
    tasks = ("SnliTr", "STSbTR")
    first = run(*tasks)
    for folder in (tmp_path / "nowhere", None):
        scores = run(*tasks, folder=folder).scores
        assert all(score.value is None and score.missing for score in scores)
    # They are kept all the same.
    assert run(*tasks) == first


def test_results_of_the_hub_are_good_where_it_cannot_be_asked(run, tmp_path, monkeypatch):
    first = run("STSbTR").scores[0]
    path = next((tmp_path / "tr_mteb").rglob("STSbTR.json"))
    path.write_text(path.read_text().replace(first.dataset.digest, "3" * 40))
    monkeypatch.setattr("hf_turkembed.scoring.tr_mteb.running.HfApi.dataset_info", unreachable)
    (score,) = run("STSbTR", folder=None).scores
    assert (score.value, score.dataset.revision) == (first.value, "3" * 40)


@pytest.mark.parametrize("kept", [False, True])
def test_copies_that_changed_are_read_anew(run, data, tmp_path, kept):
    first = {score.suite: score for score in run("STSbTR", "SciFactTR").scores}
    rows = contents_of(ROWS["STSbTR"])["default"]["test"]
    write_dataset(data / "trmteb/stsb-tr", {"default": {"test": [{**row, "score": 5 - row["score"]} for row in rows]}})
    write_dataset(data / "trmteb/scifact-tr", judgements(2, 3))
    if not kept:
        shutil.rmtree(tmp_path / "tr_mteb")
    second = {score.suite: score for score in run("STSbTR", "SciFactTR").scores}
    # `datasets` knows local folders by their names alone; it would give what it converted before.
    assert second["STSbTR"].value == pytest.approx(-first["STSbTR"].value, abs=1e-6)
    assert second["SciFactTR"].value != first["SciFactTR"].value
    assert second["STSbTR"].dataset.digest != first["STSbTR"].dataset.digest


def test_judgements_are_drawn_and_the_last_of_a_query_counts(tmp_path):
    from hf_turkembed.scoring.tr_mteb.mteb_tasks import sample_judgements

    table = judgements(1500, 1600)
    write_dataset(tmp_path / "set", table)
    drawn = sample_judgements(str(tmp_path / "set"), "main", "test")
    # Independently: numpy's permutation with that seed is what `Dataset.shuffle` draws.
    order = np.random.default_rng(42).permutation(3000)[:2048]
    expected = {}
    for position in order:
        row = table["default"]["test"][position]
        expected[row["query-id"]] = {row["corpus-id"]: 1}
    assert drawn["relevant_docs"] == expected
    assert set(drawn["queries"]["id"]) == set(expected)
    assert set(drawn["corpus"]["id"]) == {table["default"]["test"][position]["corpus-id"] for position in order}
    assert drawn["corpus"][0]["text"] == sentence(*[int(drawn["corpus"][0]["id"][1:])] * 2)
    assert set(drawn["corpus"]["title"]) == {""}


def test_a_fifth_of_a_dataset_of_one_split_is_held_out_by_class(tmp_path):
    write_dataset(tmp_path / "set", {"default": {"test": labelled(50)}})
    task = mteb.get_task("Turkish75NewsClassification")
    task.metadata = task.metadata.model_copy(update={"dataset": {"path": str(tmp_path / "set"), "revision": "main"}})
    task.load_data()
    assert {name: Counter(split["label"]) for name, split in task.dataset.items()} == {
        "train": {0: 20, 1: 20},
        "test": {0: 5, 1: 5},
    }


def test_means_are_over_tasks_over_categories_and_within_each(run):
    (score,) = run("STSbTR").scores
    values = {"MnliTr": 0.5, "SnliTr": 0.7, "STSbTR": 0.9}
    scores = [replace(score, suite=name, task=ROWS[name].category, value=value) for name, value in values.items()]
    means = {mean.over: (mean.value, mean.count, mean.total) for mean in average_scores(scores)}
    assert means["tasks"] == (pytest.approx(0.7), 3, 26)
    assert means["categories"] == (pytest.approx(0.75), 3, 26)
    assert means["PairClassification"] == (pytest.approx(0.6), 2, 3)
    assert means["Clustering"] == (None, 0, 2)


def test_published_scores_name_their_source_and_agree_with_their_means():
    published = {other.model: other for other in read_published()}
    assert published["multilingual-e5-large"].means["tasks"] == pytest.approx(0.6682, abs=1e-4)
    assert all(other.source.startswith("https://") and 0 < other.means["tasks"] < 1 for other in published.values())
    table = json.loads((ROOT / "hf_turkembed/scoring/tr_mteb/published_scores.json").read_text())["tables"]
    by_task = {model: entry for part in table for model, entry in part["models"].items() if "tasks" in entry}
    assert len(by_task) == 19
    for model, entry in by_task.items():
        assert set(entry["tasks"]) == set(ROWS)
        assert np.mean(list(entry["tasks"].values())) == pytest.approx(entry["mean"], abs=0.0051)
        assert published[model].means["Retrieval"] == pytest.approx(
            np.mean([entry["tasks"][row.name] for row in TASKS if row.category == "Retrieval"]) / 100
        )


RUNNING = """
import sys
from pathlib import Path
from sentence_transformers import SentenceTransformer
from hf_turkembed.scoring import ScoredModel
from hf_turkembed.scoring.tr_mteb import score_benchmark
model = ScoredModel(role="student", digest="ab" * 32, load=lambda: SentenceTransformer(sys.argv[1], device="cpu"),
                    truncate_dims=(32,), precision="float32")
score_benchmark([(model, "local/student")], results=Path(sys.argv[2]), datasets=Path(sys.argv[3]), batch_size=8)
"""


@pytest.mark.launch
def test_a_run_that_was_killed_goes_on_with_the_tasks_that_were_left(run, gemma, data, tmp_path):
    write_datasets(data, ("MnliTr",))
    tasks = ("MnliTr", *FEW)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hf_home")}
    command = [sys.executable, "-c", RUNNING, str(gemma), str(tmp_path / "tr_mteb"), str(data)]
    folder = tmp_path / "tr_mteb/results/local__student" / ("ab" * 32)
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while not (folder / "SnliTr.json").is_file() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    finished = {path.name: path.read_bytes() for path in folder.glob("*Tr.json")}
    assert "MnliTr.json" in finished
    assert not (folder / "SciFactTR.json").exists()
    report = run(*tasks)
    assert all(score.value is not None for score in report.scores) and len(report.scores) == 4
    assert (folder / "MnliTr.json").read_bytes() == finished["MnliTr.json"]


def test_all_26_tasks_run_end_to_end(run, tmp_path):
    write_datasets(tmp_path / "all")
    report = run(folder=tmp_path / "all")
    assert [score.missing for score in report.scores if score.value is None] == []
    assert len(report.scores) == 26 and all(mean.count == mean.total for mean in report.means)
    assert all(-1 <= score.value <= 1 for score in report.scores)
    results = mteb.ResultCache(tmp_path / "tr_mteb").load_results()
    totals = load_benchmark().get_score(results)
    means = {mean.over: mean.value for mean in report.means}
    (found,) = totals.values()
    assert found["Mean(Task)"] == pytest.approx(means["tasks"], abs=1e-6)
    assert found["Mean(TaskType)"] == pytest.approx(means["categories"], abs=1e-6)
    assert found["Retrieval"] == pytest.approx(means["Retrieval"], abs=1e-6)


@pytest.mark.real
@pytest.mark.slow
def test_mteb_and_our_own_suites_agree_on_real_sentences(run, score, suite, shared_data, data):
    english, turkish = (
        (shared_data / f"data/wmt-tr-en/newstest2016.{name}").read_text().splitlines()[:500] for name in ("eng", "tur")
    )
    table = read_pairs(shared_data / "data/stsb-tr/stsb_tr_dev.tsv", highest_score=5)
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    aligned = {"sentence1": english, "sentence2": turkish}
    parallel = [{"sentence1": one, "sentence2": other} for one, other in zip(english, turkish, strict=True)]
    write_dataset(data / "trmteb/stsb-tr", {"default": {"test": rows}})
    write_dataset(data / "trmteb/wmt16_en_tr", {"default": {"test": parallel}})

    def load():
        return SentenceTransformer(str(shared_data / "teacher"), device="cpu")

    found = {entry.suite: entry.value for entry in run("STSbTR", "WMT16BitextMining", load=load).scores}
    own = score({"teacher": load()}, [suite("sts", table), suite("bitext", aligned)], truncate_dims=(128,)).scores
    values = {entry.metric: entry.value for entry in own}
    assert found["STSbTR"] == pytest.approx(values["spearman_cosine"], abs=1e-4)
    assert found["WMT16BitextMining"] == pytest.approx(values["f1_cosine"], abs=1e-4)


@pytest.mark.launch
@pytest.mark.slow
def test_datasets_of_the_hub_are_read_at_the_commit_that_main_is(run_client, gemma, tmp_path):
    names = [row.name for row in select_tasks(()) if row.dataset is not None]
    there = [name for name in names if name != "SCIDOCSTR"]
    (tmp_path / "work").mkdir()
    script = Path(__file__).with_name("tr_mteb_on_hub.py")
    done = run_client(script, gemma, tmp_path / "work", *there, ",", *names, token="hf_trmteb")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    scores = {score["suite"]: score for score in found["scores"]}
    assert scores.keys() == set(names)
    for name in there:
        assert scores[name]["value"] is not None, scores[name]["missing"]
        assert scores[name]["dataset"]["revision"] == found["heads"][name]
    assert "RepositoryNotFoundError" in scores["SCIDOCSTR"]["missing"]
    assert found["means"][0]["count"] == 21 and found["means"][0]["total"] == 26
