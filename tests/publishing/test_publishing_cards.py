"""Cards: the whole text, the header the Hub reads, and what must never stand in it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import jinja2
import numpy as np
import pytest
from huggingface_hub import DatasetCard, ModelCard
from score_samples import make_score

from hf_turkembed import record
from hf_turkembed.publishing import cards, render_card
from hf_turkembed.publishing.card_metadata import ALLOWED_KEYS
from hf_turkembed.scores import ScoreReport

GOLDEN = Path(__file__).parent / "golden"
KINDS = ["finetune-nli", "distill", "clone", "tokenizer", "embed"]


def render(folder, scores=(), **changes):
    settings = {"repo_id": "example/student", "license": "gemma", "languages": ["tr", "en"]}
    report = scores if isinstance(scores, ScoreReport) else ScoreReport(scores=tuple(scores))
    return render_card(folder, report=report, **{**settings, **changes})


def header(text):
    return ModelCard(text).data.to_dict()


@pytest.mark.parametrize("name", ["finetune-nli", "tokenizer", "embed"])
def test_whole_card_is_as_agreed(hub_run, report_of, name):
    text = render(hub_run / name, report_of(hub_run / name))
    assert text == (GOLDEN / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KINDS)
def test_header_holds_only_keys_that_the_hub_knows(hub_run, scores_of, name):
    assert set(header(render(hub_run / name, scores_of(hub_run / name)))) <= ALLOWED_KEYS


@pytest.mark.parametrize("name", KINDS)
def test_same_records_give_the_same_card(hub_run, scores_of, name):
    scores = scores_of(hub_run / name)
    assert render(hub_run / name, scores) == render(hub_run / name, scores)


def test_base_model_is_found_through_the_whole_chain(hub_run):
    found = header(render(hub_run / "finetune-nli"))
    assert (found["base_model"], found["base_model_relation"]) == ("example/teacher-300m", "finetune")


def test_datasets_are_those_that_were_read_without_held_out_text(hub_run):
    assert header(render(hub_run / "finetune-nli"))["datasets"] == ["example/nli-tr", "example/wikipedia"]


def test_run_on_made_up_text_has_no_base_model_and_says_so(sandbox_run):
    text = render(sandbox_run / "distill")
    assert "base_model" not in header(text)
    assert "made up by the sandbox grammar" in text


def test_fine_tuning_on_made_up_text_is_said_without_a_sandbox_step(hub_run):
    path = hub_run / "finetune-nli" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert "made up by" not in render(hub_run / "finetune-nli")
    content["identity"]["recipe"]["stages"]["nli"]["tasks"]["nli"]["train"]["synthetic"] = True
    path.write_text(json.dumps(content), encoding="utf-8")
    assert "made up by the sandbox grammar" in render(hub_run / "finetune-nli")


def test_scores_on_made_up_text_never_enter_model_index(hub_run, scores_of):
    text = render(hub_run / "distill", scores_of(hub_run / "distill"))
    assert "0.9900" in text
    assert {result["dataset"]["type"] for result in header(text)["model-index"][0]["results"]} == {
        "example/sts-tr",
        "nli-tr-dev.jsonl",
    }


def test_model_index_is_absent_when_all_scores_are_of_made_up_text(hub_run, scores_of):
    scores = [score for score in scores_of(hub_run / "distill") if score.dataset.synthetic]
    text = render(hub_run / "distill", scores)
    assert "model-index" not in header(text)
    assert "they say that the pipeline works, not that the model is good" in text


def test_scores_of_other_models_never_enter_model_index(hub_run, scores_of):
    scores = [score for score in scores_of(hub_run / "distill") if score.model == "teacher"]
    text = render(hub_run / "distill", scores)
    assert "model-index" not in header(text)
    assert "This model was not scored." in text


def test_folder_that_changed_after_scoring_counts_as_not_scored(hub_run, scores_of):
    scores = scores_of(hub_run / "distill")
    (hub_run / "distill" / "added.txt").write_text("new", encoding="utf-8")
    assert "This model was not scored." in render(hub_run / "distill", scores)


def test_numpy_score_becomes_a_plain_number(hub_run):
    own = make_score(model_digest=record.digest_path(hub_run / "distill"), value=np.float32(0.5))
    metric = header(render(hub_run / "distill", [own]))["model-index"][0]["results"][0]["metrics"][0]
    assert metric["value"] == 0.5
    assert metric["args"] == {"truncate_dim": 64}


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32("nan")])
def test_score_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="has to be finite"):
        make_score(value=value)


def test_missing_score_is_shown_with_its_reason(hub_run, scores_of):
    text = render(hub_run / "distill", scores_of(hub_run / "distill"))
    assert "Missing: `spearman_cosine` of teacher on sts-test at 32: all predictions are equal" in text


def test_counts_that_were_not_recorded_are_absent(hub_run):
    path = hub_run / "distill" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["observed"]["counts"] = {}
    path.write_text(json.dumps(content), encoding="utf-8")
    line = next(line for line in render(hub_run / "distill").splitlines() if line.startswith("| `distill`"))
    assert "final loss" not in line
    assert "rows" not in line


def test_rows_that_were_drawn_are_called_so(hub_run):
    path = hub_run / "clone" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["identity"]["recipe"]["initialization"] = "random"
    del content["observed"]["counts"]["agreement"]
    path.write_text(json.dumps(content), encoding="utf-8")
    text = render(hub_run / "clone")
    assert "Rows of new tokens started at random. For 5,000 tokens" in text
    assert "Before any training" not in text and "untrained |" not in text


def test_languages_default_to_those_of_the_records(hub_run):
    assert header(render(hub_run / "distill", languages=[]))["language"] == ["en", "tr"]


def test_a_language_whose_text_was_unusable_is_not_claimed(hub_run):
    path = hub_run / "tokenizer" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["observed"]["counts"]["corpus"] = {"en": {"weight": 0.0}, "tr": {"weight": 1.0}}
    path.write_text(json.dumps(content), encoding="utf-8")
    assert "Its corpus held tr; other languages were not measured." in render(hub_run / "tokenizer")


def test_norwegian_stays_a_text_in_the_header(hub_run):
    assert header(render(hub_run / "distill", languages=["no"]))["language"] == ["no"]


def test_card_without_a_licence_says_so(hub_run):
    text = render(hub_run / "distill", license=None)
    assert "license" not in header(text)
    assert "None was stated." in text


def test_dataset_card_has_one_config_for_each_language_and_turkish_as_default(hub_run):
    configs = DatasetCard(render(hub_run / "embed")).data.to_dict()["configs"]
    assert [(config["config_name"], config.get("default", False)) for config in configs] == [
        ("en", False),
        ("tr", True),
    ]
    assert configs[1]["data_files"] == [
        {"split": split, "path": f"data/tr/{split}-*.parquet"} for split in ("train", "validation")
    ]


def test_dataset_without_counted_languages_is_refused(hub_run):
    path = hub_run / "embed" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["observed"]["counts"]["languages"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="counts no `languages`"):
        render(hub_run / "embed")


def test_tokenizer_without_report_figure_and_id_map_has_a_card_without_them(hub_run):
    for name in ("tokenizer_report.json", "fertility.png", "id_map.json"):
        (hub_run / "tokenizer" / name).unlink()
    text = render(hub_run / "tokenizer")
    assert "What changed" not in text and ".png" not in text and "id_map" not in text
    assert "before and after the change of vocabulary" in text


def test_tokenizer_that_met_no_turkish_has_a_card_without_inflected_words(hub_run):
    path = hub_run / "tokenizer" / "tokenizer_report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    for side in ("before", "after"):
        report[side]["inflection"] = None
    path.write_text(json.dumps(report), encoding="utf-8")
    text = render(hub_run / "tokenizer")
    assert "| vocabulary size | 262,144 | 32,768 |" in text
    assert "nflected" not in text


def test_tokenizer_report_of_another_version_is_refused(hub_run):
    path = hub_run / "tokenizer" / "tokenizer_report.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"schema_version": 1', '"schema_version": 0'), "utf-8")
    with pytest.raises(ValueError, match="schema version 0, expected 1"):
        render(hub_run / "tokenizer")


def test_output_of_a_step_that_is_not_published_is_refused(sandbox_run):
    with pytest.raises(ValueError, match="step `sandbox` is not published"):
        render(sandbox_run / "sandbox")


def test_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no provenance\.json"):
        render(tmp_path)


def test_template_with_an_unknown_name_is_refused(monkeypatch):
    monkeypatch.setattr(cards, "_read_template", lambda name: "{{ licence }}")
    with pytest.raises(jinja2.UndefinedError, match="licence"):
        cards._render("model.md.j2", {"license": "gemma"})


def test_cell_that_holds_a_bar_stays_one_cell(hub_run):
    own = make_score(model_digest=record.digest_path(hub_run / "distill"), suite="a|b")
    assert "| a\\|b |" in render(hub_run / "distill", [own])


def test_model_scored_under_two_names_enters_model_index_once(hub_run):
    own = make_score(model_digest=record.digest_path(hub_run / "distill"))
    text = render(hub_run / "distill", [own, replace(own, model="distilled")])
    assert len(header(text)["model-index"][0]["results"][0]["metrics"]) == 1
    assert "**student (this model)**" in text
