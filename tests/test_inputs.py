"""What the scripts check before any work."""

import json

import pytest
from samples import MATRYOSHKA_DIMS

from hf_turkembed.recipe import load_recipe
from inputs import check_local_data, check_topology
from score import choose_widths

STAGE = "{source: '{data_root}/sts.tsv', columns: [sentence1, sentence2, score], expected_rows: 2}"


@pytest.fixture
def recipe(tmp_path, gemma):
    (tmp_path / "sts.tsv").write_text("score\tsentence1\tsentence2\n1\ta\tb\n2\tc\td\n")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "tr.txt").write_text("bir\n")
    (tmp_path / "encoder").symlink_to(gemma)
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"output_dir: {tmp_path}/run\nseed: 1\nsteps: [embed, finetune]\ndata_root: {tmp_path}\n"
        "embed:\n  teacher: '{data_root}/encoder'\n  max_length: 8\n  batch_size: 1\n  shard_rows: 1\n"
        "  corpus: {languages: [tr], folders: ['{data_root}/corpus']}\n"
        "finetune:\n  base_model: '{data_root}/encoder'\n  max_length: 8\n  stages:\n"
        f"    sts: {{train: {STAGE}, loss: cosent, matryoshka_dims: {list(MATRYOSHKA_DIMS)}, training: {{}}}}\n"
    )
    return lambda *overrides: load_recipe(path, overrides)


def test_sound_inputs_pass(recipe):
    check_local_data(recipe(), ("embed", "finetune"))


def test_a_wrong_number_of_rows_stops_before_any_stage(recipe):
    with pytest.raises(ValueError, match="gave 2 rows, expected 3"):
        check_local_data(recipe("finetune.stages.sts.train.expected_rows=3"), ("finetune",))


def test_widths_that_are_not_falling_stop_before_any_stage(recipe):
    with pytest.raises(ValueError, match="largest first"):
        check_local_data(recipe("finetune.stages.sts.matryoshka_dims=[8, 16]"), ("finetune",))


def test_a_base_without_a_tokenizer_stops_before_any_stage(recipe, tmp_path):
    (tmp_path / "bare").mkdir()
    for name in ("config.json", "modules.json"):
        (tmp_path / "bare" / name).write_text((tmp_path / "encoder" / name).read_text())
    with pytest.raises(FileNotFoundError, match=r"bare holds no tokenizer\.json"):
        check_local_data(recipe("finetune.base_model={data_root}/bare"), ("finetune",))


def test_a_corpus_without_a_usable_line_stops_before_any_step(recipe, tmp_path):
    (tmp_path / "corpus" / "tr.txt").write_bytes(b"\n\xff\n")
    with pytest.raises(ValueError, match="`tr` has no usable text"):
        check_local_data(recipe(), ("embed",))


def folder(tmp_path, name, dims):
    (tmp_path / name).mkdir()
    config = {"model_type": "bert"} | ({} if dims is None else {"matryoshka_dims": dims})
    (tmp_path / name / "config.json").write_text(json.dumps(config))
    return tmp_path / name


def test_each_model_is_scored_at_the_widths_it_was_trained_at(tmp_path):
    models = {
        "teacher": folder(tmp_path, "t", None),
        "cloned": folder(tmp_path, "c", [8, 4]),
        "student": folder(tmp_path, "s", [8, 4, 2]),
    }
    assert choose_widths(models, (8, 4, 2)) == {"teacher": (8, 4, 2), "cloned": (8, 4), "student": (8, 4, 2)}


def test_a_width_that_no_model_was_trained_at_is_refused(tmp_path):
    models = {"teacher": folder(tmp_path, "t", None), "student": folder(tmp_path, "s", [8, 4])}
    with pytest.raises(ValueError, match=r"asks for \[3\], which no model was trained at; .* are 8, 4"):
        choose_widths(models, (8, 3))


@pytest.mark.parametrize(
    ("environment", "processes", "passes"),
    [
        ({}, 1, True),
        ({"ACCELERATE_MIXED_PRECISION": "no"}, 1, True),
        ({"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1"}, 1, False),
        ({"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2"}, 1, False),
        ({"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2"}, 2, True),
    ],
)
def test_a_group_smaller_than_asked_for_is_refused(environment, processes, passes):
    if passes:
        check_topology(processes, environment)
    else:
        with pytest.raises(ValueError, match="1 forms the group"):
            check_topology(processes, environment)
