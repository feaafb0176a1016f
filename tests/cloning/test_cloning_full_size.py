"""EmbeddingGemma's real size, with random weights and the real vocabulary."""

import importlib.util

import pytest
import torch
from samples import ROOT, TEXTS
from sentence_transformers import SentenceTransformer

from hf_turkembed.cloning import clone_model

pytestmark = [pytest.mark.real, pytest.mark.slow]
WIDTHS = (768, 512, 256, 128)


@pytest.fixture(scope="module")
def benchmark():
    """The script that makes models of this size."""
    spec = importlib.util.spec_from_file_location("benchmark", ROOT / "recipes/benchmarks/clone.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def teacher(benchmark, shared_data, tmp_path_factory):
    """A model of EmbeddingGemma-300m's shape."""
    folder = tmp_path_factory.mktemp("teacher")
    benchmark.write_teacher(folder, shared_data / "teacher", layers=24)
    return folder


def load(folder, dtype):
    return SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": dtype})


def test_the_clone_has_the_parameters_of_embeddingmagibu_200m(benchmark, teacher, shared_data, tmp_path):
    tokenizer, student = tmp_path / "tokenizer", tmp_path / "student"
    benchmark.cut_tokenizer(shared_data / "teacher", tokenizer, 131_072)
    student.mkdir()
    report = clone_model(teacher, tokenizer, student, matryoshka_dims=WIDTHS, max_length=8192, yarn=True, seed=0)
    assert (report.teacher_parameters, report.parameters) == (307_581_696, 206_918_400)
    model = load(student, torch.bfloat16)
    embeddings = model.encode([*TEXTS, "kedi " * 3000], convert_to_tensor=True, batch_size=1).float()
    assert model.max_seq_length == 8192 and embeddings.shape == (len(TEXTS) + 1, 768)
    assert torch.isfinite(embeddings).all()


def test_a_window_of_8192_tokens_leaves_texts_of_2048_alone_and_reads_longer_ones_to_their_end(teacher, tmp_path):
    clone_model(teacher, teacher, tmp_path, matryoshka_dims=WIDTHS, max_length=8192, seed=0)
    model, before = load(tmp_path, torch.float32), load(teacher, torch.float32)
    before.max_seq_length = 2048
    text = "kedi koltukta uyuyor " * 800
    ids = model.tokenizer(text)["input_ids"]
    shared, longer = (model.tokenizer.decode(ids[1:end]) for end in (2000, 2200))
    other = longer[: len(longer) - 100] + " otobüs İstanbul'dan geldi" * 4
    assert max(len(model.tokenizer(shared)["input_ids"]), 2048) == 2048
    after = model.encode([shared, longer, other], convert_to_tensor=True, batch_size=1)
    old = before.encode([shared, longer, other], convert_to_tensor=True, batch_size=1)
    torch.testing.assert_close(after[0], old[0], atol=1e-5, rtol=0)
    # The teacher stops before the two texts part, the student does not.
    torch.testing.assert_close(old[1], old[2], atol=1e-5, rtol=0)
    assert (after[1] - after[2]).abs().max() > 1e-4
