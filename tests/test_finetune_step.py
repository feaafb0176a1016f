"""Stages: what is checked before the first is trained, and one with a low-rank adapter up to what is published."""

import json
import logging
import random
import shutil
import sys

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file
from samples import MATRYOSHKA_DIMS, TEXTS
from scripts import run_script
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForMaskedLM

from hf_turkembed import record
from hf_turkembed.chain import read_chain
from hf_turkembed.cli import main
from hf_turkembed.json_files import read_json
from hf_turkembed.modeling.repository import expected_code
from hf_turkembed.recipe import DatasetConfig, StageConfig, TaskConfig
from hf_turkembed.record import Identity, Observed, Provenance
from hf_turkembed.sandbox.relations import sample_triplet

NUMBERS = tuple(f"{row}!" for row in range(len(TEXTS)))


def write_base(folder, encoder):
    """Write a base model with the record of the step that made it."""
    shutil.copytree(encoder, folder)
    recipe = {"matryoshka_dims": list(MATRYOSHKA_DIMS), "max_length": 64}
    identity = Identity(step="clone", recipe=recipe, inputs=(), code="0", seed=1)
    observed = Observed(finished="", seconds=1.0, runs=1, num_processes=1, hardware={}, packages={})
    record.write_provenance(folder, Provenance(identity=identity, observed=observed))


@pytest.fixture
def two_stages(gemma, tmp_path):
    """Run the recipe of two stages with overrides, the second on a dataset of the Hub."""
    # A folder that bears its name stands for a dataset of the Hub.
    (tmp_path / "org" / "sts").mkdir(parents=True)
    rows = [{"sentence1": text, "sentence2": f"{text}!", "score": row} for row, text in enumerate(TEXTS)]
    for place in ("nli.jsonl", "org/sts/train.jsonl"):
        (tmp_path / place).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    stages = {
        name: {
            "tasks": {name: {"train": {"source": source, "columns": columns}, "loss": loss}},
            "matryoshka_dims": list(MATRYOSHKA_DIMS),
            "batch_size": 2,
            "training": {"max_steps": 1, "disable_tqdm": True},
        }
        for name, source, columns, loss in (
            ("nli", "{data_root}/nli.jsonl", ["sentence1", "sentence2"], "multiple_negatives_ranking"),
            ("sts", f"org/sts@{'1' * 40}", ["sentence1", "sentence2", "score"], "cosent"),
        )
    }
    stages["sts"]["tasks"]["sts"]["held_out"] = {
        "dev": {"kind": "sts", "data": {"source": "{data_root}/nli.jsonl", "columns": list(rows[0])}}
    }
    content = {
        "output_dir": str(tmp_path / "run"),
        "data_root": str(tmp_path),
        "seed": 1,
        "steps": ["finetune"],
        "finetune": {"base_model": str(gemma), "max_length": 16, "stages": stages},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return lambda *overrides: run_script("finetune", tmp_path / "recipe.yaml", *overrides, folder=tmp_path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.learning_rat=1.0", "unknown key 'learning_rat' in `training`; did you mean 'learning_rate'?"),
        ("training.learning_rate=abc", "`training.learning_rate` is 'abc', expected float"),
        ("training={num_train_epochs: 0}", "`training.num_train_epochs` is 0, expected more than 0"),
        ("training.seed=2", "`training` sets ['seed'], which the step decides; take them out."),
        ("training.optim=none", "`training` is refused by the trainer: none is not a valid OptimizerNames"),
        ("training.eval_strategy=steps", "`training.eval_strategy` asks for evaluation"),
        ("matryoshka_dims=[16, 8]", "`matryoshka_dims` begins with 16, but "),
        ("lora={rank: 4, alpha: 8, target_modules: [q_proj, qproj]}", "has no linear layer 'qproj'; its layers are"),
        ("tasks.sts.train.source=org/gone", "org/gone (default, train) cannot be read"),
        ("tasks.sts.train.columns=[a, sentence2, score]", "org/sts (default, train), row 1: no column 'a'"),
        (
            "tasks.sts.held_out.dev.data={source: org/sts, split: train, columns: [sentence1, sentence2, grade]}",
            "org/sts (default, train), row 1: no column 'grade'",
        ),
    ],
)
def test_what_is_wrong_with_a_later_stage_is_said_before_the_first_is_trained(two_stages, tmp_path, override, message):
    error = two_stages(f"finetune.stages.sts.{override}")
    assert error.startswith("error: stage `sts`: ") and message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("scores", "override", "message"),
    [
        ([0, 1, 2, 3, 4, 9], "", "row 6: column 'score' is 9, expected 0 to 5"),
        ([3] * 6, "", "org/sts@1111111111111111111111111111111111111111: column 'score' is 3 in all 6 rows"),
        (range(6), "tasks.sts.train.expected_rows=7", "gave 6 rows, expected 7"),
        (range(6), "batch_size=8", "gave 6 rows, fewer than a batch of 8"),
        (range(6), "base_model=org/none", "`base_model` names 'org/none', which cannot be downloaded"),
    ],
)
def test_all_rows_and_the_base_of_a_later_stage_are_looked_at_before_the_first_is_trained(
    two_stages, tmp_path, scores, override, message
):
    rows = [{"sentence1": text, "sentence2": f"{text}!", "score": s} for text, s in zip(TEXTS, scores, strict=True)]
    (tmp_path / "org/sts/train.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    overrides = ["finetune.stages.sts.tasks.sts.train.highest_score=5"]
    error = two_stages(*overrides, *([f"finetune.stages.sts.{override}"] if override else []))
    assert message in error and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            "suites={sts: {kind: sts, data: {source: org/sts, split: train, columns: [a, sentence2, score]}}}",
            "org/sts (default, train), row 1: no column 'a'",
        ),
        (
            "long_text={pairs: {source: org/sts, split: train, columns: [sentence1, a]}, corpus: {languages: [tr], "
            "dataset: org/sts, dataset_config: default, text_column: sentence1}, lengths: [8], candidates: 2}",
            "org/sts (default, train), row 1: no column 'a'",
        ),
        (
            "long_text={pairs: {source: org/sts, split: train, columns: [sentence1, sentence2]}, corpus: {languages: "
            "[tr], dataset: org/sts, dataset_config: default, text_column: a}, lengths: [8], candidates: 2}",
            "org/sts (default, train) has no column 'a'",
        ),
    ],
)
def test_data_on_the_hub_that_is_scored_on_is_looked_at_before_anything_is_trained(
    two_stages, tmp_path, part, message
):
    score = "score={models: {trained: '{output_dir}/finetune-sts'}, suites: {sts: {kind: sts, data: {source: org/sts, "
    score += "split: train, columns: [sentence1, sentence2, score]}}}, truncate_dims: [8], batch_size: 2}"
    overrides = ["steps=[finetune, score]", score, f"score.{part}"]
    error = run_script("pipeline", tmp_path / "recipe.yaml", *overrides, folder=tmp_path)
    assert error.startswith(f"error: {message}; its columns are"), error
    assert not (tmp_path / "run").exists()


def test_stages_in_which_nothing_is_wrong_are_trained_and_then_done(two_stages, tmp_path, caplog):
    assert two_stages() is None
    with caplog.at_level(logging.INFO):
        assert two_stages() is None
    assert [line.partition(",")[0] for line in caplog.messages if "done" in line] == [
        "finetune-nli: already done",
        "finetune-sts: already done",
    ]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["finetune-nli", "finetune-sts"]


@pytest.mark.parametrize(
    ("second", "changes", "message"),
    [
        # Every text is in two rows, so that half of them fill no batch.
        ((*TEXTS[1:], TEXTS[0]), "", "no batch of 6 rows without a text twice can be made; lower `batch_size`"),
        (NUMBERS, ", hard_negatives: {count: 6}", "lower `hard_negatives.relative_margin`"),
        (NUMBERS, ", hard_negatives: {relative_margin: 0.99}", "task `nli` gave 1 rows, fewer than a batch of 6"),
    ],
)
def test_a_refusal_does_not_stand_in_the_way_of_the_recipe_that_it_asks_for(
    two_stages, tmp_path, second, changes, message
):
    pairs = zip(TEXTS, second, strict=True)
    lines = [json.dumps(dict(zip(("sentence1", "sentence2"), pair, strict=True))) for pair in pairs]
    (tmp_path / "nli.jsonl").write_text("\n".join(lines), encoding="utf-8")
    task = "{train: {source: '{data_root}/nli.jsonl', columns: [sentence1, sentence2]}, loss: %s%s}"
    overrides = [f"finetune.stages.nli.tasks.nli={task % ('multiple_negatives_ranking', changes)}"]
    overrides += ["finetune.stages.nli.batch_size=6", "finetune.stages.sts.tasks.sts.held_out={}"]
    assert message in two_stages(*overrides)
    assert not list((tmp_path / "run").iterdir())


def test_texts_longer_than_a_table_of_positions_are_refused(two_stages, encoders, tmp_path):
    base = encoders("xlm-roberta")
    error = two_stages(f"finetune.base_model={base}", "finetune.max_length=65")
    message = f"`max_length` is 65, but {base} has a table of positions for 64 tokens; lower it."
    assert error == f"error: stage `nli`: {message}"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("batch_size", "processes", "passes"), [(2, 1, True), (2, 2, False), (4, 2, True)])
def test_a_process_needs_two_rows_where_rows_of_one_process_are_compared(batch_size, processes, passes):
    from finetune import check_share

    train = DatasetConfig(source="org/sts", columns=("a", "b", "c"))
    tasks = {"sts": TaskConfig(train=train, loss="cosent")}
    stage = StageConfig(tasks=tasks, matryoshka_dims=(8,), batch_size=batch_size, training={})
    if passes:
        check_share(stage, processes)
    else:
        with pytest.raises(ValueError, match=r"each of 2 processes has one row, and task `sts`.*at least 4"):
            check_share(stage, processes)


@pytest.fixture(scope="module")
def stage(gemma, tmp_path_factory):
    """The output of a stage with an adapter, trained on triplets of the sandbox, beside its base."""
    root = tmp_path_factory.mktemp("lora")
    write_base(root / "run" / "clone", gemma)
    draw = random.Random(0)
    rows = [dict(zip(("anchor", "positive", "negative"), sample_triplet(draw), strict=True)) for _ in range(48)]
    (root / "nli.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    train = {
        "source": "{data_root}/nli.jsonl",
        "columns": ["anchor", "positive", "negative"],
        "synthetic": True,
    }
    content = {
        "output_dir": str(root / "run"),
        "data_root": str(root),
        "seed": 1,
        "steps": ["finetune"],
        "finetune": {
            "base_model": "{output_dir}/clone",
            "max_length": 64,
            "stages": {
                "nli": {
                    "tasks": {"nli": {"train": train, "loss": "multiple_negatives_ranking"}},
                    "matryoshka_dims": list(MATRYOSHKA_DIMS),
                    "batch_size": 8,
                    "lora": {"rank": 4, "alpha": 8},
                    "training": {
                        "num_train_epochs": 2,
                        "learning_rate": 1e-2,
                        "save_steps": 100,
                        "disable_tqdm": True,
                        "dataloader_pin_memory": False,
                    },
                }
            },
        },
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert run_script("finetune", root / "recipe.yaml", folder=root) is None
    return root / "run" / "finetune-nli"


def test_the_adapter_is_a_part_that_holds_no_path_and_has_a_record_of_its_own(stage):
    adapter = stage / "adapter"
    names = {path.name for path in adapter.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "provenance.json"}
    for name in ("adapter_config.json", "provenance.json"):
        assert str(stage.parent.parent) not in (adapter / name).read_text(encoding="utf-8")
    assert read_json(adapter / "adapter_config.json")["base_model_name_or_path"] == "clone"
    whole, part = record.read_provenance(stage), record.read_provenance(adapter)
    assert part.identity == whole.identity
    weights = record.digest_file(adapter / "adapter_model.safetensors")
    assert part.observed.outputs == {"adapter_model.safetensors": weights}
    assert whole.observed.outputs["adapter/adapter_model.safetensors"] == weights
    assert part.observed.counts["merged_digest"] == record.digest_model(stage)
    assert [found.identity.step for found in read_chain(adapter)] == ["finetune", "clone"]


def test_merged_the_adapter_gives_what_it_gives_beside_the_weights_of_its_base(stage):
    base, merged, beside = (
        SentenceTransformer(str(folder), device="cpu")
        for folder in (stage.parent / "clone", stage, stage.parent / "clone")
    )
    beside.load_adapter(str(stage / "adapter"))
    start, left, right = (model.encode(TEXTS, normalize_embeddings=True) for model in (base, merged, beside))
    assert np.abs(left - right).max() <= 1e-5 < 1e-2 < np.abs(left - start).max()
    counts = record.read_provenance(stage).observed.counts
    assert 0 <= counts["merged_off_by"] <= 1e-5
    assert counts["trained_parameters"] < counts["parameters"] / 4


@pytest.mark.parametrize("part", [pytest.param(".", id="merged", marks=pytest.mark.slow), "adapter"])
def test_both_would_be_published(stage, part, monkeypatch, capsys, tmp_path):
    options = ["--license", "mit", "--language", "tr", "--outbox", str(tmp_path), "--dry-run", "--json"]
    options += ["--base-model", "example/base"] if part == "adapter" else []
    command = ["hf-turkembed", "publish", str(stage / part), "--repo-id", "example/it"]
    monkeypatch.setattr(sys, "argv", [*command, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    verification = json.loads(capsys.readouterr().out)["verification"]
    assert verification["passed"] and verification["loaded"]
    checks = {check["name"]: check for check in verification["checks"]}
    assert {"snippet 1 runs", "snippet 2 runs"} <= set(checks)
    assert verification["kind"] == ("adapter" if part == "adapter" else "model")
    if part == "adapter":
        assert checks["adapter changes embeddings"]["value"] > 1e-2
        assert checks["base model"]["detail"] == "`example/base` is at hand"
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["xlm-roberta", "modernbert"])
def test_an_encoder_with_a_head_for_masked_tokens_is_trained_published_and_loaded_in_every_way(
    two_stages, encoders, monkeypatch, capsys, tmp_path, model_type
):
    base = tmp_path / "bases" / "base"
    write_base(base, encoders(model_type))
    # Somebody else's checkpoint: no code, no widths, and the network under the prefix of a model for masked tokens.
    for path in base.glob("*.py"):
        path.unlink()
    AutoModelForMaskedLM.from_pretrained(base).save_pretrained(base)
    config = read_json(base / "config.json")
    own = ("auto_map", "matryoshka_dims", "matryoshka_dimensions")
    (base / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key not in own}))
    assert config["architectures"][0].endswith("ForMaskedLM")
    assert two_stages(f"finetune.base_model={base}", "finetune.max_length=64") is None
    folder = tmp_path / "run" / "finetune-sts"
    start, end = (SentenceTransformer(str(path), device="cpu").encode(TEXTS) for path in (base, folder))
    assert np.abs(start - end).max() > 1e-6

    options = ["--repo-id", "example/it", "--license", "mit", "--language", "tr", "--outbox", str(tmp_path / "outbox")]
    monkeypatch.setattr(sys, "argv", ["hf-turkembed", "publish", str(folder), *options, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    published = tmp_path / "outbox" / "example" / "it"
    monkeypatch.setattr(sys, "argv", ["hf-turkembed", "verify", str(published), "--json"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    verification = json.loads(capsys.readouterr().out)
    assert verification["passed"] and verification["loaded"]

    reference, files = expected_code(published)
    assert files[0].name == f"modeling_matryoshka_{model_type.replace('-', '_')}.py"
    assert read_json(published / "config.json")["auto_map"] == {"AutoModel": reference}
    assert {path.name: path.read_bytes() for path in published.glob("*.py")} == {
        file.name: file.read_bytes() for file in files
    }
    names = load_file(published / "model.safetensors").keys()
    assert names == load_file(encoders(model_type) / "model.safetensors").keys()
    assert read_json(published / "sentence_bert_config.json")["max_seq_length"] == 64
