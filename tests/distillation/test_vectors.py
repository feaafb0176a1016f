"""The store of vectors: shards that are whole or not there, readable by others."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

from hf_turkembed.distillation import vectors
from hf_turkembed.distillation.vectors import is_whole_shard, plan_shards, shard_path, write_shard

TEXTS = ["ılık", "İstanbul'da", "kedi"]


def unit(rows, dim=8):
    values = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.fixture
def shard(tmp_path):
    path = shard_path(tmp_path, "tr", 0)
    write_shard(path, "tr", TEXTS, unit(3))
    return path


def test_a_shard_holds_text_language_and_float16_vectors_of_fixed_width(shard):
    table = pq.read_table(shard)
    assert table.column_names == ["text", "language", "embedding"]
    assert str(table.schema.field("embedding").type) in ("fixed_size_list<element: halffloat>[8]",) or (
        table.schema.field("embedding").type.list_size == 8
    )
    np.testing.assert_allclose(vectors.embeddings_of(table), unit(3), atol=1e-3)
    assert table.column("text").to_pylist() == TEXTS


def test_datasets_reads_a_language(shard, tmp_path):
    read = load_dataset("parquet", data_files=str(shard), cache_dir=str(tmp_path / "cache"), split="train")
    assert read["text"][:] == TEXTS and read.features["embedding"].length == 8


def test_the_same_rows_give_the_same_bytes(shard, tmp_path):
    again = shard_path(tmp_path / "again", "tr", 0)
    write_shard(again, "tr", TEXTS, unit(3))
    assert again.read_bytes() == shard.read_bytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 2.0])
def test_a_vector_that_is_not_of_unit_norm_is_refused_and_nothing_is_written(tmp_path, bad):
    values = unit(3)
    values[1] = bad
    with pytest.raises(ValueError, match=r"İstanbul'da.*expected 1; nothing was written"):
        write_shard(shard_path(tmp_path, "tr", 0), "tr", TEXTS, values)
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.rglob("*.tmp"))


def test_a_whole_shard_is_recognised(shard):
    assert is_whole_shard(shard, TEXTS)
    assert not is_whole_shard(shard.with_name("train-00001.parquet"), TEXTS)


def test_other_texts_a_cut_off_file_and_flipped_bits_are_recognised(shard):
    assert not is_whole_shard(shard, [*TEXTS[:2], "başka"])
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    assert not is_whole_shard(shard, TEXTS)
    shard.write_bytes(whole[:40] + bytes(byte ^ 0xFF for byte in whole[40:60]) + whole[60:])
    assert not is_whole_shard(shard, TEXTS)


def test_rows_are_counted_from_the_footers(shard, tmp_path):
    write_shard(shard_path(tmp_path, "en", 0), "en", TEXTS[:2], unit(2))
    assert vectors.count_rows(tmp_path) == {
        "rows": 5,
        "shards": 2,
        "embedding_dim": 8,
        "languages": {"en": 2, "tr": 3},
    }


def test_an_empty_store_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the `embed` step first"):
        vectors.count_rows(tmp_path)


@given(st.dictionaries(st.sampled_from(["tr", "en", "de"]), st.lists(st.text(), max_size=9)), st.integers(1, 4))
def test_shards_hold_every_text_once_in_order_and_no_more_than_their_size(texts, size):
    shards = list(plan_shards(texts, size))
    for language, rows in texts.items():
        own = [shard for shard in shards if shard[0] == language]
        assert [text for _, _, part in own for text in part] == rows
        assert [index for _, index, _ in own] == list(range(len(own)))
        assert all(0 < len(part) <= size for _, _, part in own)
