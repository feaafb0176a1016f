"""The sandbox's tokenizer has the form of Gemma-3's and loses no text."""

import json
import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from hf_turkembed.sandbox.languages import LANGUAGES, realise_in, sample_shared_meaning
from hf_turkembed.sandbox.plain import sample_plain_sentence
from hf_turkembed.sandbox.vocabulary import SPECIAL_TOKENS, train_vocabulary, write_tokenizer


def sentences():
    rng = random.Random(9)
    turkish = [sample_plain_sentence(rng) for _ in range(400)]
    return turkish + [realise_in(code, sample_shared_meaning(rng), rng) for code in LANGUAGES for _ in range(60)]


@cache
def known_tokenizer():
    return train_vocabulary(sentences(), size=1500)


@pytest.fixture
def tokenizer():
    return known_tokenizer()


@pytest.fixture
def document(tokenizer):
    return json.loads(tokenizer.to_str())


def test_the_size_is_the_one_asked_for(tokenizer, document):
    assert tokenizer.get_vocab_size() == 1500
    assert sorted(document["model"]["vocab"].values()) == list(range(1500))


def test_the_first_ids_are_those_of_gemma(tokenizer):
    assert [tokenizer.id_to_token(place) for place in range(5)] == list(SPECIAL_TOKENS)
    assert [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in (0, 255)] == [16, 271]


def test_the_pipeline_is_that_of_gemma(document, shared_data):
    with (shared_data / "teacher" / "tokenizer.json").open(encoding="utf-8") as file:
        gemma = json.load(file)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding"):
        assert document[part] == gemma[part]
    for setting in set(gemma["model"]) - {"vocab", "merges"}:
        assert document["model"][setting] == gemma["model"][setting]
    mine, theirs = ({t["content"]: t for t in d["added_tokens"]} for d in (document, gemma))
    for content, token in mine.items():
        assert {**token, "id": 0} == {**theirs[content], "id": 0}


def test_no_token_reaches_across_a_word_start_or_a_mark(document):
    words = [token for token in document["model"]["vocab"] if len(token) > 1 and not token.startswith("<")]
    assert len(words) > 700
    assert not any("▁" in token[1:] for token in words)
    assert not any(mark in token for token in words for mark in "'.?,。、।")


def test_every_learnt_token_can_be_reached(tokenizer, document):
    fixed = {token["content"] for token in document["added_tokens"]} | {f"<0x{byte:02X}>" for byte in range(256)}
    for token in document["model"]["vocab"].keys() - fixed:
        assert [piece.value for piece in tokenizer.model.tokenize(token)] == [token]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="▁<", exclude_categories=("Cs",)), max_size=40))
def test_any_text_comes_back_from_its_tokens(text):
    tokenizer = known_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_transformers_loads_it_unchanged(tokenizer, tmp_path):
    write_tokenizer(tokenizer, tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*sentences(), "Iğdır'da 3 kedi 🙂\n\nvar\t!"]
    assert loaded(texts)["input_ids"] == [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    assert len(loaded) == 1500
    assert (loaded.padding_side, loaded.model_max_length, loaded.pad_token_id) == ("right", 512, 0)
    assert loaded("a", "b")["input_ids"][0] == loaded.bos_token_id


def test_the_same_sentences_give_the_same_bytes(tokenizer):
    assert train_vocabulary(sentences(), size=1500).to_str() == tokenizer.to_str()


def test_a_size_without_room_for_text_is_refused():
    with pytest.raises(ValueError, match="`size`=272 has no room"):
        train_vocabulary(["Kedi uyuyor."], size=272)
