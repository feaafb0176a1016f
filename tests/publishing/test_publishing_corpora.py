"""Texts as a dataset of their own: their card, and what their files have to hold."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from hf_turkembed.corpus import TextRow, count_texts, plan_shards, write_texts
from hf_turkembed.json_files import read_json, write_json
from hf_turkembed.publishing import publish_release, render_card, stage_folder, verify_folder
from hf_turkembed.publishing.card_metadata import ALLOWED_KEYS
from hf_turkembed.record import Input, digest_file, read_provenance
from hf_turkembed.scores import ScoreReport

GOLDEN = Path(__file__).parent / "golden" / "corpus.md"
SETTINGS = {"license": "gemma", "languages": ["tr", "en"], "report": ScoreReport(scores=())}
ROWS = {language: [TextRow(f"{language} {number}") for number in range(12)] for language in ("tr", "en")}
TEXT = {
    "languages": ["tr", "en"],
    "folders": ["texts"],
    "dataset": "example/wikipedia",
    "rows": 10000,
    "rows_by_language": {"tr": 100000},
    "skip_last": 200,
}
SOURCES = (
    Input(role="text.folders.0", kind="dataset", name="{data_root}/texts", digest="6" * 64),
    Input(role="text.dataset", kind="dataset", name="example/wikipedia", revision="2" * 40),
)


@pytest.fixture
def output(tmp_path, step_writer):
    """What the corpus step leaves."""
    folder = tmp_path / "run" / "corpus"
    write_texts(folder, plan_shards(ROWS, 8, validation_rows=2))
    left_out = {"tr": {"repeated texts": 3, "empty lines": 1}, "en": {"repeated texts": 1000}}
    recipe = {"text": TEXT, "license": "cc-by-sa-3.0", "shard_rows": 8, "validation_rows": 2, "test_rows": 0}
    step_writer(folder, "corpus", recipe, SOURCES, count_texts(folder) | {"left_out": left_out})
    return folder


@pytest.fixture
def staged(output, tmp_path):
    """The texts as they are published."""
    card = render_card(output, repo_id="acme/corpus", **SETTINGS)
    stage_folder(output, tmp_path / "staged", card=card, report=SETTINGS["report"])
    return tmp_path / "staged"


def test_whole_card_is_as_agreed(output):
    text = render_card(output, repo_id="example/corpus", **SETTINGS)
    assert text == GOLDEN.read_text(encoding="utf-8")
    header = DatasetCard(text).data.to_dict()
    assert set(header) <= ALLOWED_KEYS
    assert header["source_datasets"] == ["example/wikipedia"] and header["license"] == "cc-by-sa-3.0"
    assert [(config["config_name"], config.get("default", False)) for config in header["configs"]] == [
        ("en", False),
        ("tr", True),
    ]


def edit_texts(folder, change):
    """Change a shard and write its digest into the record, as a step that made the damage would have done."""
    name = "data/tr/train-00001.parquet"
    pq.write_table(change(pq.read_table(folder / name)), folder / name)
    content = read_json(folder / "provenance.json")
    content["observed"]["outputs"][name] = digest_file(folder / name)
    write_json(folder / "provenance.json", content)


def replace_text(table, text):
    texts = table["text"].to_pylist()
    return table.set_column(0, "text", [[text, *texts[1:]]])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


DAMAGE = {
    "a script": ("files", lambda f: (f / "it.py").write_text("")),
    "another shard": ("digests", lambda f: flip_a_bit(f / "data/tr/train-00001.parquet")),
    "a lost shard": ("digests", lambda f: (f / "data/tr/train-00001.parquet").unlink()),
    "fewer rows": ("texts", lambda f: edit_texts(f, lambda table: table.slice(1))),
    "a repeated text": ("texts", lambda f: edit_texts(f, lambda table: replace_text(table, "tr 5"))),
    "a row of another split": ("texts", lambda f: edit_texts(f, lambda table: replace_text(table, "tr 0"))),
    "an empty text": ("texts", lambda f: edit_texts(f, lambda table: replace_text(table, " "))),
    "another column": (
        "texts",
        lambda f: edit_texts(f, lambda table: table.append_column("url", [["x"] * len(table)])),
    ),
    "another language": (
        "texts",
        lambda f: edit_texts(f, lambda table: table.set_column(1, "language", [["en"] * len(table)])),
    ),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_texts_fail_the_check_that_is_about_them_and_are_not_loaded(staged, name, damage):
    damage(staged)
    found = verify_folder(staged)
    assert [check.name for check in found.checks if not check.passed] == [name], found.describe_failures()
    assert found.kind == "corpus" and not found.loaded


def test_texts_of_files_alone_say_how_they_were_drawn(output):
    content = read_json(output / "provenance.json")
    content["identity"]["recipe"]["text"] = {**TEXT, "dataset": None, "rows": None, "skip_last": 0}
    content["observed"]["counts"]["left_out"] = {}
    write_json(output / "provenance.json", content)
    text = render_card(output, repo_id="example/corpus", **SETTINGS)
    assert "Most texts that were taken: tr 100,000." in text and "They were drawn from anywhere in the files" in text
    assert "Left out while" not in text and "shuffled" not in text and "`folders`" not in text


def test_texts_are_published_under_their_own_licence_and_load(output, tmp_path):
    release = publish_release(
        {"acme/corpus": output},
        target=tmp_path / "outbox",
        **SETTINGS,
    )
    [published] = release.repos
    assert published.location == str(tmp_path / "outbox" / "datasets" / "acme" / "corpus")
    names = [check.name for check in published.verification.checks]
    assert names[-3:] == ["en columns", "tr columns", "snippet 1 runs"]
    assert published.verification.passed and published.verification.loaded
    assert DatasetCard.load(Path(published.location) / "README.md").data.license == "cc-by-sa-3.0"


@pytest.mark.parametrize(
    ("given", "stated", "terms"),
    [
        (
            "gemma",
            ["gemma", "cc-by-sa-3.0"],
            "`gemma`, and `cc-by-sa-3.0` for the texts that stand beside the vectors.",
        ),
        ("cc-by-sa-3.0", "cc-by-sa-3.0", "`cc-by-sa-3.0`."),
        (None, "cc-by-sa-3.0", "`cc-by-sa-3.0`."),
    ],
)
def test_vectors_state_the_licence_of_their_texts_too(output, step_writer, tmp_path, given, stated, terms):
    folder = output.parent / "embed"
    write_texts(folder, plan_shards(ROWS, 8, validation_rows=2))
    texts = Input(role="texts", kind="dataset", name="{output_dir}/corpus", digest="7" * 64)
    texts = replace(texts, record=read_provenance(output).identity.digest)
    teacher = Input(role="teacher", kind="model", name="example/teacher", revision="1" * 40)
    recipe = {"teacher": "t", "corpus": None, "texts": "{output_dir}/corpus", "max_length": 64, "prompt": None}
    step_writer(folder, "embed", recipe, [teacher, texts], {"languages": {"tr": 12}, "embedding_dim": 8})
    text = render_card(folder, repo_id="acme/vectors", **{**SETTINGS, "license": given})
    assert DatasetCard(text).data.license == stated
    assert terms in text and "named above, stay in force: the texts under `cc-by-sa-3.0`." in text
    stage_folder(folder, tmp_path / "staged", card=text, report=SETTINGS["report"])
    assert (tmp_path / "staged" / "NOTICE").is_file() == (given == "gemma")
    found = {check.name: check.passed for check in verify_folder(tmp_path / "staged").checks}
    assert found["card header"] and found["notice"] and found["card"]
    assert "| `corpus` | text: `texts`" in text
