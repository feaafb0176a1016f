"""What cannot be scored is missing by name with the reason; what would meet every task stops the run."""

import errno
import resource
import zlib

import numpy as np
import pytest
from datasets.exceptions import DatasetGenerationError
from sentence_transformers import SentenceTransformer
from tr_mteb_data import ROWS, contents_of, judgements, labelled, sentence, write_dataset, write_datasets

mteb = pytest.importorskip("mteb")


def test_datasets_out_of_reach_or_with_other_columns_are_missing_by_name_and_the_means_say_so(run, data, caplog):
    table = judgements(6, 8)
    other_ids = {"corpus": [{**row, "_id": f"x{row['_id']}"} for row in table["corpus"]["corpus"]]}
    write_dataset(data / "trmteb/tquad", {**table, "corpus": other_ids})
    write_dataset(data / "trmteb/nfcorpus-tr", {name: table[name] for name in ("default", "queries")})
    write_dataset(data / "trmteb/arguana-tr", {**table, "queries": {"queries": [{"_id": "q0", "soru": "a"}]}})
    write_dataset(data / "trmteb/stsb-tr", {"default": {"test": [{"sentence1": "a", "sentence2": "b", "puan": 1}]}})
    write_dataset(data / "trmteb/offenseval", {"default": {"test": labelled(20)}})
    write_dataset(data / "trmteb/multinli_tr", contents_of(ROWS["SnliTr"]))
    gaps = [{**entry, "text": None} if number < 2 else entry for number, entry in enumerate(table["corpus"]["corpus"])]
    write_dataset(data / "trmteb/fiqa-tr", {**table, "corpus": {"corpus": gaps}})
    rows = [{"text": None if number == 3 else entry["text"], "label": 0} for number, entry in enumerate(labelled(20))]
    write_dataset(data / "trmteb/news-cat", {"default": {"test": rows, "train": labelled(24)}})
    tasks = ["TurkishOffensiveLanguageClassification", "MnliTr", "SnliTr", "STSbTR", "SquadTRRetrieval"]
    report = run(
        *tasks,
        "TurkishNewsCategoryClassification",
        "FiQA2018TR",
        "TQuadRetrieval",
        "NFCorpusTR",
        "ArguAnaTR",
        "SciFactTR",
    )
    missing = {score.suite: score.missing for score in report.scores if score.value is None}
    expected = {
        "TurkishOffensiveLanguageClassification": "train",
        "MnliTr": "test_matched",
        "STSbTR": r"the split `test` lacks the columns ['score']; it has ['sentence1', 'sentence2', 'puan']",
        "SquadTRRetrieval": "there is no copy of trmteb/squad-tr in the folder of datasets",
        "TQuadRetrieval": "name none of its queries, or none of its documents",
        "NFCorpusTR": "corpus",
        "ArguAnaTR": "`queries` of the split `test` has the columns",
        "TurkishNewsCategoryClassification": "the column `text` of the split `test` is empty in 1 of 20 rows",
        "FiQA2018TR": "the column `text` of the split `test, corpus` is empty in 2 of 7 rows",
    }
    assert missing.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in missing[name] and str(data) not in missing[name], missing[name]
    # Which version it was that could not be scored.
    assert [score.suite for score in report.scores if score.dataset.digest is None] == ["SquadTRRetrieval"]
    means = {mean.over: mean for mean in report.means}
    assert (means["tasks"].count, means["tasks"].total) == (2, 26)
    assert (means["categories"].count, means["categories"].total) == (2, 26)
    assert (means["Retrieval"].count, means["Retrieval"].total) == (1, 11)
    assert means["STS"].value is None and means["STS"].count == 0
    values = {score.suite: score.value for score in report.scores if score.value is not None}
    assert means["tasks"].value == pytest.approx(np.mean([values["SnliTr"], values["SciFactTR"]]))
    warning = caplog.messages[-1]
    assert "9 tasks of `student` are missing, so that its means are over fewer" in warning and "STSbTR" in warning


def spoil_archive(folder):
    (folder / "default").rename(folder / "old")
    (folder / "rows.zip").write_bytes(b"PK" + bytes(40))
    (folder / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: rows.zip\n---\n")


def spoil_stream(folder):
    whole = zlib.compress((folder / "default/test.jsonl").read_bytes(), wbits=31)
    (folder / "default/test.jsonl.gz").write_bytes(whole[:20] + bytes(30))
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: test, path: default/test.jsonl.gz}\n---\n"
    )


def spoil_card(folder):
    (folder / "README.md").write_text("---\nconfigs: [\n---\n")


@pytest.mark.parametrize("spoil", [spoil_archive, spoil_stream, spoil_card])
def test_a_damaged_file_costs_one_task_whatever_library_finds_it(run, data, spoil):
    spoil(data / "trmteb/stsb-tr")
    scores = {score.suite: score for score in run("STSbTR", "SnliTr").scores}
    assert scores["STSbTR"].value is None and scores["STSbTR"].missing and scores["SnliTr"].value is not None


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("SnliTr", {"default": {"test": [{"sent1": ["a", "b"], "sent2": ["c", "d"], "labels": [-1, -1]}]}}, "-1"),
        ("MnliTr", {"default": {"test_matched": [{"sent1": "a", "sent2": "c", "labels": 0}] * 4}}, "test_matched"),
        ("TurkishOffensiveLanguageClassification", {"default": {"test": [{"text": "a", "label": -1}] * 9}}, "-1"),
        ("TurkishAbstractCorpusClustering", {"default": {"test": [{"sentences": ["a", "b"], "labels": [1, 1]}]}}, "1"),
    ],
)
def test_labels_that_are_hidden_or_all_the_same_are_no_score(run, data, name, contents, reason):
    known = contents_of(ROWS[name])["default"]
    write_dataset(data / ROWS[name].dataset, {"default": {**known, **contents["default"]}})
    (score,) = run(name).scores
    assert score.value is None and "has one label alone, such as" in score.missing and reason in score.missing


def test_judgements_without_a_relevant_document_are_no_score_and_queries_without_text_are_named(run, data, caplog):
    table = judgements(6, 8)
    graded = {"default": {"test": [{**row, "score": 0} for row in table["default"]["test"]]}}
    write_dataset(data / "trmteb/arguana-tr", {**table, **graded})
    write_dataset(data / "trmteb/tquad", {**table, "queries": {"queries": table["queries"]["queries"][:4]}})
    scores = {score.suite: score for score in run("ArguAnaTR", "TQuadRetrieval").scores}
    assert "none of its documents as relevant" in scores["ArguAnaTR"].missing
    assert scores["TQuadRetrieval"].value is not None
    assert "TQuadRetrieval: 2 of 6 judged queries of the split `test` have no text" in caplog.text


def test_tasks_that_fail_while_they_are_evaluated_are_missing_and_tried_again(run, data, tmp_path, caplog):
    graded = [{**row, "score": str(row["score"])} for row in contents_of(ROWS["STSbTR"])["default"]["test"]]
    write_dataset(data / "trmteb/stsb-tr", {"default": {"test": [{**graded[0], "score": "?"}, *graded]}})
    matched = contents_of(ROWS["MnliTr"])["default"]["test_matched"]
    three = [{**row, "labels": number % 3} for number, row in enumerate(matched)]
    write_dataset(data / "trmteb/multinli_tr", {"default": {"test_matched": matched, "test_mismatched": three}})
    numbers = [{**row, "text": number} for number, row in enumerate(labelled(24))]
    write_dataset(data / "trmteb/offenseval", {"default": {"test": numbers, "train": numbers}})
    tasks = ("TurkishOffensiveLanguageClassification", "MnliTr", "SnliTr", "STSbTR", "SciFactTR")
    first = run(*tasks)
    missing = {score.suite: score.missing for score in first.scores if score.value is None}
    assert list(missing) == ["TurkishOffensiveLanguageClassification", "MnliTr", "STSbTR"]
    assert missing["TurkishOffensiveLanguageClassification"].startswith("ValueError: 24 of 24 texts are none")
    assert "multiple classes" in missing["MnliTr"] and "'str'" in missing["STSbTR"]
    assert all(score.dataset.digest for score in first.scores)
    assert first.means[0].count == 2 and "3 tasks of `student` are missing" in caplog.messages[-1]
    # Not even of the split that was scored: readers of the folder would take it for the whole task.
    folder = tmp_path / "tr_mteb/results/local__student" / ("ab" * 32)
    assert {path.stem for path in folder.glob("*.json")} == {"model_meta", "SnliTr", "SciFactTR"}
    kept = {name: (folder / f"{name}.json").read_bytes() for name in ("SnliTr", "SciFactTR")}
    write_datasets(data, tasks)
    second = run(*tasks)
    assert all(score.value is not None for score in second.scores) and second.means[0].count == 5
    assert {name: (folder / f"{name}.json").read_bytes() for name in kept} == kept


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("out of memory"), MemoryError(), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["encode_query", "similarity"])
def test_an_error_of_the_model_or_the_machine_is_no_missing_task(run, gemma, error, place):
    model = SentenceTransformer(str(gemma), device="cpu")

    def fail(*arguments, **settings):
        raise error

    setattr(model, place, fail)
    if (place, type(error)) == ("similarity", ValueError):
        # Of what is compared.
        assert run("SciFactTR", load=lambda: model).scores[0].missing == "ValueError: x"
    else:
        with pytest.raises(type(error)):
            run("SciFactTR", load=lambda: model)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda vectors: vectors * np.where(np.arange(len(vectors)) == 3, np.nan, 1)[:, None],
            "1 of 12 texts a vector",
        ),
        (lambda vectors: vectors[1:], "11 vectors for 12 texts"),
    ],
)
def test_a_model_whose_vectors_are_broken_stops_the_run(run, gemma, spoil, message):
    model = SentenceTransformer(str(gemma), device="cpu")
    encode = model.encode
    model.encode = lambda *arguments, **settings: spoil(encode(*arguments, **settings))
    with pytest.raises(ValueError, match=message):
        run("STSbTR", load=lambda: model)


def test_a_machine_without_room_is_no_missing_dataset(run, gemma):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def load_last_file():
        model = SentenceTransformer(str(gemma), device="cpu")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
        return model

    try:
        with pytest.raises(OSError, match="Too many open files"):
            run("STSbTR", load=load_last_file)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_an_error_of_the_machine_is_seen_through_others_and_reasons_name_no_folder():
    from hf_turkembed.scoring.tr_mteb.failures import describe_error, is_of_machine

    def raised(cause):
        try:
            raise DatasetGenerationError("An error occurred at /root/.cache/x y/set.json") from cause
        except DatasetGenerationError as error:
            return error

    full = OSError(errno.ENOSPC, "No space left on device")
    assert is_of_machine(full) and is_of_machine(raised(full)) and is_of_machine(raised(MemoryError()))
    assert not is_of_machine(raised(OSError(errno.ENOENT, "none", "/root/x"))) and not is_of_machine(ValueError("x"))
    stated = describe_error(raised(ValueError("see https://hub/a/b,\n'/tmp/abc/train.csv'")))
    assert stated == (
        "DatasetGenerationError: An error occurred at x y/set.json (ValueError: see https://hub/a/b, 'train.csv')"
    )
    assert describe_error(ValueError("word " * 200)).endswith("word word ...")


def test_a_score_that_is_no_number_is_missing(run, data):
    rows = [{"sentence1": sentence(row, row), "sentence2": "a", "score": 1.0} for row in range(4)]
    write_dataset(data / "trmteb/stsb-tr", {"default": {"test": rows}})
    (score,) = run("STSbTR").scores
    assert score.value is None and score.missing == "its cosine_spearman is not a finite number"
    write_datasets(data, ["STSbTR"])
    assert run("STSbTR").scores[0].value is not None
