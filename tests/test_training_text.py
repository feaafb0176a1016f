"""What a model was fine-tuned on, read again from its records; or why that is not known."""

import json

import pytest

from hf_turkembed import record
from hf_turkembed.recipe import load_recipe
from hf_turkembed.record import Identity, Input, Observed, Provenance
from training_text import read_trained_on

TRIPLETS = [{"anchor": f"a {row}", "positive": f"b {row}", "negative": f"c {row}"} for row in range(3)]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"output_dir: {tmp_path}/run\nseed: 1\nsteps: []\ndata_root: {tmp_path}\n")
    return load_recipe(path)


@pytest.fixture
def finetuned(tmp_path):
    """Write the record of a stage that was trained on a file, from another stage or a model without a record."""
    (tmp_path / "nli.jsonl").write_text("\n".join(map(json.dumps, TRIPLETS)), encoding="utf-8")
    (tmp_path / "sts.tsv").write_text("sentence1\tsentence2\tscore\nx\ty\t5\n", encoding="utf-8")

    def write(stage, *, base=None, source=None, recorded=None, **settings):
        name = {"nli": "nli.jsonl", "sts": "sts.tsv"}[stage]
        columns = ["anchor", "positive", "negative"] if stage == "nli" else ["sentence1", "sentence2", "score"]
        source = source or f"{{data_root}}/{name}"
        task = {
            "train": {"source": source, "columns": columns},
            "loss": "multiple_negatives_ranking" if stage == "nli" else "cosent",
            **settings,
        }
        section = {"tasks": {"one": task}, "matryoshka_dims": [8], "batch_size": 8, "training": {}}
        role = f"stages.{stage}.tasks.one.train.source"
        digest = record.digest_file(tmp_path / name)
        inputs = (
            Input(role="base_model", kind="model", name="base", digest="0" * 64, record=base),
            Input(role=role, kind="dataset", name=source, digest=digest),
        )
        content = {"base_model": "base", "max_length": 8, "stages": {stage: recorded or section}}
        identity = Identity(step="finetune", recipe=content, inputs=inputs, code="0", seed=1)
        observed = Observed(finished="", seconds=1.0, runs=1, num_processes=1, hardware={}, packages={})
        folder = tmp_path / "run" / f"finetune-{stage}"
        folder.mkdir(parents=True)
        record.write_provenance(folder, Provenance(identity=identity, observed=observed))
        return folder, identity.digest

    return write


def test_the_rows_of_all_stages_are_read(recipe, finetuned):
    _, link = finetuned("nli")
    folder, _ = finetuned("sts", base=link)
    found = read_trained_on(recipe, folder)
    assert found.missing == ""
    assert sorted(found.rows) == [("a 0", "b 0", "c 0"), ("a 1", "b 1", "c 1"), ("a 2", "b 2", "c 2"), ("x", "y")]


def test_rows_that_were_set_apart_were_not_trained_on(recipe, finetuned, tmp_path):
    (tmp_path / "dev.tsv").write_text("sentence1\tsentence2\tscore\nA 1!\tz\t5\n", encoding="utf-8")
    data = {"source": "{data_root}/dev.tsv", "columns": ["sentence1", "sentence2", "score"]}
    folder, _ = finetuned("nli", shared_texts="remove", held_out={"dev": {"kind": "sts", "data": data}})
    assert read_trained_on(recipe, folder).rows == [("a 0", "b 0", "c 0"), ("a 2", "b 2", "c 2")]


def test_a_record_of_another_form_is_said(recipe, finetuned):
    folder, _ = finetuned("nli", recorded={"train": {}, "loss": "cosent"})
    assert "its record is of another version" in read_trained_on(recipe, folder).missing


def test_data_that_changed_since_is_not_read(recipe, finetuned, tmp_path):
    folder, _ = finetuned("nli")
    (tmp_path / "nli.jsonl").write_text(json.dumps(TRIPLETS[0]), encoding="utf-8")
    found = read_trained_on(recipe, folder)
    assert not found.rows and "`{data_root}/nli.jsonl`, which it was fine-tuned on, is not at hand" in found.missing


@pytest.mark.parametrize("source", ["nli.jsonl", "{data_root}/elsewhere.jsonl"])
def test_data_that_is_elsewhere_is_not_read(recipe, finetuned, source):
    folder, _ = finetuned("nli", source=source)
    assert "is not at hand or has changed" in read_trained_on(recipe, folder).missing


def test_a_stage_before_without_its_record_is_said(recipe, finetuned):
    folder, _ = finetuned("sts", base="f" * 64)
    assert read_trained_on(recipe, folder).missing == "the record behind `base` is not at hand"


def test_a_model_without_a_record_or_without_fine_tuning_says_so(recipe, tmp_path):
    assert "no record" in read_trained_on(recipe, tmp_path).missing
    identity = Identity(step="clone", recipe={}, inputs=(), code="0", seed=1)
    observed = Observed(finished="", seconds=1.0, runs=1, num_processes=1, hardware={}, packages={})
    (tmp_path / "clone").mkdir()
    record.write_provenance(tmp_path / "clone", Provenance(identity=identity, observed=observed))
    assert "it was not fine-tuned" in read_trained_on(recipe, tmp_path / "clone").missing
