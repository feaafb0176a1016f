"""Recipes: what is refused before any work, and how sources are named."""

import re
from pathlib import Path

import pytest
from samples import ROOT

from hf_turkembed import recipe as recipes
from hf_turkembed.recipe import Recipe, load_recipe

BASE = """
output_dir: output/x
seed: 1
steps: [distill]
distill:
  student: "{output_dir}/clone"
  vectors: "{output_dir}/embed"
  matryoshka_dims: [128, 64]
  epochs: 1
  batch_size: 8
  batch_tokens: 512
  learning_rate: 1.0e-4
  warmup_ratio: 0
  weight_decay: 0.0
  max_grad_norm: 1.0
  max_length: 128
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_recipe_becomes_frozen_sections_with_defaults_and_tuples(write):
    recipe = load_recipe(write(BASE))
    assert isinstance(recipe, Recipe) and recipe.distill is not None
    assert recipe.distill.matryoshka_dims == (128, 64)
    assert recipe.distill.warmup_ratio == 0.0 and recipe.distill.checkpoint_steps == 1000
    with pytest.raises(AttributeError):
        recipe.distill.epochs = 2


def test_an_unknown_key_is_refused_with_the_nearest_name(write):
    text = BASE.replace("matryoshka_dims", "matroyshka_dims")
    with pytest.raises(
        ValueError, match=r"recipe.yaml: unknown key 'matroyshka_dims' in `distill`; did you mean 'matryoshka_dims'\?"
    ):
        load_recipe(write(text))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 1", "epochs: one", "`distill.epochs` is 'one', expected int"),
        ("epochs: 1", "epochs: true", "`distill.epochs` is True, expected int"),
        ("learning_rate: 1.0e-4", "learning_rate: 1e-4", r"expected float \(write 5e-5 as 5.0e-5\)"),
        ("learning_rate: 1.0e-4", "learning_rate: .nan", "`distill.learning_rate` is nan"),
        ("weight_decay: 0.0", "weight_decay: .inf", "`distill.weight_decay` is inf, expected float"),
        ("[128, 64]", "128", "`distill.matryoshka_dims` is 128, expected a list"),
        ("  epochs: 1\n", "", "`distill` lacks the key 'epochs'"),
        ("  max_length: 128", "  max_length: 128\n  precision: float16", "expected one of 'float32', 'bfloat16'"),
        ("steps: [distill]", "steps: [distil]", "`steps` names 'distil'; the steps are sandbox, tokenizer"),
        ("steps: [distill]", "steps: [clone]", "`steps` names 'clone', but the recipe has no section `clone`"),
        ("seed: 1", "seed: [1", "is not valid YAML"),
        (BASE, "[1, 2]", "holds list, expected a mapping"),
        ("{output_dir}/embed", "{data_root}/embed", "say where it lies with `data_root=DIR`"),
    ],
)
def test_a_bad_value_is_refused_and_named(write, old, new, message):
    with pytest.raises(ValueError, match=message):
        load_recipe(write(BASE.replace(old, new)))


def test_a_missing_recipe_is_refused():
    with pytest.raises(FileNotFoundError, match="no such recipe"):
        load_recipe(Path("nowhere.yaml"))


def test_overrides_are_yaml_and_are_checked_like_the_file(write):
    recipe = load_recipe(write(BASE), ["distill.learning_rate=2.0e-4", "distill.matryoshka_dims=[128]", "seed=7"])
    assert recipe.distill is not None
    assert (recipe.distill.learning_rate, recipe.distill.matryoshka_dims, recipe.seed) == (2e-4, (128,), 7)
    moved = load_recipe(write(BASE), ["distill.student={output_dir}/../other/clone"]).distill
    assert moved is not None and moved.student == "{output_dir}/../other/clone"
    with pytest.raises(ValueError, match="the value is not valid YAML"):
        load_recipe(write(BASE), ["distill.epochs=[1"])
    with pytest.raises(ValueError, match="unknown key 'epoch' in `distill`; did you mean 'epochs'"):
        load_recipe(write(BASE), ["distill.epoch=2"])
    with pytest.raises(ValueError, match=r"not of the form section\.key=value"):
        load_recipe(write(BASE), ["distill.epochs"])


@pytest.mark.parametrize("path", ["turkembed/real_small.yaml", "sandbox/turkembed.yaml"])
def test_an_override_changes_the_one_place_that_it_names_whatever_anchors_share(path):
    changed = "finetune.stages.sts.training.num_train_epochs"
    before, after = (
        load_recipe(ROOT / "recipes" / path, ["data_root=/x", *overrides]) for overrides in ([], [f"{changed}=9"])
    )
    stages = {name: (stage, after.finetune.stages[name]) for name, stage in before.finetune.stages.items()}
    assert [name for name, (old, new) in stages.items() if old != new] == ["sts"]
    assert before.score == after.score


def test_a_corpus_needs_text_and_names_only_its_own_languages(write):
    corpus = "steps: []\nembed:\n  teacher: ./t\n  max_length: 1\n  batch_tokens: 1\n  shard_rows: 1\n  corpus: "
    text = BASE.replace("steps: [distill]", corpus)
    with pytest.raises(ValueError, match="needs `folders`, `files`, `tables` or `dataset`"):
        load_recipe(write(text.replace("corpus: ", "corpus: {languages: [tr]}")))
    with pytest.raises(ValueError, match=r"`files` names \['de'\], which `languages` does not"):
        load_recipe(write(text.replace("corpus: ", "corpus: {languages: [tr], files: {de: [./x.txt]}}")))


# A section of each step that makes a student, with what it needs and no more.
MAKING = (
    BASE
    + """\
  id_map: ./tokenizer
  new_rows_ratio: 1.0
tokenizer:
  source: ./teacher
  corpus: {languages: [tr], folders: [./text]}
  heldout: {languages: [tr], folders: [./text]}
  vocab_size: 1
  max_words: 2
corpus:
  text: {languages: [tr], folders: [./text]}
  shard_rows: 1
clone:
  teacher: ./teacher
  tokenizer: ./tokenizer
  matryoshka_dims: [128]
  max_length: 1
  heldout: {languages: [tr], folders: [./text]}
embed:
  teacher: ./teacher
  corpus: {languages: [tr], folders: [./text]}
  max_length: 1
  batch_tokens: 1
  shard_rows: 1
"""
)


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("tokenizer", "vocab_size", "0", "at least 1"),
        ("tokenizer", "new_tokens", "-1", "at least 0"),
        ("tokenizer", "max_words", "1", "at least 2"),
        ("tokenizer", "merge_order_prior", "-0.5", "at least 0"),
        ("tokenizer", "stem_penalty", "1.5", "a share from 0 to 1"),
        ("tokenizer", "stem_penalty", "-0.5", "a share from 0 to 1"),
        ("tokenizer", "language_weights.tr", "0.0", "a share above 0, up to 1"),
        ("tokenizer", "language_weights.tr", "1.5", "a share above 0, up to 1"),
        ("tokenizer.heldout", "rows", "0", "at least 1, or null for all"),
        ("corpus", "shard_rows", "0", "at least 1"),
        ("corpus", "validation_rows", "-1", "at least 0"),
        ("corpus", "test_rows", "-1", "at least 0"),
        ("corpus.text", "rows", "-5", "at least 1, or null for all"),
        ("corpus.text", "rows_by_language.tr", "0", "at least 1"),
        ("corpus.text", "skip_rows", "-1", "at least 0"),
        ("corpus.text", "skip_rows_by_language.tr", "-1", "at least 0"),
        ("corpus.text", "skip_last", "-1", "at least 0"),
        ("corpus.text", "only_last", "0", "at least 1, or null for all"),
        ("clone", "max_length", "0", "at least 1"),
        ("embed", "max_length", "0", "at least 1"),
        ("embed", "batch_tokens", "0", "at least 1"),
        ("embed", "shard_rows", "0", "at least 1"),
        ("embed", "validation_rows", "-1", "at least 0"),
        ("embed", "test_rows", "-1", "at least 0"),
        ("distill", "epochs", "0", "at least 1"),
        ("distill", "batch_size", "0", "at least 1"),
        ("distill", "batch_tokens", "-5", "at least 1"),
        ("distill", "max_length", "0", "at least 1"),
        ("distill", "checkpoint_steps", "0", "at least 1"),
        ("distill", "learning_rate", "0.0", "more than 0"),
        ("distill", "embedding_learning_rate", "0.0", "more than 0"),
        ("distill", "max_grad_norm", "0.0", "more than 0"),
        ("distill", "weight_decay", "-0.1", "at least 0"),
        ("distill", "pre_dense_weight", "-0.1", "at least 0"),
        ("distill", "similarity_weight", "-0.1", "at least 0"),
        ("distill", "warmup_ratio", "3.0", "a share from 0 to 1"),
        ("distill", "warmup_ratio", "-0.1", "a share from 0 to 1"),
        ("distill", "new_rows_ratio", "2.0", "a share from 0 to 1"),
        ("distill", "new_rows_ratio", "-0.1", "a share from 0 to 1"),
    ],
)
def test_a_number_out_of_range_is_refused_when_the_recipe_is_read(write, section, key, value, expected):
    path = write(MAKING)
    load_recipe(path)
    with pytest.raises(ValueError, match=re.escape(f"`{section}`: `{key}` is {value}, expected {expected}.")):
        load_recipe(path, [f"{section}.{key}={value}"])


def test_sources_are_found_with_their_roles_and_kinds(write):
    recipe = load_recipe(write(BASE))
    assert dict(recipes.find_sources(recipe.distill)) == {
        "student": "{output_dir}/clone",
        "vectors": "{output_dir}/embed",
    }
    assert recipes.source_kind(recipe.distill, "student") == "model"
    assert recipes.source_kind(recipe.distill, "vectors") == "dataset"


def test_nested_sources_have_dotted_roles_and_their_own_kind():
    recipe = load_recipe(Path("recipes/magibu/embeddingmagibu_200m.yaml"))
    assert dict(recipes.find_sources(recipe.score))["suites.stsb-tr.data.source"] == "emrecan/stsb-mt-turkish"
    assert recipes.source_kind(recipe.score, "suites.stsb-tr.data.source") == "dataset"
    assert recipes.source_kind(recipe.score, "models.teacher") == "model"
    assert recipes.source_kind(recipe.tokenizer, "corpus.dataset") == "dataset"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/home/somebody/models/teacher", "teacher"),
        ("~/models/teacher", "teacher"),
        ("../shared/teacher", "teacher"),
        ("{data_root}/teacher", "{data_root}/teacher"),
        ("{output_dir}/clone", "{output_dir}/clone"),
        ("google/embeddinggemma-300m", "google/embeddinggemma-300m"),
    ],
)
def test_portable_names_hold_nothing_of_one_machine(source, name):
    assert recipes.portable_name(source) == name


def test_local_paths_are_filled_in_and_hub_ids_are_split(write):
    recipe = load_recipe(write(BASE), ["data_root=/data"])
    assert recipes.local_path(recipe, "{output_dir}/../magibu/distill") == Path("output/magibu/distill")
    assert recipes.local_path(recipe, "{data_root}/teacher") == Path("/data/teacher")
    assert recipes.split_revision("org/name@abc") == ("org/name", "abc")
    assert not recipes.is_local("org/name@abc")


FINETUNE = """
output_dir: output/x
seed: 1
steps: [finetune]
finetune:
  base_model: org/base
  max_length: 128
  stages:
    one:
      tasks:
        pairs: {train: {source: org/pairs, columns: [a, b]}, loss: multiple_negatives_ranking}
      matryoshka_dims: [64]
      batch_size: 8
      training: {learning_rate: 2.0e-5}
"""


# Puts an adapter into it.
LORA = ("      batch_size: 8", "      batch_size: 8\n      lora: ")


def test_ranking_takes_pairs_with_and_without_a_negative(write):
    config = load_recipe(write(FINETUNE)).finetune
    assert config.stages["one"].tasks["pairs"].kind == "bitext"
    config = load_recipe(write(FINETUNE.replace("[a, b]", "[a, b, c]"))).finetune
    assert config.stages["one"].tasks["pairs"].kind == "triplets"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("columns: [a, b]", "columns: [a]", "`train` needs 2 or 3 columns and no labels"),
        ("loss: multiple_negatives_ranking", "loss: cosent", "`train` needs 3 columns and no labels"),
        (
            "columns: [a, b]}, loss: multiple_negatives_ranking",
            "columns: [a, b, c]}, loss: angle, mini_batch_size: 4",
            "`mini_batch_size` belongs to multiple_negatives_ranking, not to angle",
        ),
        ("ranking}", "ranking, shared_texts: remove}", "`shared_texts: remove` needs `held_out`"),
        ("2.0e-5", "2e-5", "`training.learning_rate` is the text '2e-5': YAML needs a point"),
        (
            "{train: {source: org/pairs, columns: [a, b]}, loss: multiple_negatives_ranking}",
            "{train: {source: org/pairs, columns: [a, b]}, loss: contrastive}",
            "contrastive",
        ),
        ("batch_size: 8", "batch_size: 0", "`finetune.stages.one`: `batch_size` is 0, expected at least 1"),
        ("batch_size: 8", "batch_size: 1", "`batch_size` is 1, but task `pairs` compares the rows of a batch"),
        ("ranking}", "ranking, mini_batch_size: 0}", "`mini_batch_size` is 0, expected at least 1"),
        ("max_length: 128", "max_length: 0", "`finetune`: `max_length` is 0, expected at least 1"),
        ("columns: [a, b]", "columns: [a, b, a]", "`columns` names 'a' twice"),
        ("columns: [a, b]", "columns: [a, b], highest_score: 0", "`highest_score` is 0, expected a score above 0"),
        ("columns: [a, b]", "columns: [a, b], rows: 0", "`rows` is 0, expected at least 1"),
        (LORA[0], LORA[1] + "{rank: 0, alpha: 8}", "`finetune.stages.one.lora`: `rank` is 0, expected at least 1"),
        (LORA[0], LORA[1] + "{rank: 4, alpha: 0}", "`alpha` is 0, expected at least 1"),
        (
            LORA[0],
            LORA[1] + "{rank: 4, alpha: 8, dropout: 1.5}",
            "`dropout` is 1.5, expected a share from 0",
        ),
        (LORA[0], LORA[1] + "{rank: 4, alpha: 8, dropout: 1}", "`dropout` is 1.0, expected a share from 0 to below 1"),
        (
            LORA[0],
            LORA[1] + "{rank: 4, alpha: 8, dropout: -0.1}",
            "`dropout` is -0.1, expected a share",
        ),
    ],
)
def test_a_stage_that_contradicts_itself_is_refused(write, old, new, message):
    assert old in FINETUNE
    with pytest.raises(ValueError, match=message):
        load_recipe(write(FINETUNE.replace(old, new)))


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "v1.5", "'a b'", "aşama", '""', "a:b"])
def test_a_stage_whose_name_makes_no_folder_is_refused(write, name):
    message = f"`finetune`: `stages` names '{name.strip(chr(34) + chr(39))}', which is a part of a folder's name"
    with pytest.raises(ValueError, match=message):
        load_recipe(write(FINETUNE.replace("one:", f"{name}:")))


@pytest.mark.parametrize("name", ["sts-2", "_sts", "Nli_v1"])
def test_a_stage_is_named_with_letters_digits_and_signs(write, name):
    recipe = load_recipe(write(FINETUNE.replace("one:", f"{name}:")))
    roles = dict(recipes.find_sources(recipe.finetune))
    assert recipes.source_kind(recipe.finetune, f"stages.{name}.tasks.pairs.train.source") == "dataset"
    assert f"stages.{name}.tasks.pairs.train.source" in roles


def test_a_head_is_fitted_on_batches_that_hold_a_row(write):
    data = "{source: org/texts, columns: [text, label], split: test}"
    text = (
        "output_dir: output/x\nseed: 1\nsteps: [classify]\nclassify:\n"
        f"  model: org/base\n  train: {data}\n  held_out: {data}\n  inverse_regularization: 1.0\n  batch_size: "
    )
    assert load_recipe(write(f"{text}1\n")).classify.batch_size == 1
    for size in (0, -8):
        with pytest.raises(ValueError, match=f"`classify`: `batch_size` is {size}, expected at least 1"):
            load_recipe(write(f"{text}{size}\n"))


def test_a_stage_without_tasks_is_refused(write):
    head, _, rest = FINETUNE.partition("      tasks:\n")
    with pytest.raises(ValueError, match="`tasks` is empty; name at least one"):
        load_recipe(write(head + "      tasks: {}\n" + rest.partition("\n")[2]))


def test_a_section_without_stages_is_refused(write):
    with pytest.raises(ValueError, match="`stages` is empty; name at least one"):
        load_recipe(write(FINETUNE.partition("  stages:\n")[0] + "  stages: {}\n"))


def test_a_triplet_with_its_negative_may_stand_alone_in_a_batch(write):
    text = FINETUNE.replace("[a, b]", "[a, b, c]").replace("batch_size: 8", "batch_size: 1")
    assert load_recipe(write(text)).finetune.stages["one"].batch_size == 1


def test_two_folders_for_one_repo_are_refused(write):
    repo = '{folder: "{output_dir}/%s", repo_id: org/name}'
    publish = (
        f"publish:\n  license: mit\n  languages: []\n  scores: x\n  repos: {{a: {repo % 'a'}, b: {repo % 'b'}}}\n"
    )
    with pytest.raises(ValueError, match="`publish`: `repos` names 'org/name' twice"):
        load_recipe(write(BASE + publish))
