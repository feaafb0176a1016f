"""Pruning a Unigram: any token may go, no character does, and what stays is cut as before."""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from adapting import adapt
from hypothesis import given, settings
from hypothesis import strategies as st
from mergeless import FOREIGN, ROLES, build_unigram, segment_lines, unigram_config, write
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

from hf_turkembed.cloning import clone_model
from hf_turkembed.tokenizer import (
    build_tokenizer,
    count_tokens,
    encode_words,
    find_sole_characters,
    find_unreachable,
    order_by_cost,
    read_source,
    select_pieces,
)
from hf_turkembed.tokenizer.counting import begin_with_space
from hf_turkembed.tokenizer.selecting import spell_best


@pytest.fixture(scope="module")
def spec(corpus):
    """Hold a tokenizer.json in the form of XLM-R that knows words of one more language than the corpus."""
    lines = [line for lines in corpus.values() for line in lines]
    return build_unigram([*lines, *FOREIGN * 40, "日本 – ev çok iyi ve da"], size=500)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, spec):
    """Write the source's folder."""
    return write(tmp_path_factory.mktemp("unigram"), spec, unigram_config(spec))


@pytest.fixture(scope="module")
def unigram(folder):
    """Take the source apart."""
    return read_source(folder)


@pytest.mark.parametrize("vocab_size", [250, 300, 400, 480])
def test_the_size_is_exact_and_every_token_is_reachable(folder, unigram, corpus, known_heldout, tmp_path, vocab_size):
    report = adapt(folder, corpus, known_heldout, tmp_path / "out", vocab_size)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == report.final_size == report.kept == vocab_size
    assert (report.new, report.dropped) == (0, len(unigram.pieces) - vocab_size)
    assert report.unreachable_in_source == ("evgöz",)
    assert find_unreachable(tokenizer, unigram.pinned) == []


def test_text_is_cut_as_before_when_only_unused_tokens_went(folder, unigram, corpus, known_heldout, tmp_path):
    used = {token for tokens in segment_lines(unigram.tokenizer, corpus) for token in tokens}
    words = {piece for piece in unigram.pieces if len(piece) > 1} - unigram.pinned
    assert words - used
    vocab_size = len(unigram.pieces) - len(words - used)
    adapt(folder, corpus, known_heldout, tmp_path / "out", vocab_size)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert words & tokenizer.get_vocab().keys() == words & used
    assert segment_lines(tokenizer, corpus) == segment_lines(unigram.tokenizer, corpus)


def test_special_and_added_tokens_keep_their_places_flags_and_meaning(folder, corpus, known_heldout, tmp_path):
    adapt(folder, corpus, known_heldout, tmp_path / "out", 300)
    source, loaded = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(tmp_path / "out")
    assert loaded.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    assert loaded.convert_tokens_to_ids(["<mask>", "<query>"]) == [298, 299]
    assert {role: getattr(loaded, role) for role in ROLES} == ROLES
    text = "<query> ev  <mask> ﬁlm bilinmeyen 語"
    assert loaded.convert_ids_to_tokens(loaded("語")["input_ids"]) == ["<s>", "▁", "<unk>", "</s>"]
    assert loaded.decode(loaded(text, "yol")["input_ids"]) == source.decode(source(text, "yol")["input_ids"])
    flags = [list(map(repr, one.added_tokens_decoder.values())) for one in (source, loaded)]
    assert flags[0] == flags[1] and "lstrip=True" in flags[0][-2]
    assert loaded("ev").keys() == source("ev").keys()


def test_kept_tokens_keep_their_scores_and_their_order(folder, unigram, corpus, known_heldout, tmp_path):
    adapt(folder, corpus, known_heldout, tmp_path / "out", 300)
    model = json.loads((tmp_path / "out" / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    pieces = [piece for piece, _ in model["vocab"]]
    assert pieces == [piece for piece in unigram.pieces if piece in set(pieces)]
    old = dict(zip(unigram.pieces, unigram.scores, strict=False))
    # The library reads floats with an error in the last place.
    assert dict(model["vocab"]) == pytest.approx({piece: old[piece] for piece in pieces}, rel=1e-14)
    assert pieces[model["unk_id"]] == "<unk>"


def test_characters_are_protected_even_if_no_text_needs_them(folder, unigram, corpus, known_heldout, tmp_path):
    adapt(folder, {"tr": corpus["tr"]}, {"tr": known_heldout["tr"]}, tmp_path / "out", 200)
    kept = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).get_vocab()
    assert {"▁", "ç", "ğ", "ı", "ö", "ş", "ü", "İ", "x", "q", "–", "?", "7"} <= kept.keys()
    assert not {"σ", "日"} & kept.keys()


def test_words_go_before_characters_of_other_scripts(folder, unigram, corpus, known_heldout, tmp_path):
    used = {token for tokens in segment_lines(unigram.tokenizer, {"tr": corpus["tr"]}) for token in tokens}
    unused = {piece for piece in unigram.pieces if len(piece) > 1} - unigram.pinned - used
    vocab_size = len(unigram.pieces) - len(unused)
    adapt(folder, {"tr": corpus["tr"]}, {"tr": known_heldout["tr"]}, tmp_path / "out", vocab_size)
    kept = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).get_vocab()
    assert set(unigram.pieces) - kept.keys() == unused
    assert {"σ", "日"} <= kept.keys()


def test_a_character_lost_from_held_out_text_fails_the_build(folder, corpus, known_heldout, tmp_path):
    lines = {"tr": [*known_heldout["tr"], "日本"]}
    with pytest.raises(ValueError, match=r"more unknown characters than with the source: 1 found, such as \['日本'\]"):
        adapt(folder, {"tr": corpus["tr"]}, lines, tmp_path / "out", 200)


def test_both_spellings_of_turkish_letters_come_out_as_from_the_source(
    folder, unigram, corpus, known_heldout, tmp_path
):
    adapt(folder, corpus, known_heldout, tmp_path / "out", 300)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    for text in ("İ ş ğ", "I\u0307 s\u0327 g\u0306", "ﬁş…"):
        restored = [one.decode(one.encode(text).ids) for one in (tokenizer, unigram.tokenizer)]
        assert restored[0] == restored[1]


def test_the_same_input_gives_the_same_files(folder, corpus, known_heldout, tmp_path):
    adapt(folder, corpus, known_heldout, tmp_path / "one", 300)
    adapt(folder, {name: iter(corpus[name]) for name in reversed(corpus)}, known_heldout, tmp_path / "two", 300)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_adapted_tokenizer_can_be_adapted_again(folder, corpus, known_heldout, tmp_path):
    adapt(folder, corpus, known_heldout, tmp_path / "one", 400)
    report = adapt(tmp_path / "one", corpus, known_heldout, tmp_path / "two", 300)
    assert (report.source_size, report.final_size, report.unreachable_in_source) == (400, 300, ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"new_tokens": 5}, "`new_tokens`=5 found for a Unigram source; adding tokens is supported for byte-fallback"),
        ({"vocab_size": 60}, r"\d+ tokens must be dropped, but only \d+ of \d+ can be"),
        ({"vocab_size": 900}, "the source has only"),
    ],
)
def test_bad_requests_are_refused_and_write_nothing(folder, corpus, known_heldout, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        adapt(folder, corpus, known_heldout, tmp_path / "out", **{"vocab_size": 300, **changes})
    assert not (tmp_path / "out").exists()


def test_a_size_that_only_unreachable_tokens_would_fill_is_refused(folder, unigram, corpus, known_heldout, tmp_path):
    with pytest.raises(ValueError, match=r"are needed, but only \d+ of \d+ are ever produced"):
        adapt(folder, corpus, known_heldout, tmp_path / "out", len(unigram.pieces))


def test_an_unknown_post_processor_is_refused(spec, tmp_path):
    sequence = {"type": "Sequence", "processors": [spec["post_processor"]]}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
    with pytest.raises(ValueError, match=r"`post_processor` is .*expected one of"):
        read_source(write(tmp_path, spec | {"post_processor": sequence}, config))


def test_the_post_processors_of_older_files_get_their_new_ids(spec, corpus, known_heldout, tmp_path):
    older = {"type": "BertProcessing", "cls": ["<mask>", len(spec["model"]["vocab"]) - 1], "sep": ["</s>", 2]}
    config = unigram_config(spec) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    adapt(
        write(tmp_path / "s", spec | {"post_processor": older}, config), corpus, known_heldout, tmp_path / "out", 300
    )
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("")["input_ids"] == [298, 2]


def test_a_string_is_spelt_by_the_likeliest_tokens_at_hand():
    ids = {"a": 0, "b": 1, "ab": 2, "bb": 3, "abb": 4}
    scores = [-1.0, -1.0, -1.5, -9.0, -3.0]
    assert spell_best("abb", {"a": 0, "b": 1}, scores) == [0, 1, 1]
    assert spell_best("abb", ids, scores) == [2, 1]
    assert spell_best("abbc", ids, scores) is None


def test_words_at_the_beginnings_of_lines_count_as_the_tokenizer_cuts_them(tmp_path):
    pieces = ["<unk>", "<s>", "▁", "e", "v", "▁ev", "ev"]
    source = write_unigram(tmp_path, [(piece, -len(pieces) / len(piece)) for piece in pieces], "first")
    assert source.tokenizer.encode("ev").tokens == ["▁ev"]
    encoded = encode_words(source.tokenizer, begin_with_space(source.tokenizer, ["ev"]), source.separator)
    masses = count_tokens(encoded, np.array([5]), len(source.pieces))
    assert select_pieces(source, masses, {"tr": Counter("ev")}, 6).pieces == ("<unk>", "<s>", "▁", "e", "v", "▁ev")


def write_unigram(folder, vocabulary, prepend_scheme):
    """Write and read a source with `<unk>` and `<s>` as its only special tokens."""
    tokenizer = Tokenizer(models.Unigram(vocabulary, 0, False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=prepend_scheme)
    tokenizer.add_special_tokens(["<unk>", "<s>"])
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
    return read_source(write(folder, json.loads(tokenizer.to_str()), config))


@st.composite
def vocabularies(draw):
    """Draw the tokens of a small Unigram, with scores that can be written exactly."""
    texts = draw(st.lists(st.text("ab▁c", min_size=2, max_size=5), min_size=1, max_size=25, unique=True))
    score = st.integers(-64, -1).map(lambda number: number / 4)
    pieces = ["▁", "a", "b", "c", *texts]
    return [("<unk>", 0.0), ("<s>", 0.0), *((piece, draw(score)) for piece in pieces)]


@settings(max_examples=40, deadline=None)
@given(vocabularies(), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_any_small_vocabulary_stays_reachable_and_lossless(vocabulary, seed, share):
    with tempfile.TemporaryDirectory() as name:
        source = write_unigram(Path(name), vocabulary, "never")
    usable = np.array([piece not in find_unreachable(source.tokenizer, source.pinned) for piece in source.pieces])
    generator = np.random.default_rng(seed)
    protected = np.array([piece in source.pinned or len(piece) == 1 for piece in source.pieces])
    count = int(share * (usable & ~protected).sum())
    sole = find_sole_characters(source, usable)
    usable[order_by_cost(source, generator.integers(0, 9, len(usable)), sole, protected, usable, count)] = False
    pruned = build_tokenizer(source, [source.pieces[index] for index in np.flatnonzero(usable)], ())
    assert find_unreachable(pruned, source.pinned) == []
    text = "".join(generator.choice(list("abc "), 40))
    assert pruned.decode(pruned.encode(text).ids) == text


def test_a_clone_copies_the_row_of_every_token(folder, corpus, known_heldout, encoders, tmp_path):
    teacher = tmp_path / "teacher"
    shutil.copytree(encoders("gte"), teacher)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(folder / name, teacher / name)
    rows = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    tensors = load_file(teacher / "model.safetensors")
    table = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    # The table may be longer than the vocabulary, as that of gte-multilingual is.
    tensors[table] = torch.randn(len(rows) + 6, 32)
    save_file(tensors, teacher / "model.safetensors", metadata={"format": "pt"})
    settings = json.loads((teacher / "config.json").read_text()) | {"vocab_size": len(rows) + 6}
    (teacher / "config.json").write_text(json.dumps(settings))
    adapt(folder, corpus, known_heldout, tmp_path / "out", 300)
    (tmp_path / "student").mkdir()
    report = clone_model(
        teacher, tmp_path / "out", tmp_path / "student", matryoshka_dims=(32, 16), max_length=64, seed=0
    )
    assert (report.rows_copied, report.rows_composed, report.vocab_size) == (300, 0, 300)
    new = load_file(tmp_path / "student" / "model.safetensors")[table]
    for token, row in Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).get_vocab().items():
        assert torch.equal(new[row], tensors[table][rows[token]])
