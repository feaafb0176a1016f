"""The store of vectors: shards that are whole or not there, readable by others."""

import json

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

from hf_turkembed.corpus import Shard, TextRow, list_shards, plan_shards
from hf_turkembed.distillation import vectors
from hf_turkembed.distillation.vectors import is_whole_shard, make_table, write_shard
from hf_turkembed.step import remove_scratch

TEXTS = ["ılık", "İstanbul'da", "kedi"]


def shard_of(texts, index=0, language="tr"):
    return Shard(language=language, split="train", index=index, rows=tuple(map(TextRow, texts)))


def unit(rows, dim=8):
    values = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def table_of(shard, values=None, texts=None):
    own = texts or [row.text for row in shard.rows]
    return make_table(shard, own, None, [3] * len(own), {"embedding": unit(len(own)) if values is None else values})


def write(folder, shard, **contents):
    write_shard(folder, shard, table_of(shard, **contents))
    return shard.path(folder)


def is_whole(folder, texts=TEXTS):
    return is_whole_shard(folder, shard_of(texts))


@pytest.fixture
def stored(tmp_path):
    return write(tmp_path, shard_of(TEXTS))


def test_a_shard_holds_text_language_tokens_and_float16_vectors_of_fixed_width(stored):
    table = pq.read_table(stored)
    assert table.column_names == ["text", "language", "tokens", "embedding"]
    assert table.schema.field("embedding").type == pa.list_(pa.float16(), 8)
    np.testing.assert_allclose(vectors.vectors_of(table), unit(3), atol=1e-3)
    assert table.column("text").to_pylist() == TEXTS and table.column("tokens").to_pylist() == [3, 3, 3]


def test_datasets_reads_a_language_and_its_splits(tmp_path):
    for shard in plan_shards({"tr": map(TextRow, TEXTS)}, 2, validation_rows=1):
        write(tmp_path, shard)
    files = {split: str(tmp_path / f"data/tr/{split}-*.parquet") for split in ("train", "validation")}
    read = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert read["train"]["text"][:] == TEXTS[1:] and read["validation"]["text"][:] == TEXTS[:1]
    assert read["train"].features["embedding"].length == 8
    streamed = load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert [row["text"] for row in streamed] == TEXTS[1:]


def test_other_readers_of_parquet_read_it(stored):
    frame, relation = polars.read_parquet(stored), duckdb.read_parquet(str(stored))
    assert frame["text"].to_list() == relation.fetchnumpy()["text"].tolist() == TEXTS
    np.testing.assert_allclose(frame["embedding"].to_numpy(), unit(3), atol=1e-3)


def test_the_same_rows_give_the_same_bytes(stored, tmp_path):
    assert write(tmp_path / "again", shard_of(TEXTS)).read_bytes() == stored.read_bytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 2.0])
def test_a_vector_that_is_not_of_unit_norm_is_refused_and_nothing_is_written(tmp_path, bad):
    values = unit(3)
    values[1] = bad
    with pytest.raises(ValueError, match=r"İstanbul'da.*expected 1; nothing was written"):
        write(tmp_path, shard_of(TEXTS), values=values)
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.rglob("*.tmp"))


def test_a_whole_shard_is_recognised(stored, tmp_path):
    assert is_whole(tmp_path)
    assert not is_whole_shard(tmp_path, shard_of(TEXTS, index=1))


def test_other_rows_and_a_cut_off_file_are_recognised(stored, tmp_path):
    assert not is_whole(tmp_path, [*TEXTS[:2], "başka"])
    whole = stored.read_bytes()
    for size in (0, 4, len(whole) // 2, len(whole) - 1):
        stored.write_bytes(whole[:size])
        assert not is_whole(tmp_path)


def test_any_single_flipped_bit_is_recognised_in_the_shard_and_in_its_checksum(stored, tmp_path):
    checksum = next((tmp_path / "checksums").rglob("*.json"))
    for file in (stored, checksum):
        whole = file.read_bytes()
        for place in range(len(whole)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            assert not is_whole(tmp_path), (file.name, place)
        file.write_bytes(whole)
    assert is_whole(tmp_path)


def test_a_shard_without_its_checksum_is_not_whole(stored, tmp_path):
    remove_scratch(tmp_path, vectors.SCRATCH)
    assert not is_whole(tmp_path) and list_shards(tmp_path) == ("data/tr/train-00000.parquet",)


def test_rows_tokens_and_padding_are_counted(stored, tmp_path):
    write(tmp_path, shard_of(TEXTS[:2], language="en"))
    write(tmp_path, Shard(language="en", split="validation", index=0, rows=(TextRow("x"),)))
    counts = vectors.count_rows(tmp_path, batch_tokens=64)
    assert json.loads(json.dumps(counts)) == {
        "rows": 6,
        "shards": 3,
        "tokens": 18,
        "padding_share": 0.0,
        "embedding_dim": 8,
        "pre_dense_dim": None,
        "columns": ["text", "language", "tokens", "embedding"],
        "splits": {"train": {"en": 2, "tr": 3}, "validation": {"en": 1}},
        "languages": {"en": 3, "tr": 3},
    }


def test_an_empty_store_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="`embed` step first"):
        vectors.count_rows(tmp_path, batch_tokens=64)


@given(
    st.dictionaries(st.sampled_from(["tr", "en", "de"]), st.lists(st.text(), max_size=12)),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_shards_hold_every_row_once_in_order_in_splits_of_the_right_size(texts, size, validation_rows, test_rows):
    rows = {language: list(map(TextRow, lines)) for language, lines in texts.items()}
    shards = list(plan_shards(rows, size, validation_rows=validation_rows, test_rows=test_rows))
    for language, expected in rows.items():
        own = [shard for shard in shards if shard.language == language]
        assert [row for shard in own for row in shard.rows] == expected
        assert all(0 < len(shard.rows) <= size for shard in own)
        held_out = {"validation": validation_rows, "test": test_rows}
        for split, wanted in held_out.items():
            assert sum(len(shard.rows) for shard in own if shard.split == split) <= wanted
        if len(expected) > validation_rows + test_rows:
            assert sum(len(shard.rows) for shard in own if shard.split != "train") == validation_rows + test_rows
        for split in ("validation", "test", "train"):
            indexes = [shard.index for shard in own if shard.split == split]
            assert indexes == list(range(len(indexes)))
