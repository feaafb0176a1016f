"""Distillation: the loss, what training reaches, and going on where a run was cut off."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer

from hf_turkembed.distillation import (
    Schedule,
    distill,
    embed_corpus,
    embedding,
    read_vectors,
    remove_checkpoints,
    training,
)
from hf_turkembed.distillation.training import matryoshka_cosine_loss

SCHEDULE = Schedule(
    epochs=2,
    batch_size=8,
    learning_rate=1e-2,
    embedding_learning_rate=1e-2,
    warmup_ratio=0.1,
    weight_decay=0.0,
    max_grad_norm=1.0,
    checkpoint_steps=3,
)
CORPUS = {"tr": [f"{text} {number}" for number in range(5) for text in TEXTS], "en": list(TEXTS)}


def embed(teacher, folder, **settings):
    model = SentenceTransformer(str(teacher), device="cpu")
    arguments = {"shard_rows": 7, "batch_size": 4, "prompt": None, "rank": 0, "num_processes": 1, **settings}
    embed_corpus(model, CORPUS, folder, **arguments)


@pytest.fixture(scope="module")
def vectors(gemma, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    embed(gemma, folder)
    return folder


@pytest.fixture
def student(gemma):
    model = SentenceTransformer(str(gemma), device="cpu")
    torch.manual_seed(1)
    with torch.no_grad():
        table = model[0].model.get_input_embeddings().weight
        table += 0.02 * torch.randn_like(table)
    return model


def run(student, vectors, folder, schedule=SCHEDULE, dims=MATRYOSHKA_DIMS):
    folder.mkdir(exist_ok=True)
    return distill(
        student, read_vectors(vectors), Accelerator(cpu=True), folder, schedule=schedule, matryoshka_dims=dims, seed=5
    )


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_loss_is_the_mean_over_widths_of_one_minus_cosine():
    teacher = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    student = torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    cosine = 1 - 2**-0.5
    assert matryoshka_cosine_loss(student, teacher, (3,)) == pytest.approx(cosine)
    # At width 1 the second target is the zero vector, whose cosine with anything is zero.
    assert matryoshka_cosine_loss(student, teacher, (3, 1)) == pytest.approx((cosine + 1) / 2)


def test_vectors_are_those_of_the_teacher(gemma, vectors):
    rows = read_vectors(vectors)
    expected = SentenceTransformer(str(gemma), device="cpu").encode(rows["text"][:], normalize_embeddings=True)
    np.testing.assert_allclose(np.asarray(rows["embedding"][:]), expected, atol=1e-3)
    assert len(rows) == sum(map(len, CORPUS.values()))


def test_vectors_of_a_bfloat16_teacher_are_stored_with_unit_norm(gemma, tmp_path):
    model = SentenceTransformer(str(gemma), device="cpu", model_kwargs={"dtype": "bfloat16"})
    raw = np.linalg.norm(model.encode(list(TEXTS)).astype(np.float64), axis=1)
    assert np.abs(raw - 1).max() > 5e-4
    embed_corpus(model, {"tr": TEXTS}, tmp_path, shard_rows=9, batch_size=2, prompt=None, rank=0, num_processes=1)
    stored = np.asarray(read_vectors(tmp_path)["embedding"][:], dtype=np.float64)
    assert np.abs(np.linalg.norm(stored, axis=1) - 1).max() < 5e-4


def test_processes_share_the_shards_and_write_what_one_would(gemma, vectors, tmp_path):
    for rank in (1, 0):
        embed(gemma, tmp_path, rank=rank, num_processes=2)
    files = sorted(path.relative_to(vectors) for path in vectors.rglob("*.parquet"))
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet"))
    assert all((tmp_path / file).read_bytes() == (vectors / file).read_bytes() for file in files)


def test_only_shards_that_are_not_whole_are_written_again(gemma, vectors, tmp_path, monkeypatch):
    folder = tmp_path / "store"
    shutil.copytree(vectors, folder)
    damaged, missing, *_ = sorted(folder.rglob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    missing.unlink()
    written = []
    monkeypatch.setattr(
        embedding, "write_shard", lambda path, *rest: (written.append(path), training.shard_files(vectors))[0]
    )
    embed(gemma, folder)
    assert sorted(written) == sorted([damaged, missing])


def test_a_prompt_the_teacher_does_not_have_is_refused(gemma, tmp_path):
    with pytest.raises(ValueError, match=r"no prompt 'sts'; it has .*STS"):
        embed(gemma, tmp_path, prompt="sts")


def test_training_moves_the_student_towards_the_teacher(student, vectors, tmp_path):
    before = run_loss(student, vectors)
    report = run(student, vectors, tmp_path / "run", replace(SCHEDULE, epochs=10, checkpoint_steps=1000))
    assert run_loss(student, vectors) < before / 2
    assert report.rows == 36 and report.steps == 50 and report.matryoshka_dims == MATRYOSHKA_DIMS


def run_loss(student, vectors):
    rows = read_vectors(vectors)
    embeddings = torch.tensor(student.encode(rows["text"][:]))
    return matryoshka_cosine_loss(embeddings, torch.tensor(rows["embedding"][:]), MATRYOSHKA_DIMS) / len(rows)


class CutOff(Exception):
    pass


def test_a_run_that_was_cut_off_ends_with_the_weights_of_one_that_was_not(gemma, vectors, tmp_path, monkeypatch):
    undisturbed = SentenceTransformer(str(gemma), device="cpu")
    reference = run(undisturbed, vectors, tmp_path / "undisturbed")

    cut = SentenceTransformer(str(gemma), device="cpu")
    steps = []
    real = training._backward

    def stop_at_eight(*arguments):
        steps.append(1)
        if len(steps) == 8:
            raise CutOff
        return real(*arguments)

    monkeypatch.setattr(training, "_backward", stop_at_eight)
    with pytest.raises(CutOff):
        run(cut, vectors, tmp_path / "cut")
    monkeypatch.setattr(training, "_backward", real)
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["checkpoint-6"]

    again = SentenceTransformer(str(gemma), device="cpu")
    report = run(again, vectors, tmp_path / "cut")
    assert all(torch.equal(value, weights(undisturbed)[name]) for name, value in weights(again).items())
    assert report.final_loss == reference.final_loss


def test_the_end_of_training_is_kept_until_the_model_is_saved(student, vectors, tmp_path):
    run(student, vectors, tmp_path / "run")
    trained = weights(student)
    again = SentenceTransformer(str(student[0].model.name_or_path), device="cpu")
    run(again, vectors, tmp_path / "run")
    assert all(torch.equal(value, trained[name]) for name, value in weights(again).items())
    remove_checkpoints(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_widths_of_vectors_student_and_loss_have_to_agree(student, vectors, tmp_path):
    with pytest.raises(ValueError, match=r"32 dimensions, the student 32, `matryoshka_dims` begins with 16"):
        run(student, vectors, tmp_path / "run", dims=(16, 8))
