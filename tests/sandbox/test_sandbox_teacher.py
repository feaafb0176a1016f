"""The sandbox's teacher: trained in earnest, on little text and for few steps."""

import hashlib
import json
import random

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer

from hf_turkembed.sandbox.teacher import MATRYOSHKA_DIMS, PROMPTS, train_sandbox_teacher
from hf_turkembed.sandbox.text import write_sandbox_text


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    write_sandbox_text(folder, seed=1, sentences=2000, triplets=800, pairs=600)
    return folder


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    return folder, train_sandbox_teacher(text, folder, seed=1, steps=80)


def scored_pairs(text, split):
    rows = [line.split("\t") for line in (text / "sts" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    return [float(row[0]) for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def spearman(model, text, dim):
    scores, first, second = scored_pairs(text, "test")
    how = {"truncate_dim": dim, "normalize_embeddings": True, "show_progress_bar": False}
    return spearmanr((model.encode(first, **how) * model.encode(second, **how)).sum(axis=1), scores)[0]


@pytest.mark.parametrize("dim", MATRYOSHKA_DIMS)
def test_the_teacher_orders_unseen_pairs_at_every_width(text, trained, dim):
    assert spearman(SentenceTransformer(str(trained[0]), device="cpu"), text, dim) > 0.7


def test_training_beats_the_first_steps(text, trained, tmp_path):
    few = train_sandbox_teacher(text, tmp_path, seed=1, steps=2)
    assert trained[1]["loss"] < 0.7 * few["loss"]
    assert spearman(SentenceTransformer(str(trained[0]), device="cpu"), text, 128) > spearman(
        SentenceTransformer(str(tmp_path), device="cpu"), text, 128
    )


def test_translations_lie_nearest_to_each_other(text, trained):
    lines = (text / "parallel" / "en-tr.tsv").read_text(encoding="utf-8").splitlines()[1:101]
    english, turkish = zip(*(line.split("\t") for line in lines), strict=True)
    model = SentenceTransformer(str(trained[0]), device="cpu")
    likeness = (
        model.encode(list(english), show_progress_bar=False) @ model.encode(list(turkish), show_progress_bar=False).T
    )
    assert (likeness.argmax(axis=1) == np.arange(100)).mean() > 0.5


def test_the_report_counts_what_was_saved(trained):
    folder, report = trained
    model = SentenceTransformer(str(folder), device="cpu")
    assert report["vocabulary"] == len(model.tokenizer) == model[0].model.config.vocab_size
    assert report["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert report["steps"] == 80


def test_the_layout_is_that_of_the_real_teacher(trained, shared_data):
    folder, real = trained[0], shared_data / "teacher"
    for name in ("modules.json", "1_Pooling/config.json", "4_Normalize/config.json", "sentence_bert_config.json"):
        assert json.loads((folder / name).read_text()) == json.loads((real / name).read_text())
    mine, theirs = (json.loads((path / "config.json").read_text()) for path in (folder, real))
    sizes = {"intermediate_size", "vocab_size", "dtype"}
    assert {key: mine[key] for key in mine.keys() - sizes} == {key: theirs[key] for key in theirs.keys() - sizes}
    assert mine["dtype"] == "float32"
    prompts = json.loads((real / "config_sentence_transformers.json").read_text())["prompts"]
    assert prompts == PROMPTS == json.loads((folder / "config_sentence_transformers.json").read_text())["prompts"]


def test_embeddings_have_unit_norm_and_do_not_depend_on_padding(trained):
    model = SentenceTransformer(str(trained[0]), device="cpu")
    sentences = ["Kedi uyuyor.", "Geçen hafta neşeli çocuklar İstanbul'da Ayşe'nin kırmızı arabasını yıkadılar."]
    together = model.encode(sentences, prompt_name="STS", show_progress_bar=False)
    alone = np.concatenate([model.encode([s], prompt_name="STS", show_progress_bar=False) for s in sentences])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before(text, tmp_path):
    train_sandbox_teacher(text, tmp_path / "one", seed=3, steps=11)
    torch.manual_seed(99)
    random.seed(99)
    train_sandbox_teacher(text, tmp_path / "two", seed=3, steps=11)
    train_sandbox_teacher(text, tmp_path / "other", seed=4, steps=11)
    one, two, other = (digests(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one.keys() == other.keys()
    assert one["model.safetensors"] != other["model.safetensors"]
    assert one["tokenizer.json"] == other["tokenizer.json"]


def test_training_leaves_threads_and_random_numbers_alone(text, tmp_path):
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    train_sandbox_teacher(text, tmp_path, seed=3, steps=2)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_too_few_steps_are_refused(text, tmp_path):
    with pytest.raises(ValueError, match="`steps`=1 leaves a stage"):
        train_sandbox_teacher(text, tmp_path, seed=1, steps=1)


def test_a_folder_without_text_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="write the sandbox's text there first"):
        train_sandbox_teacher(tmp_path, tmp_path / "teacher", seed=1)
