"""The texts that a teacher embeds, as a step of their own: what it writes, and that vectors are of the same rows."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from samples import ROOT, TEXTS
from scripts import run_script

from hf_turkembed import record
from hf_turkembed.chain import read_chain
from hf_turkembed.corpus import TextRow, is_parallel, list_shards, plan_shards, read_shards, write_texts
from hf_turkembed.json_files import as_plain, write_json
from hf_turkembed.recipe import load_recipe


@pytest.fixture(scope="module")
def recipe(gemma, tmp_path_factory):
    """A recipe whose corpus has repeats and lines that cannot be read, run up to the corpus."""
    root = tmp_path_factory.mktemp("texts")
    (root / "teacher").symlink_to(gemma)
    (root / "corpus").mkdir()
    lines = [f"{text} {number}" for number in range(9) for text in TEXTS]
    (root / "corpus" / "tr.txt").write_bytes("\n".join([*lines, *lines[:4], "", ""]).encode() + b"\n\xff\n")
    (root / "corpus" / "en.txt").write_text("\n".join(f"{text} end" for text in TEXTS), encoding="utf-8")
    text = {"languages": ["tr", "en"], "folders": ["{data_root}/corpus"], "rows_by_language": {"tr": 40}}
    embed = {"teacher": "{data_root}/teacher", "max_length": 64, "batch_tokens": 256, "shard_rows": 7}
    content = {
        "output_dir": str(root / "run"),
        "data_root": str(root),
        "seed": 3,
        "steps": ["corpus", "embed"],
        "corpus": {"text": text, "shard_rows": 16, "validation_rows": 2, "test_rows": 1},
        "embed": {**embed, "texts": "{output_dir}/corpus"},
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    alone = {**content, "steps": ["embed"], "output_dir": str(root / "alone")}
    alone["embed"] = {**embed, "corpus": text, "validation_rows": 2, "test_rows": 1}
    (root / "alone.yaml").write_text(yaml.safe_dump(alone), encoding="utf-8")
    assert run_script("corpus", root / "recipe.yaml", folder=root) is None
    return root / "recipe.yaml"


def test_each_text_is_written_once_and_what_was_left_out_is_counted(recipe):
    folder = recipe.parent / "run" / "corpus"
    counts = record.read_provenance(folder).observed.counts
    assert counts["splits"] == {
        "train": {"en": 3, "tr": 37},
        "validation": {"en": 2, "tr": 2},
        "test": {"en": 1, "tr": 1},
    }
    assert (counts["rows"], counts["languages"], counts["files"]) == (46, {"en": 6, "tr": 40}, 8)
    assert counts["left_out"] == {"tr": {"repeated texts": 4, "empty lines": 2, "lines of invalid UTF-8": 1}}
    tables = [pq.read_table(folder / name) for name in list_shards(folder)]
    texts = [text for table in tables for text in table["text"].to_pylist()]
    assert all(table.column_names == ["text", "language"] for table in tables)
    assert len({*texts}) == 46 and counts["characters"] == sum(map(len, texts))
    outputs = record.read_provenance(folder).observed.outputs
    assert outputs == {name: record.digest_file(folder / name) for name in list_shards(folder)}


def test_vectors_of_the_written_texts_are_those_of_the_text_itself(recipe):
    root = recipe.parent
    assert run_script("embed", recipe, folder=root) is None
    assert run_script("embed", root / "alone.yaml", folder=root) is None
    one, other = root / "run" / "embed", root / "alone" / "embed"
    assert list_shards(one) == list_shards(other) and len(list_shards(one)) == 11
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in list_shards(one))
    assert [found.identity.step for found in read_chain(one)] == ["embed", "corpus"]
    counts = (record.read_provenance(folder).observed.counts for folder in (one, other))
    assert next(counts) == next(counts)


def test_the_attention_that_was_used_is_recorded_where_another_was_asked_for(recipe, caplog):
    output = recipe.parent / "packed"
    overrides = (f"output_dir={output}", "embed.texts={output_dir}/../run/corpus", "embed.attention=flash_attention_2")
    assert run_script("embed", recipe, *overrides) is None
    found = record.read_provenance(output / "embed")
    assert found.identity.recipe["attention"] == "flash_attention_2" and found.observed.counts["attention"] == "sdpa"
    assert found.observed.counts["tokenizer"] == record.digest_file(recipe.parent / "teacher" / "tokenizer.json")
    assert "flash_attention_2 needs a GPU and flash-attn, which are not at hand" in caplog.text


def test_a_finished_store_that_was_damaged_is_refused_by_the_step_that_reads_it_and_mended_by_its_own(recipe):
    root = recipe.parent
    store = root / "flipped" / "embed"
    embed = ("embed", recipe, f"output_dir={store.parent}", "embed.texts={output_dir}/../run/corpus")
    assert run_script(*embed) is None
    undisturbed = {name: (store / name).read_bytes() for name in list_shards(store)}
    flipped, missing, *whole = undisturbed
    content = bytearray(undisturbed[flipped])
    content[len(content) // 2] ^= 1
    (store / flipped).write_bytes(content)
    (store / missing).unlink()
    settings = "{student: '{data_root}/teacher', vectors: '{output_dir}/embed', matryoshka_dims: [32], epochs: 1, "
    settings += "max_length: 64, batch_size: 8, batch_tokens: 256, learning_rate: 1.0e-4, warmup_ratio: 0.1, "
    settings += "weight_decay: 0.0, max_grad_norm: 1.0}"
    found = f"{store / flipped} is not as the step `embed` wrote it; run that step again"
    assert found in run_script("distill", recipe, f"output_dir={store.parent}", f"distill={settings}")
    times = {name: (store / name).stat().st_mtime_ns for name in whole}
    assert whole and run_script(*embed) is None
    assert {name: (store / name).read_bytes() for name in list_shards(store)} == undisturbed
    assert {name: (store / name).stat().st_mtime_ns for name in whole} == times
    assert record.read_provenance(store).observed.runs == 2
    assert not (store / "checksums").exists()


@pytest.mark.parametrize("finished", [True, False])
def test_a_shard_that_is_none_of_the_corpus_is_refused_and_removed(recipe, finished):
    store = recipe.parent / f"surplus-{finished}" / "embed"
    embed = ("embed", recipe, f"output_dir={store.parent}", "embed.texts={output_dir}/../run/corpus")
    assert run_script(*embed) is None
    undisturbed = list_shards(store)
    surplus = store / "data" / "tr" / "train-00099.parquet"
    shutil.copy(store / undisturbed[-1], surplus)
    with pytest.raises(ValueError, match=rf"{surplus} is not as the step `embed` wrote it; run that step again"):
        record.check_outputs(store)
    if not finished:
        identity = record.read_provenance(store).identity
        write_json(store.with_name("embed.progress.json"), {"identity": as_plain(identity), "runs": 1})
        (store / record.PROVENANCE_FILE).unlink()
        store.rename(store.with_name("embed.partial"))
    assert run_script(*embed) is None
    assert list_shards(store) == undisturbed


def test_killed_while_it_finishes_no_shard_is_made_again(recipe):
    root = recipe.parent
    store = root / "finishing" / "embed"
    command = ("embed", recipe, f"output_dir={store.parent}", "embed.texts={output_dir}/../run/corpus")
    code = (
        "import os, signal, sys; from hf_turkembed import record; from scripts import run_script\n"
        "record.observe_hardware = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "run_script(*sys.argv[1:])\n"
    )
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, (ROOT, ROOT / "recipes", ROOT / "tests")))}
    killed = subprocess.run([sys.executable, "-c", code, *map(str, command)], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    partial = store.with_name("embed.partial")
    before = {name: (partial / name).stat().st_mtime_ns for name in list_shards(partial)}
    assert before and run_script(*command) is None
    assert {name: (store / name).stat().st_mtime_ns for name in list_shards(store)} == before


def test_a_corpus_that_was_killed_reads_only_the_languages_that_it_lacks(recipe):
    root = recipe.parent
    undisturbed, output = root / "run" / "corpus", root / "killed" / "corpus"
    # Killed with the first shard of English, the second language.
    code = (
        "import os, signal, sys; from hf_turkembed.corpus import shards; from scripts import run_script\n"
        "write = shards.pq.write_table\n"
        "def write_table(table, path, **settings):\n"
        "    write(table, path, **settings)\n"
        "    if path.parent.name == 'en': os.kill(os.getpid(), signal.SIGKILL)\n"
        "shards.pq.write_table = write_table\n"
        "run_script('corpus', *sys.argv[1:])\n"
    )
    settings = [recipe, f"output_dir={root / 'killed'}"]
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, (ROOT, ROOT / "recipes", ROOT / "tests")))}
    killed = subprocess.run([sys.executable, "-c", code, *map(str, settings)], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    partial = output.with_name("corpus.partial")
    # The Turkish shards are not written again: they keep a time that no clock of the second run gives them.
    for file in (partial / "data" / "tr").iterdir():
        os.utime(file, (1, 1))
    assert run_script("corpus", *settings, folder=root) is None
    assert {file.name for file in output.iterdir()} == {"data", "provenance.json"}
    assert list_shards(output) == list_shards(undisturbed)
    assert all((output / name).read_bytes() == (undisturbed / name).read_bytes() for name in list_shards(output))
    assert {name for name in list_shards(output) if (output / name).stat().st_mtime == 1} == {
        name for name in list_shards(output) if "/tr/" in name
    }
    observed = record.read_provenance(output).observed
    assert (observed.runs, observed.counts) == (2, record.read_provenance(undisturbed).observed.counts)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("corpus.validation_rows=99", "none for training; lower"),
        ("corpus.text.text_column=txt", "has no column 'txt'"),
        ("corpus.text.skip_rows=99", "no language gave any text to keep (en); lower `skip_rows`"),
    ],
)
def test_after_an_error_the_mended_recipe_runs_in_the_same_folder(recipe, tmp_path, wrong, message):
    rows = "\n".join(f'{{"text": "{number}"}}' for number in range(9))
    (tmp_path / "org" / "texts").mkdir(parents=True)
    (tmp_path / "org" / "texts" / "train.jsonl").write_text(rows, encoding="utf-8")
    text = f"{{languages: [en], dataset: org/texts@{'1' * 40}, dataset_config: default}}"
    settings = [recipe, f"output_dir={tmp_path / 'out'}", f"corpus.text={text}"]
    assert message in run_script("corpus", *settings, wrong, folder=tmp_path)
    assert run_script("corpus", *settings, folder=tmp_path) is None


def test_parallel_texts_come_back_as_they_were_written_in_shards_of_another_size(tmp_path):
    rows = {"tr": [TextRow(f"{number}", None if number % 3 else f"number {number}") for number in range(10)]}
    write_texts(tmp_path, plan_shards(rows, 4, validation_rows=3), parallel=True)
    assert is_parallel(tmp_path) and len(list_shards(tmp_path)) == 3
    expected = {(s.split, s.index): s.rows for s in plan_shards(rows, 5, validation_rows=3)}
    assert {(shard.split, shard.index): shard.rows for shard in read_shards(tmp_path, 5)} == expected


def test_local_text_is_shuffled_by_the_seed_whether_all_or_some_of_it_is_taken(recipe, tmp_path):
    lines = (recipe.parent / "corpus" / "tr.txt").read_bytes().splitlines()
    for seed in (3, 4):
        for name, rows in (("all", "{}"), ("some", "{tr: 54}")):
            folder = tmp_path / f"{seed}-{name}"
            overrides = [f"output_dir={folder}", f"seed={seed}", f"corpus.text.rows_by_language={rows}"]
            assert run_script("corpus", recipe, *overrides) is None
    found = {}
    for folder in tmp_path.iterdir():
        files = sorted((folder / "corpus" / "data" / "tr").glob("train-*"))
        texts = [text for file in files for text in pq.read_table(file)["text"].to_pylist()]
        places = [lines.index(text.encode()) for text in texts]
        assert len(places) == 51 and places != sorted(places)
        # No worse mixed than by chance: neighbours are a third of the length apart on average.
        assert np.abs(np.diff(places)).mean() > len(places) / 4
        found[folder.name] = places
    assert len({tuple(places) for places in found.values()}) == 4


def test_a_folder_whose_rows_are_all_held_out_is_refused_with_what_to_lower(tmp_path):
    write_texts(tmp_path, plan_shards({"tr": [TextRow("bir"), TextRow("iki")]}, 4, validation_rows=3))
    with pytest.raises(FileNotFoundError, match="holds rows for validation, but none for training; lower"):
        next(read_shards(tmp_path, 5))


def test_a_folder_without_texts_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the `corpus`"):
        is_parallel(tmp_path)
    with pytest.raises(FileNotFoundError, match="run the `corpus`"):
        next(read_shards(tmp_path, 5))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("embed.validation_rows=1", "belong to the section `corpus`"),
        ("embed.texts=null", "needs one of `texts` and `corpus`"),
        ("embed.corpus={languages: [tr], folders: [./x]}", "needs one of `texts` and `corpus`"),
    ],
)
def test_what_is_embedded_comes_from_one_place(recipe, override, message):
    assert load_recipe(recipe).embed.texts == "{output_dir}/corpus"
    with pytest.raises(ValueError, match=message):
        load_recipe(recipe, [override])
