"""The loaders themselves, in processes of their own, on real folders: sound ones and broken ones."""

import json
import shutil

import numpy as np
import pytest

from hf_turkembed.corpus import TextRow
from hf_turkembed.distillation.vectors import Shard, make_table, remove_checksums, write_shard
from hf_turkembed.publishing import publish_folder, verify_folder
from hf_turkembed.record import Input
from hf_turkembed.scores import ScoreReport

STUDENT = Input(role="student", kind="model", name="example/student", revision="1" * 40)
VECTORS = Input(role="vectors", kind="dataset", name="example/vectors", revision="2" * 40)
TEACHER = Input(role="teacher", kind="model", name="example/teacher-300m", revision="1" * 40)
MODEL_RECIPE = {
    "matryoshka_dims": [32, 16, 8],
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "max_length": 64,
    "precision": "float32",
}


@pytest.fixture
def model(gemma, tmp_path, step_writer):
    """A small model as the distill step leaves it."""
    folder = tmp_path / "run" / "distill"
    shutil.copytree(gemma, folder)
    step_writer(folder, "distill", MODEL_RECIPE, [STUDENT, VECTORS], {"matryoshka_dims": [32, 16, 8]})
    return folder


@pytest.fixture
def dataset(tmp_path, step_writer):
    """Stored vectors as the embed step leaves them: two languages, one of them in two shards."""
    folder = tmp_path / "run" / "embed"
    random = np.random.default_rng(0)
    for language, index in (("en", 0), ("tr", 0), ("tr", 1)):
        vectors = random.normal(size=(6, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        texts = [f"{language} {index} {row}" for row in range(6)]
        shard = Shard(language=language, split="train", index=index, rows=tuple(map(TextRow, texts)))
        write_shard(folder, shard, make_table(shard, texts, None, [5] * 6, {"embedding": vectors}))
    remove_checksums(folder)
    recipe = {"teacher": "t", "corpus": {"languages": ["en", "tr"]}, "max_length": 64, "prompt": None}
    counts = {"rows": 18, "embedding_dim": 8, "shards": 3, "languages": {"en": 6, "tr": 12}}
    step_writer(folder, "embed", recipe, [TEACHER], counts)
    return folder


@pytest.fixture
def tokenizer(gemma, tmp_path):
    """A byte-fallback tokenizer whose byte tokens are ordinary tokens, so that decoding keeps them."""
    content = json.loads((gemma / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    shutil.copyfile(gemma / "tokenizer_config.json", folder / "tokenizer_config.json")
    return folder


def publish(folder, outbox, **changes):
    settings = {
        "repo_id": "example/it",
        "license": "mit",
        "languages": ["tr"],
        "report": ScoreReport(scores=()),
        "outbox": outbox,
    }
    return publish_folder(folder, **{**settings, **changes})


def test_sound_model_passes_and_is_published(model, tmp_path):
    published = publish(model, tmp_path / "outbox")
    assert published.verification.passed, published.verification.describe_failures()
    assert len(published.verification.checks) == 3 * 6 + 4
    assert published.location == str(tmp_path / "outbox" / "example" / "it")
    names = {path.relative_to(published.location).as_posix() for path in (tmp_path / "outbox").rglob("*.*")}
    assert {file.path for file in published.files} <= names
    assert {"README.md", "modeling_matryoshka.py", "model.safetensors", "2_Dense/model.safetensors"} <= names


def test_model_whose_code_disagrees_is_not_published_and_leaves_nothing(model, tmp_path):
    code = model / "modeling_matryoshka.py"
    text = code.read_text(encoding="utf-8")
    changed = text.replace("weights = attention_mask.unsqueeze(-1)", "weights = 1 + attention_mask.unsqueeze(-1)")
    assert changed != text
    code.write_text(changed, encoding="utf-8")
    with pytest.raises(ValueError, match="failed verification and was not published: repo code = package at 32"):
        publish(model, tmp_path / "outbox")
    assert not (tmp_path / "outbox").exists()


def test_model_without_trained_widths_fails_and_says_how_to_mend_it(model):
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    del config["matryoshka_dims"]
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    verification = verify_folder(model)
    assert not verification.passed
    assert "write_matryoshka_code" in verification.describe_failures()


def test_sound_dataset_passes_and_a_dry_run_writes_nothing(dataset, tmp_path):
    published = publish(dataset, tmp_path / "outbox", dry_run=True)
    assert published.verification.passed, published.verification.describe_failures()
    assert published.location == str(tmp_path / "outbox" / "datasets" / "example" / "it")
    assert {"README.md", "data/tr/train-00001.parquet"} <= {file.path for file in published.files}
    assert not (tmp_path / "outbox").exists()


def test_dataset_that_lost_a_shard_is_not_published(dataset, tmp_path):
    (dataset / "data/tr/train-00001.parquet").unlink()
    with pytest.raises(ValueError, match=r"rows: the files hold .*'rows': 12.* the record counts .*'rows': 18"):
        publish(dataset, tmp_path / "outbox")
    assert not (tmp_path / "outbox").exists()


def test_dataset_without_a_card_fails_because_the_card_names_its_configs(dataset):
    assert "README.md, which names the configs, is missing" in verify_folder(dataset).describe_failures()


def test_sound_tokenizer_passes(tokenizer):
    verification = verify_folder(tokenizer)
    assert verification.kind == "tokenizer"
    assert verification.passed, verification.describe_failures()


def test_tokenizer_that_does_not_load_fails_with_the_reason(tokenizer):
    (tokenizer / "tokenizer.json").write_text('{"version": "1.0"}', encoding="utf-8")
    verification = verify_folder(tokenizer)
    assert not verification.passed
    assert [check.name for check in verification.checks] == ["loads tokenizer"]
    assert "Error: " in verification.describe_failures()


def test_folder_of_no_known_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"neither modules\.json"):
        verify_folder(tmp_path)
