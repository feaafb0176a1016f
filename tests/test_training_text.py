"""What a model was trained on, read again from its records; or why that is not known."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
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


@pytest.fixture
def distilled(tmp_path):
    """Write a store of vectors, its record, and that of a model distilled on it, in a run of their own."""

    def write(run="run"):
        folder = tmp_path / run
        for split, texts in {"train-00000": ["a", "b"], "train-00001": ["c"], "validation-00000": ["d"]}.items():
            path = folder / "embed/data/tr" / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"text": texts, "embedding": [0.5] * len(texts)}), path)
        observed = Observed(finished="", seconds=1.0, runs=1, num_processes=1, hardware={}, packages={})
        embed = Identity(step="embed", recipe={}, inputs=(), code="0", seed=1)
        record.write_provenance(folder / "embed", Provenance(identity=embed, observed=observed))
        digest = record.digest_path(folder / "embed")
        vectors = Input(role="vectors", kind="dataset", name="{output_dir}/embed", digest=digest, record=embed.digest)
        identity = Identity(step="distill", recipe={}, inputs=(vectors,), code="0", seed=1)
        (folder / "distill").mkdir()
        record.write_provenance(folder / "distill", Provenance(identity=identity, observed=observed))
        return folder, identity.digest

    return write


def test_the_texts_of_the_distillation_are_read_without_those_kept_from_it(recipe, distilled):
    folder, _ = distilled()
    found = read_trained_on(recipe, folder / "distill")
    assert (list(found.distilled), found.distilled_missing) == (["a", "b", "c"], "")
    assert "it was not fine-tuned" in found.missing


def test_the_distillation_of_another_run_is_found_by_its_record(recipe, distilled, finetuned):
    _, link = distilled("other")
    folder, _ = finetuned("nli", base=link)
    found = read_trained_on(recipe, folder)
    assert len(found.rows) == 3 and list(found.distilled) == ["a", "b", "c"]


def test_vectors_that_changed_or_are_gone_are_said(recipe, distilled):
    folder, _ = distilled()
    (folder / "embed/data/tr/train-00001.parquet").unlink()
    changed = "`{output_dir}/embed`, which it was distilled on, is not at hand or has changed"
    assert read_trained_on(recipe, folder / "distill").distilled_missing == changed
    shutil.rmtree(folder / "embed")
    assert read_trained_on(recipe, folder / "distill").distilled_missing == changed


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


def test_a_base_that_no_step_made_is_named(recipe, finetuned):
    assert read_trained_on(recipe, finetuned("nli")[0]).unrecorded == "base"


def test_a_stage_before_without_its_record_is_said(recipe, finetuned):
    folder, _ = finetuned("sts", base="f" * 64)
    assert read_trained_on(recipe, folder).missing == "the record behind `base` is not at hand"


def test_a_model_without_a_record_or_without_fine_tuning_says_so(recipe, tmp_path):
    found = read_trained_on(recipe, tmp_path)
    assert "no record" in found.missing and found.distilled_missing == found.missing
    identity = Identity(step="clone", recipe={}, inputs=(), code="0", seed=1)
    observed = Observed(finished="", seconds=1.0, runs=1, num_processes=1, hardware={}, packages={})
    (tmp_path / "clone").mkdir()
    record.write_provenance(tmp_path / "clone", Provenance(identity=identity, observed=observed))
    found = read_trained_on(recipe, tmp_path / "clone")
    assert "it was not fine-tuned" in found.missing and "it was not distilled" in found.distilled_missing
