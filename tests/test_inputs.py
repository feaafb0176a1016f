"""What the scripts check before any work."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import MATRYOSHKA_DIMS

from hf_turkembed.recipe import load_recipe
from hf_turkembed.step_identity import identify
from input_checks import check_local_data
from inputs import find_columns, load_encoder, read_labelled
from score import choose_widths
from startup import check_topology

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
        "embed:\n  teacher: '{data_root}/encoder'\n  max_length: 8\n  batch_tokens: 1\n  shard_rows: 1\n"
        "  corpus: {languages: [tr], folders: ['{data_root}/corpus']}\n"
        "finetune:\n  base_model: '{data_root}/encoder'\n  max_length: 8\n  stages:\n"
        f"    sts: {{tasks: {{sts: {{train: {STAGE}, loss: cosent}}}}, matryoshka_dims: {list(MATRYOSHKA_DIMS)}, "
        "batch_size: 2, training: {}}\n"
    )
    return lambda *overrides: load_recipe(path, overrides)


def test_sound_inputs_pass(recipe):
    check_local_data(recipe(), ("embed", "finetune"))


def test_a_wrong_number_of_rows_stops_before_any_stage(recipe):
    with pytest.raises(ValueError, match="gave 2 rows, expected 3"):
        check_local_data(recipe("finetune.stages.sts.tasks.sts.train.expected_rows=3"), ("finetune",))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1\ta\tb\n", r"sts\.tsv gave 1 rows, fewer than a batch of 2; lower `batch_size`"),
        ("3\ta\tb\n3\tc\td\n", r"/sts\.tsv: column 'score' is 3 in all 2 rows; pairs of equal score teach"),
        ("6\ta\tb\n3\tc\td\n", r"sts\.tsv, row 1: column 'score' is '6', expected 0 to 5"),
        ("high\ta\tb\n3\tc\td\n", r"sts\.tsv, row 1: column 'score' is 'high', expected 0 to 5"),
        ("3\ta\tb\n3\t\td\n", r"sts\.tsv, row 2: column 'sentence1' is '', expected text"),
        ("", r"sts\.tsv holds no rows"),
    ],
)
def test_rows_that_cannot_be_trained_on_stop_before_any_stage(recipe, tmp_path, rows, message):
    (tmp_path / "sts.tsv").write_text("score\tsentence1\tsentence2\n" + rows)
    with pytest.raises(ValueError, match=message):
        check_local_data(recipe("finetune.stages.sts.tasks.sts.train.expected_rows=null"), ("finetune",))


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("{kind: sts, data: {source: '{data_root}/dev.jsonl', columns: [a, b, grade]}}", "column 'grade' is 4 in all"),
        (
            "{kind: pairs, data: {source: '{data_root}/dev.jsonl', columns: [a, b, label], labels: {same: 1}}}",
            "by `labels`, column 'label' counts as 1 in all",
        ),
    ],
)
def test_held_out_pairs_that_are_all_alike_stop_before_any_stage(recipe, tmp_path, suite, message):
    row = json.dumps({"a": "bir", "b": "iki", "grade": 4, "label": "same"})
    (tmp_path / "dev.jsonl").write_text(f"{row}\n{row}\n")
    with pytest.raises(ValueError, match=rf"/dev\.jsonl: {message} 2 rows"):
        check_local_data(recipe(f"finetune.stages.sts.tasks.sts.held_out={{dev: {suite}}}"), ("finetune",))


def test_a_renamed_column_stops_before_any_stage(recipe, tmp_path):
    (tmp_path / "sts.tsv").write_text("grade\tsentence1\tsentence2\n3\ta\tb\n")
    with pytest.raises(ValueError, match=r"sts\.tsv, row 1: no column 'score'; its columns are grade, sentence1"):
        check_local_data(recipe(), ("finetune",))


def test_widths_that_are_not_falling_stop_before_any_stage(recipe):
    with pytest.raises(ValueError, match="largest first"):
        check_local_data(recipe("finetune.stages.sts.matryoshka_dims=[8, 16]"), ("finetune",))


def test_stages_of_one_base_begin_with_the_same_width_though_it_is_not_at_hand(recipe):
    stage = {"matryoshka_dims": [16, 8], "batch_size": 2, "training": {}}
    train = {"source": f"org/nli@{'0' * 40}", "columns": ["a", "b", "c"]}
    task = {"train": train, "loss": "multiple_negatives_ranking"}
    stages = {"nli": {**stage, "tasks": {"nli": task}}, "more": {**stage, "tasks": {"nli": task}}}
    options = ["finetune.base_model=org/base", f"finetune.stages={json.dumps(stages)}"]
    check_local_data(recipe(*options), ("finetune",))
    with pytest.raises(ValueError, match=r"stage `more`: `matryoshka_dims` begins with 8, but that of `nli` with 16"):
        check_local_data(recipe(*options, "finetune.stages.more.matryoshka_dims=[8]"), ("finetune",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        (
            {"second": ["c", "c", "d"]},
            r"/pairs\.jsonl gave 2 different texts in column 'right', and no batch of 3 rows",
        ),
        ({"shared_texts": "remove"}, r"/pairs\.jsonl gave 2 rows, fewer than a batch of 3"),
    ],
)
def test_rows_that_make_no_batch_stop_before_any_stage(recipe, tmp_path, changes, message):
    pairs = zip(("a", "b", "e"), changes.pop("second", ["c", "d", "f"]), strict=True)
    lines = [json.dumps({"left": left, "right": right}) for left, right in pairs]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    (tmp_path / "own.jsonl").write_text(lines[1])
    data = {"columns": ["left", "right"], "source": "{data_root}/pairs.jsonl"}
    own = {"kind": "bitext", "data": {**data, "source": "{data_root}/own.jsonl"}}
    task = {"train": data, "loss": "multiple_negatives_ranking", "held_out": {"own": own}, **changes}
    options = [f"finetune.stages.sts.tasks={json.dumps({'pairs': task})}", "finetune.stages.sts.batch_size=3"]
    if message is None:
        check_local_data(recipe(*options), ("finetune",))
    else:
        with pytest.raises(ValueError, match=message):
            check_local_data(recipe(*options), ("finetune",))


def test_a_base_without_a_tokenizer_stops_before_any_stage(recipe, tmp_path):
    (tmp_path / "bare").mkdir()
    for name in ("config.json", "modules.json"):
        (tmp_path / "bare" / name).write_text((tmp_path / "encoder" / name).read_text())
    with pytest.raises(FileNotFoundError, match=r"bare holds no tokenizer\.json"):
        check_local_data(recipe("finetune.base_model={data_root}/bare"), ("finetune",))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "stages.sts.matryoshka_dims=[64, 32]",
            r"`matryoshka_dims` is \[64, 32\], but the embedding of .*/encoder",
        ),
        (
            "stages.sts.matryoshka_dims=[16, 8]",
            r"`matryoshka_dims` begins with 16, but .*/encoder gives 32",
        ),
        ("stages.sts.matryoshka_dims=[8, 16]", r"`matryoshka_dims` is \[8, 16\], expected distinct widths"),
        ("stages.sts.matryoshka_dims=[]", r"`matryoshka_dims` is \[\], expected distinct widths"),
        ("base_model={data_root}/bare", r".*/bare holds no tokenizer\.json"),
        ("stages.sts.tasks.sts.train.expected_rows=3", r".*/sts\.tsv gave 2 rows, expected 3"),
        ("stages.sts.batch_size=3", r".*/sts\.tsv gave 2 rows, fewer than a batch of 3"),
    ],
)
def test_what_is_wrong_with_a_stage_names_it_once(recipe, tmp_path, override, message):
    (tmp_path / "bare").mkdir()
    for name in ("config.json", "modules.json"):
        shutil.copyfile(tmp_path / "encoder" / name, tmp_path / "bare" / name)
    with pytest.raises((ValueError, FileNotFoundError), match=f"^stage `sts`: {message}"):
        check_local_data(recipe(f"finetune.{override}"), ("finetune",))


def test_texts_longer_than_a_table_of_positions_stop_before_any_stage(recipe, encoders):
    options = [f"finetune.base_model={encoders('bert')}", "finetune.max_length=64"]
    check_local_data(recipe(*options), ("finetune",))
    with pytest.raises(ValueError, match=r"^stage `sts`: `max_length` is 65, but .*/bert has a table of positions"):
        check_local_data(recipe(*options, "finetune.max_length=65"), ("finetune",))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", "{}", r"tokenizer\.json is not a fast tokenizer"),
        ("modules.json", '[{"path": "", "type": "models.Transformer"}]', r"modules\.json names no Pooling"),
        ("model.safetensors", None, r"base holds no weights; expected model\.safetensors"),
        ("tokenizer_config.json", None, r"base holds no tokenizer_config\.json"),
    ],
)
def test_a_base_that_no_head_can_be_put_on_stops_before_any_step(recipe, gemma, tmp_path, file, content, message):
    base = shutil.copytree(gemma, tmp_path / "base")
    (tmp_path / "classes.csv").write_text("text,label\na,x\nb,y\n")
    data = {"source": "{data_root}/classes.csv", "columns": ["text", "label"]}
    classify = {"model": "{data_root}/base", "train": data, "held_out": data, "batch_size": 1}
    option = f"classify={json.dumps(classify | {'inverse_regularization': 1.0})}"
    check_local_data(recipe(option), ("classify",))
    (base / file).unlink()
    if content is not None:
        (base / file).write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=f"{tmp_path}/.*{message}"):
        check_local_data(recipe(option), ("classify",))


def test_a_corpus_without_a_usable_line_stops_before_any_step(recipe, tmp_path):
    (tmp_path / "corpus" / "tr.txt").write_bytes(b"\n\xff\n")
    with pytest.raises(ValueError, match="no language has usable text: `tr`"):
        check_local_data(recipe(), ("embed",))


def table(**changes):
    content = {"source": "{data_root}/pairs", "files": "en-{language}.tsv", "column": "2", **changes}
    return ", ".join(f"{key}: '{value}'" for key, value in content.items())


def test_columns_of_tables_are_found_by_language(recipe, tmp_path):
    (tmp_path / "pairs").mkdir()
    for name in ("en-tr.tsv", "en-de.tsv"):
        (tmp_path / "pairs" / name).write_text("a cat\tbir kedi\n")
    tables = f"[{{{table()}}}, {{{table(files='en-*.tsv', column='1', language='en')}}}]"
    config = recipe("embed.corpus.languages=[tr, en, fr]", f"embed.corpus.tables={tables}").embed.corpus
    found = {
        language: [(column.file.name, column.column) for column in find_columns(recipe(), config, language)]
        for language in config.languages
    }
    assert found == {"tr": [("en-tr.tsv", "2")], "en": [("en-de.tsv", "1"), ("en-tr.tsv", "1")], "fr": []}


def test_a_table_of_one_language_has_to_be_there(recipe, tmp_path):
    (tmp_path / "pairs").mkdir()
    tables = f"[{{{table(files='nli.tsv', language='tr')}}}]"
    config = recipe(f"embed.corpus.tables={tables}").embed.corpus
    with pytest.raises(FileNotFoundError, match=r"pairs holds no file 'nli\.tsv', which the corpus names for `tr`"):
        list(find_columns(recipe(), config, "tr"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": "tr"}, "has to stand in its name as {language}"),
        ({"files": "x.tsv"}, "has to stand in its name as {language}"),
        ({"files": "x.tsv", "language": "de"}, r"`tables` names \['de'\], which `languages` does not"),
    ],
)
def test_a_table_whose_language_is_not_clear_is_refused(recipe, changes, message):
    with pytest.raises(ValueError, match=message):
        recipe(f"embed.corpus.tables=[{{{table(**changes)}}}]")


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


@pytest.mark.parametrize(("split", "rows"), [("train", 5749), ("validation", 1500), ("test", 1379)])
def test_stsb_tr_by_its_translators_is_read_with_its_scores_as_texts(tmp_path, monkeypatch, split, rows):
    # Laid out as it is on the Hub, where the folder that bears its name stands for it.
    names = ("genre", "dataset", "year", "sid", "score", "sentence1", "sentence2")
    table = {name: [f"{name} {row}" for row in range(rows)] for name in names}
    table["score"] = [f"{row % 6}.{row % 10 if row % 6 < 5 else 0}00" for row in range(rows)]
    folder = tmp_path / "figenfikri" / "stsb_tr" / "data"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(table), folder / f"{split}-00000-of-00001.parquet")
    monkeypatch.chdir(tmp_path)
    source = f"{{source: figenfikri/stsb_tr@{'1' * 40}, split: {split}, columns: [sentence1, sentence2, score]"
    (tmp_path / "recipe.yaml").write_text(
        "output_dir: run\nseed: 1\nsteps: []\n"
        "score:\n  models: {m: ./m}\n  truncate_dims: [8]\n  batch_size: 8\n"
        f"  suites: {{stsb-tr: {{kind: sts, data: {source}, expected_rows: {rows}}}}}}}\n"
    )
    (tmp_path / "m").mkdir()
    read = load_recipe(tmp_path / "recipe.yaml")
    suite = read.score.suites["stsb-tr"]
    found = read_labelled(read, identify(read, "score"), "suites.stsb-tr.data", suite.data, suite.kind)
    assert len(found["score"]) == rows and found["sentence2"][-1] == f"sentence2 {rows - 1}"
    assert min(found["score"]) == 0 and max(found["score"]) == 1 and found["score"][1] == pytest.approx(1.1 / 5)


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta"])
def test_a_layer_that_a_checkpoint_lacks_is_the_same_in_every_run(encoders, tmp_path, model_type):
    folder = shutil.copytree(encoders(model_type), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("pooler.")}
    assert len(kept) == len(weights) - 2
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        drawn = torch.rand(1)
        torch.manual_seed(seed)
        states.append(load_encoder(folder, "float32", "cpu").state_dict())
        assert torch.equal(torch.rand(1), drawn)
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
