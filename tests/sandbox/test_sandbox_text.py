"""The sandbox's text on disk."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hf_turkembed.sandbox.text import OTHER_LANGUAGES, write_sandbox_text

ROOT = Path(__file__).resolve().parent.parent.parent
SIZES = {"sentences": 1800, "triplets": 300, "pairs": 200}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    counts = write_sandbox_text(folder, seed=1, **SIZES)
    return folder, counts


def table(path):
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    return header.split("\t"), [row.split("\t") for row in rows]


def sentences_of(path):
    if path.suffix == ".jsonl":
        return {text for line in path.read_text(encoding="utf-8").splitlines() for text in json.loads(line).values()}
    if path.suffix == ".tsv":
        return {field for row in table(path)[1] for field in row[-2:]}
    return set(path.read_text(encoding="utf-8").splitlines())


def test_the_counts_are_those_of_the_files(text):
    folder, counts = text
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert files.keys() == counts.keys()
    for name, path in files.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) == counts[name] + (path.suffix == ".tsv")


def test_half_of_the_corpus_is_turkish(text):
    _, counts = text
    assert counts["corpus/tr.txt"] == 900
    assert sum(counts[f"corpus/{code}.txt"] for code in ("tr", *OTHER_LANGUAGES)) == 1800
    assert all(counts[f"corpus-heldout/{code}.txt"] == 200 for code in ("tr", *OTHER_LANGUAGES))


def test_training_files_have_the_size_asked_for_and_the_others_a_tenth_or_more(text):
    _, counts = text
    assert (counts["nli/train.jsonl"], counts["nli/dev.jsonl"]) == (300, 200)
    assert (counts["sts/train.tsv"], counts["sts/dev.tsv"], counts["sts/test.tsv"]) == (200, 300, 300)


def test_no_held_out_sentence_is_in_any_other_file(text):
    folder, counts = text
    held_out = [name for name in counts if name.startswith("corpus-heldout") or "/dev." in name or "/test." in name]
    assert len(held_out) == 13
    for name in held_out:
        mine = sentences_of(folder / name)
        assert all(mine.isdisjoint(sentences_of(folder / other)) for other in counts if other != name)


def test_no_row_is_written_twice(text):
    folder, counts = text
    for name in counts:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_scores_are_plain_numbers_over_the_whole_range(text, split):
    header, rows = table(text[0] / "sts" / f"{split}.tsv")
    assert header == ["score", "sentence1", "sentence2"]
    assert all(len(row) == 3 and len(row[0].partition(".")[2]) == 3 for row in rows)
    scores = [float(row[0]) for row in rows]
    assert min(scores) >= 0
    assert max(scores) == 5
    assert all(any(low <= score < low + 1 for score in scores) for low in range(5))
    assert len(set(scores)) > 80


@pytest.mark.parametrize("split", ["train", "dev"])
def test_triplets_have_their_three_keys(text, split):
    lines = (text[0] / "nli" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(list(json.loads(line)) == ["anchor", "positive", "negative"] for line in lines)
    assert any("İ" in line for line in lines)


@pytest.mark.parametrize("code", OTHER_LANGUAGES)
def test_translations_name_their_languages(text, code):
    header, rows = table(text[0] / "parallel" / f"{code}-tr.tsv")
    assert header == [code, "tr"]
    assert all(len(row) == 2 and row[0] != row[1] for row in rows)


def test_another_seed_gives_other_text(text, tmp_path):
    write_sandbox_text(tmp_path, seed=2, **SIZES)
    for name in ("corpus/tr.txt", "sts/test.tsv", "nli/train.jsonl"):
        assert (tmp_path / name).read_bytes() != (text[0] / name).read_bytes()


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed(text, tmp_path):
    code = (
        "from pathlib import Path; from hf_turkembed.sandbox.text import write_sandbox_text; "
        f"write_sandbox_text(Path({str(tmp_path)!r}), seed=1, **{SIZES!r})"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert digests(tmp_path) == digests(text[0])


@pytest.mark.parametrize("name", ["sentences", "triplets", "pairs"])
def test_a_count_that_leaves_a_file_empty_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"`{name}`=0"):
        write_sandbox_text(tmp_path, seed=1, **{**SIZES, name: 0})
    assert not any(tmp_path.iterdir())


def test_more_text_than_the_grammar_has_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"corpus/fr\.txt got \d+ different rows, expected 11111"):
        write_sandbox_text(tmp_path, seed=1, sentences=200_000, triplets=1, pairs=1)
