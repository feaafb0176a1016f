"""Adapters as repos of their own: their card, what their files must hold, and that they load onto their base."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from recorded import record_digests
from safetensors.torch import load_file, save_file
from samples import TEXTS
from sentence_transformers import SentenceTransformer

from hf_turkembed import record
from hf_turkembed.chain import read_chain
from hf_turkembed.findings import Diagnostic
from hf_turkembed.finetuning import add_adapter, merge_adapter
from hf_turkembed.json_files import read_json, write_json
from hf_turkembed.publishing import publish_folder, render_card, stage_folder, verify_folder
from hf_turkembed.publishing.adapters import name_base
from hf_turkembed.publishing.card_metadata import ALLOWED_KEYS
from hf_turkembed.recipe import load_recipe
from hf_turkembed.recipe_release import publish_recipe
from hf_turkembed.record import Input
from hf_turkembed.scores import ScoreReport, write_scores

GOLDEN = Path(__file__).parent / "golden" / "adapter.md"
LORA = {"rank": 4, "alpha": 8, "dropout": 0.0, "target_modules": []}
SETTINGS = {"license": "gemma", "languages": ["tr"], "report": ScoreReport(scores=()), "base_model": "acme/base"}
COUNTS = {
    "rows": 1000,
    "steps": 16,
    "final_loss": 1.5,
    "parameters": 1_250_000,
    "trained_parameters": 12_500,
    "merged_off_by": 2.98e-7,
    "matryoshka_dims": [32, 16, 8],
}


def stage(lora):
    train = {"source": "example/nli-tr", "synthetic": False}
    return {
        "tasks": {"nli": {"loss": "multiple_negatives_ranking", "train": train}},
        "matryoshka_dims": [32, 16, 8],
        "batch_size": 64,
        "lora": lora,
        "training": {"learning_rate": 2e-5, "num_train_epochs": 1},
    }


def write_records(folder, step_writer, base, lora=None, **counts):
    """Write the record of a stage with an adapter, and that of the adapter alone."""
    recipe = {"max_length": 64, "stages": {"nli": stage(lora or LORA)}}
    role = "stages.nli.tasks.nli.train.source"
    inputs = [base, Input(role=role, kind="dataset", name="example/nli-tr", revision="2" * 40)]
    for part in (folder, folder / "adapter"):
        step_writer(part, "finetune", recipe, inputs, COUNTS | counts, licenses={"base_model": "gemma"})


@pytest.fixture(scope="module")
def stage_output(step_outputs, tmp_path_factory):
    """What a stage with an adapter leaves beside its base, without training: the numbers are drawn."""
    root = tmp_path_factory.mktemp("adapters")
    base = shutil.copytree(step_outputs["model"], root / "distill")
    trained, merged = (SentenceTransformer(str(base), device="cpu") for _ in range(2))
    add_adapter(trained, rank=4, alpha=8, dropout=0.0)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, values in trained.named_parameters():
            if "lora_B" in name:
                values.normal_(std=0.1)
    merge_adapter(trained, merged, root / "finetune-nli" / "adapter", base_name="distill", texts=TEXTS)
    return root


@pytest.fixture
def run(stage_output, step_writer, tmp_path):
    """A copy of that, with records."""
    root = shutil.copytree(stage_output, tmp_path / "run")
    link = record.read_provenance(root / "distill").identity.digest
    base = Input(role="base_model", kind="model", name="{output_dir}/distill", digest="0" * 64, record=link)
    write_records(root / "finetune-nli", step_writer, base)
    return root


@pytest.fixture
def staged(run, tmp_path):
    """The adapter as it is published."""
    folder = run / "finetune-nli" / "adapter"
    card = render_card(folder, repo_id="acme/adapter", **SETTINGS)
    stage_folder(folder, tmp_path / "staged", card=card, report=ScoreReport(scores=()))
    name_base(tmp_path / "staged", read_chain(folder), "acme/base")
    return tmp_path / "staged"


def test_whole_card_is_as_agreed(hub_run, step_writer):
    link = record.read_provenance(hub_run / "distill").identity.digest
    base = Input(role="base_model", kind="model", name="{output_dir}/distill", digest="5" * 64, record=link)
    folder = hub_run / "finetune-lora" / "adapter"
    write_records(folder.parent, step_writer, base)
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    text = render_card(folder, repo_id="example/adapter", **SETTINGS)
    assert text == GOLDEN.read_text(encoding="utf-8")
    header = ModelCard(text).data.to_dict()
    assert set(header) <= ALLOWED_KEYS
    assert (header["base_model"], header["base_model_relation"]) == ("acme/base", "adapter")
    assert (header["library_name"], header["license"]) == ("peft", "gemma")
    assert header["datasets"] == ["example/nli-tr", "example/wikipedia"]


def test_what_was_found_of_the_merged_model_stands_in_the_adapters_card(hub_run, step_writer, report_of, tmp_path):
    link = record.read_provenance(hub_run / "distill").identity.digest
    base = Input(role="base_model", kind="model", name="{output_dir}/distill", digest="5" * 64, record=link)
    merged = hub_run / "finetune-lora"
    merged.mkdir()
    (merged / "model.safetensors").write_bytes(b"merged")
    report = report_of(merged)
    [role] = {score.model for score in report.scores if score.model_digest == record.digest_model(merged)}
    signs = [
        Diagnostic(
            name="forgetting", model=role, suite="nli-dev", value=0.25, threshold=0.01, detail="0.9, then 0.65"
        ),
        Diagnostic(name="correlation_gap", model="another", suite="sts", value=0.5, threshold=0.05),
    ]
    report = replace(report, diagnostics=tuple(signs))
    write_records(merged, step_writer, base, merged_digest=record.digest_model(merged))
    adapter = merged / "adapter"
    write_json(adapter / "adapter_config.json", {"base_model_name_or_path": "distill"})
    text = render_card(adapter, repo_id="example/adapter", **{**SETTINGS, "report": report})
    assert "## Scores\n\nOf the model with this adapter merged into its base" in text
    assert "| `forgetting` |" in text and "0.9, then 0.65" in text and "`correlation_gap`" not in text
    assert ".png" not in text
    write_records(merged, step_writer, base)
    assert "## Scores" not in render_card(adapter, repo_id="example/adapter", **{**SETTINGS, "report": report})


def test_an_adapter_whose_base_is_not_at_hand_says_that_it_was_not_loaded(staged):
    found = verify_folder(staged, repo_id="acme/adapter")
    assert found.passed and not found.loaded
    assert "`acme/base` is not at hand, so the adapter was not loaded" in found.checks[-1].detail


def test_a_recipe_publishes_an_adapter_and_without_its_base_warns_that_it_was_not_loaded(run, tmp_path, caplog):
    # Its record stays: licences come from there.
    (run / "distill" / "model.safetensors").unlink()
    (run / "score").mkdir()
    write_scores(run / "score", ScoreReport(scores=()))
    entry = {"folder": "{output_dir}/finetune-nli/adapter", "repo_id": "acme/adapter", "base_model": "acme/base"}
    section = {"license": "gemma", "languages": ["tr"], "scores": "{output_dir}/score", "repos": {"adapter": entry}}
    content = {
        "output_dir": str(run),
        "seed": 1,
        "steps": [],
        "publish": {**section, "outbox": str(tmp_path / "outbox")},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    publish_recipe(load_recipe(tmp_path / "recipe.yaml"))
    config = read_json(tmp_path / "outbox" / "acme" / "adapter" / CONFIG)
    assert config["base_model_name_or_path"] == "acme/base"
    assert "acme/adapter: `acme/base` is not at hand, so the adapter was not loaded" in caplog.text


def test_another_model_than_the_recorded_base_is_refused(staged, encoders):
    found = verify_folder(staged, base=encoders("bert"))
    assert not found.passed and not found.loaded
    assert "is not what the adapter was trained on" in found.describe_failures()


def test_a_base_for_what_is_no_adapter_is_an_error(repo, tmp_path, step_outputs):
    with pytest.raises(ValueError, match="holds a tokenizer, which belongs to no base model"):
        verify_folder(repo("tokenizer"), base=tmp_path)
    with pytest.raises(ValueError, match="holds no adapter; leave it out"):
        publish_folder(step_outputs["tokenizer"], repo_id="acme/it", target=tmp_path, **SETTINGS)


def edit_json(path, **changes):
    write_json(path, {**read_json(path), **changes})


def edit_text(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def edit_weights(folder, change):
    """Change the tensors and write the digest into the record, as a step that made the damage would have done."""
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"format": "pt"})
    record_digests(folder)


def forget_digest(folder):
    content = read_json(folder / "provenance.json")
    content["observed"]["outputs"] = {}
    write_json(folder / "provenance.json", content)


LAYER = "base_model.model.layers.0.mlp.up_proj"
CONFIG = "adapter_config.json"
FITS = "adapter fits its record"
DAMAGE = {
    "a tokenizer": ("files", lambda f: (f / "tokenizer.model").write_text("a")),
    "weights of unknown origin": ("digests", forget_digest),
    "a path beside it": (FITS, lambda f: edit_json(f / CONFIG, base_model_name_or_path="../base")),
    "a folder as base": (FITS, lambda f: edit_json(f / CONFIG, base_model_name_or_path="distill")),
    "another rank": (FITS, lambda f: edit_json(f / CONFIG, r=8)),
    "another scale": (FITS, lambda f: edit_json(f / CONFIG, lora_alpha=16)),
    "a scale of its own for a layer": (FITS, lambda f: edit_json(f / CONFIG, alpha_pattern={".*q_proj": 1000})),
    "another kind of scale": (FITS, lambda f: edit_json(f / CONFIG, use_rslora=True)),
    "more than an adapter": (FITS, lambda f: edit_json(f / CONFIG, modules_to_save=["norm"])),
    "no scale": (FITS, lambda f: write_json(f / CONFIG, {k: v for k, v in read_json(f / CONFIG).items() if k != "r"})),
    "a key of nobody": (FITS, lambda f: edit_json(f / CONFIG, gain=2)),
    "another method": (FITS, lambda f: edit_json(f / CONFIG, peft_type="LOHA")),
    "code to import": (FITS, lambda f: edit_json(f / CONFIG, auto_mapping={"parent_library": "os"})),
    "a layer that is not adapted": (FITS, lambda f: edit_json(f / CONFIG, target_modules=["layers.0.mlp.up_proj"])),
    "a layer without tensors": (FITS, lambda f: edit_weights(f, lambda t: [t.pop(n) for n in [*t] if LAYER in n])),
    "half an adapter": (FITS, lambda f: edit_weights(f, lambda t: t.pop(f"{LAYER}.lora_A.weight"))),
    "a tensor of the base": (FITS, lambda f: edit_weights(f, lambda t: t.update(norm=torch.zeros(3)))),
    "a tensor of another rank": (
        FITS,
        lambda f: edit_weights(f, lambda t: t.update({f"{LAYER}.lora_A.weight": torch.zeros(2, 32)})),
    ),
    "half precision": (
        FITS,
        lambda f: edit_weights(f, lambda t: t.update({n: values.half() for n, values in t.items()})),
    ),
    "a config of another form": (FITS, lambda f: write_json(f / CONFIG, [])),
    "a misspelt key": (
        "card header",
        lambda f: edit_text(f / "README.md", "base_model: acme", "base_mode: acme"),
    ),
    "another base in a snippet": (
        "card",
        lambda f: edit_text(f / "README.md", 'SentenceTransformer("acme/base"', 'SentenceTransformer("evil/base"'),
    ),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_adapter_fails_the_check_that_is_about_it_and_is_not_loaded(staged, run, name, damage):
    damage(staged)
    found = verify_folder(staged, base=run / "distill")
    failed = [check.name for check in found.checks if not check.passed]
    assert name in failed and set(failed) <= {name, "card"}, found.describe_failures()
    assert not found.loaded
    json.dumps(found.as_json(), allow_nan=False)


def test_an_adapter_on_a_folder_needs_the_name_that_its_base_is_published_under(run, tmp_path):
    folder = run / "finetune-nli" / "adapter"
    with pytest.raises(ValueError, match=r"trained on 'distill', a folder.*`--base-model ORG/NAME`"):
        publish_folder(folder, repo_id="acme/it", target=tmp_path / "out", **{**SETTINGS, "base_model": None})
    assert not (tmp_path / "out").exists()


def test_an_adapter_on_a_model_of_the_hub_names_that_and_its_commit(run, step_writer, tmp_path):
    base = Input(role="base_model", kind="model", name="example/base", revision="3" * 40)
    write_records(run / "finetune-nli", step_writer, base)
    folder = run / "finetune-nli" / "adapter"
    name_base(folder, read_chain(folder), None)
    config = read_json(folder / CONFIG)
    assert (config["base_model_name_or_path"], config["revision"]) == ("example/base", "3" * 40)
    with pytest.raises(ValueError, match="was trained on 'example/base'; leave it out"):
        name_base(folder, read_chain(folder), "acme/base")
