"""Filling the store: the teacher's vectors, cut texts, damaged shards, and any number of processes."""

import resource
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from samples import MODEL_TYPES, TEXTS
from sentence_transformers import SentenceTransformer
from stores import CORPUS, embed, encoder

from hf_turkembed.corpus import TextRow, list_shards, plan_shards
from hf_turkembed.distillation import check_checksums, check_vectors, compile_network, embed_corpus, embedding
from hf_turkembed.distillation.vectors import vectors_of


def read(folder, name="embedding", pattern="*/*.parquet"):
    tables = [pq.read_table(file) for file in sorted((folder / "data").glob(pattern))]
    texts = [text for table in tables for text in table.column("text").to_pylist()]
    return texts, np.concatenate([vectors_of(table, name) for table in tables]).astype(np.float32)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("prompt", [None, "STS"])
def test_embeddings_are_those_of_sentence_transformers(encoders, model_type, prompt):
    folder = encoders(model_type)
    texts = [*TEXTS, "kedi " * 100, "", "a"]
    found = encoder(folder, batch_tokens=150, prompt=prompt).embed(texts)
    model = SentenceTransformer(str(folder), device="cpu")
    expected = model.encode(texts, prompt_name=prompt, normalize_embeddings=True)
    # A text that is cut ends behind a whole token here and anywhere there.
    same = [place for place, text in enumerate(texts) if found.texts[place] == text]
    assert len(same) == len(texts) - 1
    np.testing.assert_allclose(found.vectors["embedding"][same], expected[same], atol=2e-6)
    assert found.tokens[0] == len(model.tokenizer((model.prompts[prompt] if prompt else "") + texts[0])["input_ids"])


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["gemma3_text", "gte", "bert"])
def test_a_compiled_network_gives_the_same_embeddings_for_batches_of_any_shape(encoders, model_type):
    plain, compiled = (encoder(encoders(model_type), batch_tokens=64) for _ in range(2))
    compile_network(compiled.model)
    texts = [text * times for times in (1, 2, 3) for text in TEXTS]
    torch._dynamo.utils.counters.clear()
    for part in (texts, texts[:1], texts[3:7]):
        np.testing.assert_allclose(
            compiled.embed(part).vectors["embedding"], plain.embed(part).vectors["embedding"], atol=1e-5
        )
    assert 0 < torch._dynamo.utils.counters["stats"]["unique_graphs"] < 8


def test_what_the_heads_are_given_comes_from_the_same_pass(gemma, vectors):
    texts, stored = read(vectors, "pre_dense")
    model = SentenceTransformer(str(gemma), device="cpu")
    pooled = SentenceTransformer(modules=list(model)[:2], device="cpu").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(stored, pooled, atol=1e-3)


def test_a_text_beyond_the_window_is_cut_behind_a_token_for_teacher_and_student(gemma, tmp_path):
    corpus = {"tr": ["kısa", *(f"{word} " * 90 for word in ("İstanbul", "日本語", "ev🙂"))]}
    embed(gemma, tmp_path, corpus, validation_rows=0)
    texts, stored = read(tmp_path)
    model = SentenceTransformer(str(gemma), device="cpu")
    assert texts[0] == "kısa" and all(whole.startswith(cut) for whole, cut in zip(corpus["tr"], texts, strict=True))
    tokens = [len(model.tokenizer(text, truncation=False)["input_ids"]) for text in texts]
    assert all(55 < number <= 64 for number in tokens[1:])
    assert pq.read_table(next(tmp_path.rglob("*.parquet"))).column("tokens").to_pylist() == tokens
    np.testing.assert_allclose(stored, model.encode(texts, normalize_embeddings=True), atol=1e-3)


def test_vectors_of_a_bfloat16_teacher_are_stored_with_unit_norm(gemma, tmp_path):
    embed(gemma, tmp_path, settings={"dtype": "bfloat16"})
    _, stored = read(tmp_path)
    assert np.abs(np.linalg.norm(stored.astype(np.float64), axis=1) - 1).max() < 5e-4


def test_of_parallel_text_the_vector_is_that_of_the_other_side(gemma, tmp_path):
    rows = {"tr": [TextRow("kedi uyuyor", "a cat sleeps"), TextRow("ılık su"), TextRow("ev", "house " * 90)]}
    teacher = encoder(gemma)
    embed_corpus(teacher, plan_shards(rows, 2), tmp_path, parallel=True)
    texts, stored = read(tmp_path)
    tables = [pq.read_table(tmp_path / file) for file in list_shards(tmp_path)]
    others = [text for table in tables for text in table["teacher_text"].to_pylist()]
    assert texts == ["kedi uyuyor", "ılık su", "ev"] and others[:2] == ["a cat sleeps", None]
    assert others[2].startswith("house") and len(others[2]) < 540
    expected = SentenceTransformer(str(gemma), device="cpu").encode(
        ["a cat sleeps", "ılık su", others[2]], normalize_embeddings=True
    )
    np.testing.assert_allclose(stored, expected, atol=1e-3)
    assert check_vectors(teacher, tmp_path, rows=3, seed=0)["lowest_cosine"] > 0.999


def test_processes_share_the_shards_and_write_what_one_would(gemma, vectors, tmp_path):
    for rank in (1, 0):
        embed(gemma, tmp_path, settings={"pre_dense": True}, rank=rank, num_processes=2)
    assert list_shards(vectors) == list_shards(tmp_path)
    assert all((tmp_path / file).read_bytes() == (vectors / file).read_bytes() for file in list_shards(vectors))


def test_only_shards_that_are_not_whole_are_made_again_with_the_same_bytes(gemma, vectors, tmp_path, monkeypatch):
    folder = tmp_path / "store"
    shutil.copytree(vectors, folder)
    cut, flipped, missing, *_ = (folder / file for file in list_shards(vectors))
    cut.write_bytes(cut.read_bytes()[:100])
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    missing.unlink()
    made = []
    real = embedding.write_shard
    monkeypatch.setattr(
        embedding, "write_shard", lambda *arguments: (made.append(arguments[1].path(folder)), real(*arguments))
    )
    embed(gemma, folder, settings={"pre_dense": True})
    assert sorted(made) == sorted([cut, flipped, missing])
    assert all((folder / file).read_bytes() == (vectors / file).read_bytes() for file in list_shards(vectors))


def test_a_shard_that_changed_after_it_was_written_is_found_before_the_store_is_finished(gemma, tmp_path):
    embed(gemma, tmp_path)
    check_checksums(tmp_path)
    damaged = tmp_path / list_shards(tmp_path)[1]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    with pytest.raises(ValueError, match=f"{damaged.name} is not as it was written; run the step again"):
        check_checksums(tmp_path)
    embed(gemma, tmp_path)
    assert damaged.read_bytes() == whole
    check_checksums(tmp_path)


def test_a_full_disk_loses_no_more_than_the_shard_in_flight(gemma, vectors, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            embed(gemma, tmp_path, settings={"pre_dense": True})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    embed(gemma, tmp_path, settings={"pre_dense": True})
    assert all((tmp_path / file).read_bytes() == (vectors / file).read_bytes() for file in list_shards(vectors))


def test_stored_vectors_are_compared_with_the_teacher(gemma, vectors, tmp_path):
    found = check_vectors(encoder(gemma), vectors, rows=100, seed=0)
    assert found["rows"] == 34 and found["lowest_cosine"] > 0.9999
    shutil.copytree(vectors, tmp_path / "store")
    other = encoder(gemma, prompt="STS")
    with pytest.raises(ValueError, match=r"has a cosine of .* with the teacher's; remove the folder"):
        check_vectors(other, tmp_path / "store", rows=100, seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": "sts"}, r"no prompt 'sts'; it has .*STS"),
        ({"max_length": 65}, r"`max_length` is 65, but the model reads 64 tokens; lower it, or set `extend_window"),
        ({"max_length": 2}, r"`max_length` is 2: no room for text"),
    ],
)
def test_settings_that_the_teacher_cannot_meet_are_refused(gemma, settings, message):
    with pytest.raises(ValueError, match=message):
        encoder(gemma, **settings).embed(CORPUS["en"])


def test_a_window_is_extended_where_that_is_asked_for(gemma):
    found = encoder(gemma, max_length=128, extend_window=True).embed(["kedi " * 100])
    assert 120 < found.tokens[0] <= 128


def test_heads_that_are_not_there_are_not_waited_for(encoders):
    with pytest.raises(ValueError, match="`pre_dense` asks for what dense heads are given, but the model is"):
        encoder(encoders("bert"), pre_dense=True)
