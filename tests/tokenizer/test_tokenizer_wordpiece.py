"""Pruning a WordPiece: any token may go, no character does in either of its forms."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from adapting import adapt
from hypothesis import given, settings
from hypothesis import strategies as st
from mergeless import FOREIGN, build_wordpiece, segment_lines, write
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

from hf_turkembed.tokenizer import build_tokenizer, find_sole_characters, find_unreachable, order_by_cost, read_source
from hf_turkembed.tokenizer.selecting import spell_longest_first


def build(root, corpus, lowercase):
    """Write a source in the form of BERT that knows words of one more language than the corpus."""
    lines = [line for lines in corpus.values() for line in lines]
    spec = build_wordpiece([*lines, *FOREIGN * 40, "日本 – ev İnşa çok iyi"], 700, lowercase)
    return write(root, spec, {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase, "model_max_length": 77})


@pytest.fixture(scope="module")
def folder(tmp_path_factory, corpus):
    """Write a source that keeps capitals."""
    return build(tmp_path_factory.mktemp("wordpiece"), corpus, lowercase=False)


@pytest.fixture(scope="module")
def uncased_folder(tmp_path_factory, corpus):
    """Write a source that turns everything to lower case and strips accents."""
    return build(tmp_path_factory.mktemp("uncased"), corpus, lowercase=True)


@pytest.fixture(scope="module")
def wordpiece(folder):
    """Take the source apart."""
    return read_source(folder)


@pytest.mark.parametrize("vocab_size", [250, 300, 500, 650])
@pytest.mark.parametrize("name", ["folder", "uncased_folder"])
def test_the_size_is_exact_and_every_token_is_reachable(request, corpus, known_heldout, tmp_path, vocab_size, name):
    source = read_source(request.getfixturevalue(name))
    report = adapt(request.getfixturevalue(name), corpus, known_heldout, tmp_path / "out", vocab_size)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == report.final_size == report.kept == vocab_size
    assert (report.new, report.dropped) == (0, len(source.pieces) - vocab_size)
    assert report.unreachable_in_source == tuple(f"[unused{number}]" for number in range(9))
    assert find_unreachable(tokenizer, source.pinned) == []
    assert all(row.after.unknown_share <= row.before.unknown_share for row in report.fertility)


def test_text_is_cut_as_before_when_only_unused_tokens_went(folder, wordpiece, corpus, known_heldout, tmp_path):
    used = {token for tokens in segment_lines(wordpiece.tokenizer, corpus) for token in tokens}
    words = {piece for piece in wordpiece.pieces if len(piece.removeprefix("##")) > 1} - wordpiece.pinned
    assert words - used
    adapt(folder, corpus, known_heldout, tmp_path / "out", len(wordpiece.pieces) - len(words - used))
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert words & tokenizer.get_vocab().keys() == words & used
    assert segment_lines(tokenizer, corpus) == segment_lines(wordpiece.tokenizer, corpus)


def test_special_tokens_and_text_types_keep_their_meaning(folder, corpus, known_heldout, tmp_path):
    adapt(folder, corpus, known_heldout, tmp_path / "out", 300)
    source, loaded = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(tmp_path / "out")
    assert loaded.convert_tokens_to_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) == [0, 1, 2, 3, 4]
    assert loaded.model_max_length == 77
    found, expected = loaded("ev [MASK]", "yol"), source("ev [MASK]", "yol")
    assert found["token_type_ids"] == expected["token_type_ids"] == [0, 0, 0, 0, 1, 1]
    assert (
        loaded.decode(found["input_ids"]) == source.decode(expected["input_ids"]) == "[CLS] ev [MASK] [SEP] yol [SEP]"
    )


def test_both_forms_of_protected_characters_stay(folder, wordpiece, corpus, known_heldout, tmp_path):
    adapt(folder, {"tr": corpus["tr"]}, {"tr": known_heldout["tr"]}, tmp_path / "out", 200)
    kept = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).get_vocab()
    assert {"ç", "##ç", "ğ", "##ğ", "ı", "##ı", "##ü", "İ", "x", "##x", "–", "?", "7", "##7"} & set(
        wordpiece.pieces
    ) <= kept.keys()
    assert {"##ğ", "##ı", "İ", "x", "–"} <= kept.keys()
    assert not {"σ", "日", "##ι"} & kept.keys()


def test_a_character_lost_from_held_out_text_fails_the_build(folder, corpus, known_heldout, tmp_path):
    lines = {"tr": [*known_heldout["tr"], "日本"]}
    with pytest.raises(ValueError, match=r"more unknown characters than with the source: 1 found, such as \['日本'\]"):
        adapt(folder, {"tr": corpus["tr"]}, lines, tmp_path / "out", 200)


def test_a_token_that_nothing_else_spells_stays(tmp_path):
    pieces = ["[UNK]", "[CLS]", "a", "b", "##b", "ab", "##bb", "c", "cx", "zz"]
    source = read_source(write_wordpiece(tmp_path, pieces))
    masses = np.array([0, 0, 9, 9, 9, 9, 9, 9, 1, 0])
    protected = np.array([True] * 5 + [False] * 5)
    usable = np.ones(10, dtype=bool)
    sole = find_sole_characters(source, usable)
    assert sole == ["", "", "a", "b", "b", "", "", "c", "x", "zz"]
    removals = order_by_cost(source, masses, sole, protected, usable, 3)
    assert [pieces[index] for index in removals] == ["zz", "##bb", "ab"]
    with pytest.raises(ValueError, match="4 tokens must be dropped, but only 3 of 10 can be"):
        order_by_cost(source, masses, sole, protected, usable, 4)


@pytest.mark.parametrize("name", ["folder", "uncased_folder"])
def test_both_spellings_of_turkish_letters_come_out_as_from_the_source(request, corpus, known_heldout, tmp_path, name):
    folder = request.getfixturevalue(name)
    adapt(folder, corpus, known_heldout, tmp_path / "out", 300)
    tokenizer, source = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")), read_source(folder).tokenizer
    for text in ("İ ş ğ", "I\u0307 s\u0327 g\u0306", "IĞDIR ığdır"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == source.decode(source.encode(text).ids)


def test_the_same_input_gives_the_same_files(folder, corpus, known_heldout, tmp_path):
    adapt(folder, corpus, known_heldout, tmp_path / "one", 300)
    adapt(folder, {name: iter(corpus[name]) for name in reversed(corpus)}, known_heldout, tmp_path / "two", 300)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_file_that_does_not_name_its_model_is_read(folder, wordpiece, tmp_path):
    shutil.copytree(folder, tmp_path / "older")
    path = tmp_path / "older" / "tokenizer.json"
    spec = json.loads(path.read_text(encoding="utf-8"))
    del spec["model"]["type"]
    path.write_text(json.dumps(spec), encoding="utf-8")
    assert read_source(tmp_path / "older").pieces == wordpiece.pieces


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"new_tokens": 5},
            "`new_tokens`=5 found for a WordPiece source; adding tokens is supported for byte",
        ),
        ({"vocab_size": 60}, r"\d+ tokens must be dropped, but only \d+ of \d+ can be"),
        ({"vocab_size": 900}, "the source has only"),
    ],
)
def test_bad_requests_are_refused_and_write_nothing(folder, corpus, known_heldout, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        adapt(folder, corpus, known_heldout, tmp_path / "out", **{"vocab_size": 300, **changes})
    assert not (tmp_path / "out").exists()


def test_a_token_that_normalization_never_lets_through_is_unreachable():
    pieces = ["[UNK]", "a", "A", "##b", "##B", "##'", "ab", "##日", "日"]
    tokenizer = make_wordpiece(pieces)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    assert find_unreachable(tokenizer, {"[UNK]"}) == ["A", "##B", "##'", "##日"]


def test_a_continuing_token_is_reachable_behind_longer_beginnings():
    tokenizer = make_wordpiece(["[UNK]", "a", "aa", "ab", "##a", "##b"])
    assert find_unreachable(tokenizer, {"[UNK]"}) == []
    assert find_unreachable(make_wordpiece(["[UNK]", "##a"]), {"[UNK]"}) == ["##a"]


def test_a_string_is_spelt_by_the_longest_tokens_that_match():
    ids = {"a": 0, "ab": 1, "##b": 2, "##c": 3, "##bc": 4, "##": 5}
    assert spell_longest_first("abc", ids, "##") == [1, 3]
    assert spell_longest_first("##bcb", ids, "##") == [4, 2]
    assert spell_longest_first("##abc", ids, "##") is None
    assert spell_longest_first("##", ids, "##") == [5]


def make_wordpiece(pieces):
    tokenizer = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def write_wordpiece(folder, pieces):
    tokenizer = make_wordpiece(pieces)
    tokenizer.add_special_tokens(["[UNK]", "[CLS]"])
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    return write(folder, json.loads(tokenizer.to_str()), config)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text("abc", min_size=2, max_size=4), max_size=15, unique=True),
    st.lists(st.text("abc", min_size=2, max_size=4), max_size=15, unique=True),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
def test_any_small_vocabulary_stays_reachable_and_lossless(initial, continuing, seed, share):
    pieces = ["[UNK]", "[CLS]", *"abc", "##a", "##b", "##c", *initial, *(f"##{text}" for text in continuing)]
    with tempfile.TemporaryDirectory() as name:
        source = read_source(write_wordpiece(Path(name), pieces))
    assert find_unreachable(source.tokenizer, source.pinned) == []
    generator = np.random.default_rng(seed)
    protected = np.arange(len(pieces)) < 8
    usable = np.ones(len(pieces), dtype=bool)
    count = int(share * (~protected).sum())
    sole = find_sole_characters(source, usable)
    usable[order_by_cost(source, generator.integers(0, 9, len(pieces)), sole, protected, usable, count)] = False
    pruned = build_tokenizer(source, [pieces[index] for index in np.flatnonzero(usable)], ())
    assert find_unreachable(pruned, source.pinned) == []
    text = " ".join("".join(generator.choice(list("abc"), 12)) for _ in range(8))
    assert pruned.decode(pruned.encode(text).ids) == text
