"""Cards: the whole text, the header the Hub reads, and what must never stand in it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import jinja2
import numpy as np
import pytest
import torch
from huggingface_hub import DatasetCard, ModelCard
from markdown_it import MarkdownIt
from score_samples import REPORT, make_benchmark, make_comparison, make_score
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, Gemma3TextModel
from typer.testing import CliRunner

from hf_turkembed import record
from hf_turkembed.chain import read_chain
from hf_turkembed.cli import app
from hf_turkembed.json_files import as_plain, write_json
from hf_turkembed.publishing import cards, render_card, stage_folder
from hf_turkembed.publishing.card_metadata import ALLOWED_KEYS
from hf_turkembed.scores import SCORES_SCHEMA_VERSION, ScoreDataset, ScoreReport, read_scores

GOLDEN = Path(__file__).parent / "golden"
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
KINDS = ["finetune-nli", "distill", "clone", "tokenizer", "embed"]


def render(folder, scores=(), **changes):
    settings = {"repo_id": "example/student", "license": "gemma", "languages": ["tr", "en"]}
    report = scores if isinstance(scores, ScoreReport) else ScoreReport(scores=tuple(scores))
    return render_card(folder, report=report, **{**settings, **changes})


def header(text):
    return ModelCard(text).data.to_dict()


@pytest.mark.parametrize("name", KINDS)
def test_whole_card_is_as_agreed(hub_run, report_of, name):
    text = render(hub_run / name, report_of(hub_run / name))
    assert text == (GOLDEN / f"{name}.md").read_text(encoding="utf-8")


def test_failures_that_a_card_names_are_what_happens(hub_run, gemma):
    text = render(hub_run / "distill")
    assert all(
        sign in text for sign in ("`ValueError` about float16", "norm below 1", "`TypeError` about `truncate_dim`")
    )
    with pytest.raises(ValueError, match="float16"):
        AutoModel.from_pretrained(gemma, dtype=torch.float16)
    with pytest.raises(ValueError, match="matryoshka_dims"):
        AutoModel.from_pretrained(gemma, truncate_dim=12)
    with pytest.raises(TypeError, match="truncate_dim"):
        Gemma3TextModel.from_pretrained(gemma, truncate_dim=16)
    native = Gemma3TextModel.from_pretrained(gemma)(torch.tensor([[2, 9, 1]]))
    assert "pooler_output" not in native
    short = SentenceTransformer(str(gemma), truncate_dim=8, device="cpu").encode(["Kedi uyuyor."])
    assert np.linalg.norm(short) < 0.9


@pytest.mark.parametrize("name", KINDS)
def test_header_holds_only_keys_that_the_hub_knows(hub_run, scores_of, name):
    assert set(header(render(hub_run / name, scores_of(hub_run / name)))) <= ALLOWED_KEYS


@pytest.mark.parametrize("name", KINDS)
def test_same_records_give_the_same_card(hub_run, scores_of, name):
    scores = scores_of(hub_run / name)
    assert render(hub_run / name, scores) == render(hub_run / name, scores)


@pytest.mark.parametrize("name", KINDS)
def test_a_published_repo_gives_its_own_card_again_wherever_it_stands(hub_run, report_of, tmp_path, name):
    given = {"repo_id": f"example/{name}", "license": "mit", "languages": ["tr"], "report": report_of(hub_run / name)}
    card = render_card(hub_run / name, **given)
    stage_folder(hub_run / name, tmp_path / "elsewhere" / name, card=card, report=given["report"])
    assert render_card(tmp_path / "elsewhere" / name, **given) == card
    if name == "distill":
        write_json(tmp_path / "elsewhere" / name / "lineage.json", {"schema_version": 1, "records": []})
        with pytest.raises(ValueError, match=r"`distill` was made with the `student` .*Its licence and data would be"):
            render_card(tmp_path / "elsewhere" / name, **given)


def test_the_command_prints_the_card_or_its_parts_as_json(hub_run):
    options = ["card", str(hub_run / "distill"), "--repo-id", "example/student", "--license", "gemma"]
    options += ["--language", "tr", "--language", "en"]
    text = render(hub_run / "distill")
    assert CliRunner().invoke(app, options).stdout == text
    told = json.loads(CliRunner().invoke(app, [*options, "--json"]).stdout)
    assert told == {"repo_id": "example/student", "metadata": header(text), "text": text}


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


@pytest.mark.parametrize("name", ["model.safetensors", "2_Dense/model.safetensors", "tokenizer.json"])
def test_model_whose_weights_or_tokens_changed_after_scoring_counts_as_not_scored(hub_run, scores_of, name):
    scores = scores_of(hub_run / "distill")
    (hub_run / "distill" / "2_Dense").mkdir()
    (hub_run / "distill" / name).write_bytes(b"new")
    assert "This model was not scored." in render(hub_run / "distill", scores)


def test_a_model_keeps_its_digest_when_files_come_beside_its_weights(hub_run):
    before = record.digest_model(hub_run / "distill")
    (hub_run / "distill" / "LICENSE").write_text("new", encoding="utf-8")
    assert record.digest_model(hub_run / "distill") == before
    assert record.digest_model(hub_run / "clone") != before


def test_numpy_score_becomes_a_plain_number(hub_run):
    own = make_score(model_digest=record.digest_model(hub_run / "distill"), value=np.float32(0.5))
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


def test_a_benchmark_stands_in_the_card_with_its_missing_tasks_and_in_the_header_without_them(hub_run):
    benchmark = make_benchmark()
    digest = record.digest_model(hub_run / "distill")
    scores = [replace(s, model_digest=digest) if s.model == "student" else s for s in benchmark.scores]
    text = render(hub_run / "distill", ScoreReport(scores=(), benchmark=replace(benchmark, scores=tuple(scores))))
    assert "### TR-MTEB\n\nRun by mteb" in text and "| **student (this model)** | 0.7812 (1 of 3) |" in text
    assert "- Missing: MnliTr of student: no such dataset" in text
    results = header(text)["model-index"][0]["results"]
    assert [result["dataset"]["type"] for result in results] == ["example/snli_tr"]


def test_counts_that_were_not_recorded_are_absent(hub_run):
    path = hub_run / "distill" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["observed"]["counts"] = {}
    path.write_text(json.dumps(content), encoding="utf-8")
    line = next(line for line in render(hub_run / "distill").splitlines() if line.startswith("| `distill`"))
    assert "final loss" not in line
    assert "rows" not in line


@pytest.mark.parametrize(
    ("keep", "told"), [("last", "at the end of distillation"), ("best", "where distillation did best, after step 10,")]
)
def test_the_agreement_with_the_teacher_is_that_of_the_weights_that_were_kept(hub_run, keep, told):
    path = hub_run / "distill" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["identity"]["recipe"]["keep"] = keep
    cosines = {10: {"en": 0.97, "tr": 0.98}, 20: {"en": 0.91, "tr": 0.92}}
    evaluations = [{"step": step, "cosine": cosine, "spearman": {}} for step, cosine in cosines.items()]
    content["observed"]["counts"] |= {"evaluations": evaluations, "best_step": 10}
    path.write_text(json.dumps(content), encoding="utf-8")
    published = "0.970 (en) to 0.980 (tr)" if keep == "best" else "0.910 (en) to 0.920 (tr)"
    sentence = f"embeddings {told} had a mean cosine with the teacher's of {published}, over 2 languages."
    text = render(hub_run / "distill")
    assert sentence in text and "| cosine with the teacher, distilled |" in text
    turkish = next(line for line in text.splitlines() if line.startswith("| tr | ") and "%" in line)
    assert turkish.endswith("| 0.980 |" if keep == "best" else "| 0.920 |")


def test_cosines_with_the_teacher_stand_by_language_and_width_before_and_after(hub_run):
    path = hub_run / "distill" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))

    def cells(mean):
        return {width: {"cosine": mean, "low": mean - 0.01, "high": mean + 0.0125} for width in ("64", "16")}

    content["observed"]["counts"] |= {
        "untrained_cosine": {"en": cells(0.5), "tr": cells(0.6)},
        "distilled_cosine": {"en": cells(0.75), "tr": cells(0.875)},
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    text = render(hub_run / "distill")
    assert "| language | 64 | 16 |" in text
    assert "| tr | 0.600 to 0.875 [0.865, 0.887] | 0.600 to 0.875 [0.865, 0.887] |" in text
    assert "Cosine with the teacher's embeddings on these rows by width" not in render(hub_run / "clone")


def test_a_student_of_parallel_text_says_that_its_teacher_read_another_text(hub_run):
    for step, found in (
        ("embed", {"columns": ["text", "teacher_text", "embedding"]}),
        ("distill", {"evaluations": [{"step": 20, "cosine": {"en": 0.91, "tr": 0.52}, "spearman": {}}]}),
    ):
        path = hub_run / step / "provenance.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["observed"]["counts"] |= found
        path.write_text(json.dumps(content), encoding="utf-8")
    text = render(hub_run / "distill")
    assert "They are parallel text: the vector of a text is what the teacher makes of another one" in text
    assert "over 2 languages. The teacher's are those of the other text of the same meaning" in text
    # Beside the cosine on one and the same text, before training, that on two texts would look like a loss.
    assert "cosine with the teacher, untrained |" in text and "cosine with the teacher, distilled" not in text


@pytest.mark.parametrize("extended", [True, False])
def test_a_teacher_that_read_beyond_its_window_is_called_so(hub_run, extended):
    path = hub_run / "embed" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["identity"]["recipe"]["extend_window"] = extended
    path.write_text(json.dumps(content), encoding="utf-8")
    assert ("; extend window" in render(hub_run / "embed")) == extended


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


@pytest.mark.parametrize("language", ["turkish", "", "tr\nen", "<b>"])
def test_what_is_no_language_code_is_refused(hub_run, language):
    with pytest.raises(ValueError, match="expected an ISO 639 code"):
        render(hub_run / "distill", languages=[language])


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


@pytest.mark.parametrize("name", ["snippet", 'org/a"); import os', "org/na me", "{{ 1 }}/x"])
def test_name_that_is_none_of_a_repo_never_reaches_a_snippet(hub_run, name):
    with pytest.raises(ValueError, match=r"(?i)repo.id"):
        render(hub_run / "distill", repo_id=name)


def set_license(folder, **licenses):
    path = folder / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["observed"]["licenses"] = licenses
    path.write_text(json.dumps(content), encoding="utf-8")


def test_terms_of_the_teacher_go_along_to_everything_made_from_it(hub_run):
    set_license(hub_run / "clone", teacher="gemma")
    for name in ("clone", "distill", "finetune-nli"):
        text = render(hub_run / name, license=None)
        assert header(text)["license"] == "gemma"
        assert "`example/teacher-300m` under `gemma`." in text and "https://ai.google.dev/gemma/terms" in text
        with pytest.raises(ValueError, match=r"'apache-2.0', but example/teacher-300m is under 'gemma'"):
            render(hub_run / name, license="apache-2.0")


def test_terms_that_do_not_bind_leave_the_choice(hub_run):
    set_license(hub_run / "clone", teacher="apache-2.0")
    assert header(render(hub_run / "distill", license="mit"))["license"] == "mit"
    assert "license" not in header(render(hub_run / "distill", license=None))


@pytest.mark.parametrize("license", ["Apache 2.0", "", "mit\ntags: [x]", "`mit`"])
def test_what_is_no_licence_id_is_refused(hub_run, license):
    with pytest.raises(ValueError, match="expected a licence id of the Hub"):
        render(hub_run / "distill", license=license)


def test_a_record_with_a_number_that_is_not_finite_is_refused(hub_run):
    path = hub_run / "distill" / "provenance.json"
    path.write_text(path.read_text(encoding="utf-8").replace("0.08125", "NaN"), encoding="utf-8")
    with pytest.raises(ValueError, match="it holds NaN"):
        render(hub_run / "distill")


HOSTILE = (
    "ığüşöç İIŞĞ",
    "**kalın** _eğik_ `kod` ``a`b``",
    "<script>alert(1)</script> <b> &lt; <!-- x",
    "{{ 7 * 7 }} {% raw %} {# x #}",
    "[metin](https://evil.example) ![x](y.png)",
    "a|b \\| c",
    "satır\n\n## Başlık\n\n- madde",
    "---\nlicense: mit\n---",
    "```python\nprint(1)\n```",
)


def texts_of(card):
    """Collect what a reader of a card sees, and every kind of markup in it."""
    body = card.partition("\n---\n")[2]
    inline = [token for token in READER.parse(body) if token.type == "inline"]
    kinds = {token.type for token in READER.parse(body)} | {child.type for token in inline for child in token.children}
    lines = ["".join(child.content for child in token.children) for token in inline]
    headings = [token.markup for token in READER.parse(body) if token.type == "heading_open"]
    code = [token.content for token in READER.parse(body) if token.type == "fence"]
    links = {child.attrs["href"] for token in inline for child in token.children if child.type == "link_open"}
    return lines, kinds, headings, code, links


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["finetune-nli", "tokenizer", "embed"])
def test_texts_of_the_records_stand_in_a_card_as_they_are(hub_run, name, text):
    folder = hub_run / name
    plain = make_report(folder, "plain")
    expected = texts_of(render(folder, plain))
    for path in hub_run.glob("*/provenance.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        content["observed"]["hardware"]["accelerators"] = [text]
        content["observed"]["packages"]["torch"] = text
        path.write_text(json.dumps(content), encoding="utf-8")
    report = make_report(folder, text)
    card = render(folder, report)
    lines, kinds, headings, code, links = texts_of(card)
    shown = " ".join(text.split())
    assert any(shown in line for line in lines)
    if "model-index" in header(card):
        assert header(card)["model-index"][0]["results"][0]["dataset"]["type"] == text
        assert sum(shown in line for line in lines) > 8
    assert (kinds | {"code_inline"}) <= expected[1] | {"code_inline", "text"}
    assert (headings, code, links) == expected[2:]


# The backtick ends code that a text would stand in.
MARKUP = '<img src=x> [l](https://evil.example) ` <img src=x> | x\n\n```python\nprint("evil")\n```\n<img src=x>'
# Every value and every key; of what a list repeats, the last.
PLACES = [
    pytest.param("finetune-nli", "scores", id="scores"),
    pytest.param("finetune-nli", "chain", id="records of a model", marks=pytest.mark.slow),
    pytest.param("tokenizer", "tokenizer_report.json", id="report on a tokenizer"),
    pytest.param("tokenizer", "chain", id="records of a tokenizer"),
    pytest.param("embed", "chain", id="records of a dataset"),
]


@pytest.mark.parametrize(("name", "file"), PLACES)
def test_markup_in_place_of_any_value_or_key_is_refused_or_shown_as_text(hub_run, name, file):
    folder = hub_run / name
    content = {"chain": as_plain(read_chain(folder)), "scores": as_plain(whole_report(folder))}
    if name == "tokenizer":
        content["tokenizer_report.json"] = json.loads((folder / "tokenizer_report.json").read_text(encoding="utf-8"))
    links = {record.identity.digest: place for place, record in enumerate(read_chain(folder))}
    places = {tuple("#" if type(key) is int else key for key in p): (p, k) for p, k in paths_of(content[file])}
    wrong, rendered = [], 0
    for path, as_key in places.values():
        changed = {**content, file: with_markup(content[file], path, as_key=as_key)}
        try:
            card = render_content(folder, changed, links)
        except Exception:
            continue
        rendered += 1
        wrong += [(path, as_key)] * is_markup_of(card)
    assert wrong == []
    assert rendered > 10


def whole_report(folder):
    """Build a report with everything in it, in which the student is the folder."""
    own, benchmark = record.digest_model(folder), make_benchmark()
    scores = [replace(score, model_digest=own) for score in benchmark.scores if score.model == "student"]
    others = [replace(score, model_digest="1" * 64) for score in benchmark.scores if score.model == "teacher"]
    benchmark = replace(benchmark, scores=(*scores, *others))
    return replace(REPORT, scores=tuple(replace(s, model_digest=own) for s in REPORT.scores), benchmark=benchmark)


def paths_of(value, path=()):
    """List the places of all values that hold no others, and of all keys, which their last part marks."""
    if isinstance(value, dict):
        keys = [((*path, key, "key"), True) for key in value]
        return keys + [found for key, item in value.items() for found in paths_of(item, (*path, key))]
    if isinstance(value, list):
        return [found for place, item in enumerate(value) for found in paths_of(item, (*path, place))]
    return [(path, False)]


def with_markup(value, path, *, as_key):
    """Copy a value with markup in one place, or in place of the key that leads there."""
    key, rest = path[0], path[1:]
    if as_key and rest == ("key",):
        return {MARKUP if k == key else k: v for k, v in value.items()}
    item = with_markup(value[key], rest, as_key=as_key) if rest else MARKUP
    return [*value[:key], item, *value[key + 1 :]] if isinstance(value, list) else {**value, key: item}


def render_content(folder, content, links):
    """Render the card of a folder from its report and its chain in plain form, whose links are made to hold."""
    records, digests = [], {}
    for place, plain in reversed(list(enumerate(content["chain"]))):
        identity = plain["identity"]
        inputs = [{**i, "record": digests.get(links.get(i["record"]), i["record"])} for i in identity["inputs"]]
        identity = {**identity, "inputs": inputs}
        digests[place] = record.read_identity(identity).digest
        records.insert(0, {**plain, "identity": identity})
    write_json(folder / "provenance.json", {"schema_version": 1, **records[0]})
    write_json(folder / "lineage.json", {"schema_version": 1, "records": records[1:]})
    write_json(folder / "scores.json", {"schema_version": SCORES_SCHEMA_VERSION, **content["scores"]})
    if "tokenizer_report.json" in content:
        write_json(folder / "tokenizer_report.json", content["tokenizer_report.json"])
    return render(folder, read_scores(folder / "scores.json"))


def is_markup_of(card):
    """Tell whether a reader of a card meets what came from a record as markup."""
    tokens = READER.parse(card.partition("\n---\n")[2])
    tokens += [child for token in tokens for child in token.children or ()]
    return any(
        (token.type.startswith("html") and "<img" in token.content)
        or (token.type == "link_open" and "evil" in token.attrs["href"])
        or (token.type == "fence" and "evil" in token.content)
        for token in tokens
    )


def make_report(folder, text):
    """Build a report in which every text is the given one."""
    own = record.digest_model(folder)
    dataset = ScoreDataset(name=text, revision="2" * 40, config=text, split=text)
    shared = {"suite": text, "dataset": dataset, "metric": text, "prompt": text, "pooling": text, "precision": text}
    scores = (
        make_score(model=f"{text} teacher", model_digest="1" * 64, **shared),
        make_score(model=text, model_digest=own, **shared),
        make_score(model=text, model_digest=own, truncate_dim=32, value=None, interval=None, missing=text, **shared),
    )
    compared = (make_comparison(model=text, baseline=f"{text} teacher", suite=text, metric=text),)
    return ScoreReport(scores=scores, command=text, comparisons=compared)


def test_cell_that_holds_a_bar_stays_one_cell(hub_run):
    own = make_score(model_digest=record.digest_model(hub_run / "distill"), suite="a|b")
    assert "| a\\|b |" in render(hub_run / "distill", [own])


def test_model_scored_under_two_names_enters_model_index_once(hub_run):
    own = make_score(model_digest=record.digest_model(hub_run / "distill"))
    text = render(hub_run / "distill", [own, replace(own, model="distilled")])
    assert len(header(text)["model-index"][0]["results"][0]["metrics"]) == 1
    assert "**student (this model)**" in text


def test_a_card_shows_what_the_run_found_of_its_model_and_long_texts_beside_the_others(hub_run, report_of):
    folder = hub_run / "distill"
    findings = {
        "profile": (*REPORT.profile, replace(REPORT.profile[0], model="teacher", value=0.1)),
        "long_text": (*REPORT.long_text, replace(REPORT.long_text[0], model="teacher", accuracy=0.0625)),
        "diagnostics": (*REPORT.diagnostics, replace(REPORT.diagnostics[0], model="teacher", value=0.9)),
        "observed_search": REPORT.observed_search,
    }
    text = render(folder, replace(report_of(folder), **findings))
    for title in ("Widths and storage", "Long texts", "Signs of failure"):
        assert text.count(f"\n\n## {title}\n\n") == 1
    assert "](matryoshka_profile.png)\n\n| width" in text
    assert "| 64 | int8 | 64 MB | 1.25 ms | 0.7800 [0.7600, 0.8000] |" in text and "0.1000" not in text
    assert "| **0.7500** | 0.5 | 900 texts |" in text and "- **Warning**: `anisotropy`: all texts" in text
    assert "0.9000 | 0.5" not in text
    assert "| tokens | surroundings | student | teacher |" in text
    assert "\n\n\n" not in text.partition("---\n\n#")[2]
    (hub_run / "clone" / "vocab.txt").write_text("of another model")
    other = render(hub_run / "clone", replace(report_of(folder), **findings))
    assert "## Signs of failure" not in other and "matryoshka_profile" not in other
