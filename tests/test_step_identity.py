"""What decides a step's content: its section of the recipe, and inputs by digest or commit."""

import json
from pathlib import Path

import pytest
from small_step import run, write_recipe

from hf_turkembed.json_files import as_plain
from hf_turkembed.recipe import load_recipe
from hf_turkembed.step import is_done
from hf_turkembed.step_identity import check_external_inputs, identify


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path)


def test_a_changed_input_makes_another_run(recipe, tmp_path):
    run(recipe())
    (tmp_path / "teacher" / "tokenizer.json").write_text("changed")
    with pytest.raises(ValueError, match=r"inputs\.0\.digest"):
        run(recipe())


def test_a_missing_input_stops_before_any_work(recipe, tmp_path):
    bad = recipe('clone.teacher="{data_root}/techer"')
    with pytest.raises(FileNotFoundError, match=r"`clone.teacher` names '\{data_root\}/techer'"):
        check_external_inputs(bad)
    with pytest.raises(FileNotFoundError, match="`teacher` names"):
        run(bad)
    assert not (tmp_path / "run").exists()


def test_inputs_that_an_earlier_step_makes_need_not_exist_yet(recipe):
    check_external_inputs(load_recipe(Path("recipes/sandbox/magibu.yaml")))
    with pytest.raises(FileNotFoundError, match=r"finetune.base_model"):
        check_external_inputs(load_recipe(Path("recipes/sandbox/turkembed.yaml"), ["output_dir=/nowhere/x"]))


def test_the_identity_holds_no_path_of_this_machine(recipe, tmp_path):
    text = json.dumps(as_plain(identify(recipe(), "clone")))
    assert str(tmp_path) not in text and "{data_root}/teacher" in text


def test_where_a_run_lies_is_no_part_of_its_identity(recipe, tmp_path):
    assert identify(recipe(), "clone").digest == identify(recipe("output_dir=elsewhere"), "clone").digest
    assert not is_done(tmp_path / "nothing", identify(recipe(), "clone"))


def test_a_part_of_a_steps_output_is_linked_to_its_record(recipe, tmp_path):
    step = run(recipe())
    (step.output / "part").mkdir()
    (step.output / "part" / "tokenizer.json").write_text("x")
    linked = identify(recipe(f"clone.teacher={step.output}/part"), "clone")
    assert linked.input("teacher").record == step.identity.digest


def test_a_stage_builds_on_the_one_before_it_and_ignores_the_others(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "finetune-nli").mkdir()
    (tmp_path / "x.tsv").write_text("x")
    path = tmp_path / "recipe.yaml"
    stage = (
        "{tasks: {sts: {train: {source: '{data_root}/x.tsv', columns: [a, b, c]}, loss: cosent}}, "
        "matryoshka_dims: [8], batch_size: 2, training: {}}"
    )
    path.write_text(
        f"output_dir: {tmp_path}\nseed: 1\nsteps: [finetune]\ndata_root: {tmp_path}\nfinetune:\n"
        f"  base_model: '{{data_root}}/base'\n  max_length: 8\n  stages:\n    nli: {stage}\n    sts: {stage}\n"
    )
    nli, sts = (identify(load_recipe(path), "finetune", stage) for stage in ("nli", "sts"))
    assert nli.recipe["base_model"] == "{data_root}/base"
    path.write_text(path.read_text() + f"    own: {{base_model: '{{data_root}}/base', {stage[1:]}\n")
    own = identify(load_recipe(path), "finetune", "own")
    assert own.recipe["base_model"] == "{data_root}/base"
    assert [found.role for found in own.inputs if found.kind == "model"] == ["base_model"]
    assert sts.recipe["base_model"] == "{output_dir}/finetune-nli" and list(sts.recipe["stages"]) == ["sts"]


@pytest.mark.parametrize("damage", [lambda path: path.write_text("other"), Path.unlink], ids=["changed", "missing"])
def test_an_input_that_is_not_as_its_step_wrote_it_is_named(recipe, tmp_path, damage):
    made = run(recipe()).output
    damage(made / "result.txt")
    with pytest.raises(
        ValueError, match=r"result.txt is not as the step `clone` wrote it; remove .*clone, and run that"
    ):
        identify(recipe("clone.teacher=" + str(made)), "clone")


@pytest.mark.parametrize("offline", [True, False])
def test_a_hub_input_that_cannot_be_reached_is_named_with_its_key(recipe, monkeypatch, offline):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    # Nothing listens there.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    message = r"`teacher` names the model 'org/none' on the Hub.*or pin it with @<commit>"
    with pytest.raises(ConnectionError, match=message):
        identify(recipe("clone.teacher=org/none"), "clone")
    pinned = identify(recipe(f"clone.teacher=org/none@{'0' * 40}"), "clone")
    assert pinned.input("teacher").revision == "0" * 40
