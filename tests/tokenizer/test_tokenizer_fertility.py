import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from hf_turkembed.tokenizer import (
    Fertility,
    compare_fertility,
    measure_fertility,
    measure_renyi_efficiency,
)


def make(words, tokens, **shares):
    return Fertility(
        words=words,
        characters=4 * tokens,
        tokens=tokens,
        tokens_per_word=tokens / words,
        characters_per_token=4.0,
        byte_share=shares.get("byte_share", 0.0),
        unknown_share=shares.get("unknown_share", 0.0),
        renyi_efficiency=0.5,
    )


def test_words_characters_and_tokens_are_counted_per_language(source):
    # "日" is a token, "語" is three bytes; the space before "b" stays with it.
    measured = measure_fertility(source.tokenizer, {"ja": ["日語"], "tr": ["日 日", "日"]})
    assert measured["ja"].tokens == 4
    assert measured["ja"].byte_share == pytest.approx(0.75)
    assert measured["ja"].characters_per_token == pytest.approx(0.5)
    assert (measured["tr"].words, measured["tr"].characters, measured["tr"].tokens) == (3, 4, 4)
    assert measured["tr"].tokens_per_word == pytest.approx(4 / 3)
    assert measured["tr"].unknown_share == 0


@pytest.mark.parametrize(
    "model",
    [
        models.WordPiece({"[UNK]": 0, "ev": 1}, unk_token="[UNK]"),
        models.WordLevel({"ev": 0, "[UNK]": 1}, unk_token="[UNK]"),
        models.Unigram([("<unk>", 0.0), ("ev", -1.0)], unk_id=0),
    ],
    ids=["WordPiece", "WordLevel", "Unigram"],
)
def test_unknown_tokens_are_counted_for_every_model_type(model):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert measure_fertility(tokenizer, {"tr": ["ev yol ev dağ"]})["tr"].unknown_share == pytest.approx(0.5)


def test_a_model_without_an_unknown_token_has_no_unknown_share():
    tokenizer = Tokenizer(models.Unigram([("e", -1.0), ("v", -1.0)]))
    assert measure_fertility(tokenizer, {"tr": ["ev"]})["tr"].unknown_share == 0


@pytest.mark.parametrize("lines", [[], [""], ["  "]])
def test_a_language_without_words_is_refused(source, lines):
    with pytest.raises(ValueError, match="no words for 'tr'"):
        measure_fertility(source.tokenizer, {"tr": lines})


def test_the_change_is_relative_to_the_first_tokenizer():
    rows = compare_fertility({"tr": make(10, 20), "en": make(5, 5)}, {"en": make(5, 6), "tr": make(10, 15)})
    assert [(row.language, row.change) for row in rows] == [("tr", -0.25), ("en", pytest.approx(0.2))]
    assert json.loads(json.dumps([dataclasses.asdict(row) for row in rows]))[0]["after"]["tokens"] == 15


@pytest.mark.parametrize("after", [{}, {"tr": make(11, 15)}, {"tr": make(10, 15), "en": make(1, 1)}])
def test_measurements_of_different_texts_are_not_compared(after):
    with pytest.raises(ValueError, match="differ in their texts"):
        compare_fertility({"tr": make(10, 20)}, after)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20).filter(any))
def test_renyi_efficiency_is_the_formula_of_the_paper(counts):
    frequencies = [count / sum(counts) for count in counts]
    entropy = math.log(sum(frequency**2.5 for frequency in frequencies)) / (1 - 2.5)
    measured = measure_renyi_efficiency(np.array(counts))
    assert measured == pytest.approx(entropy / math.log(len(counts)), abs=1e-9)
    assert 0 <= measured <= 1 + 1e-9


def test_renyi_efficiency_is_1_for_equal_tokens_and_0_for_one():
    assert measure_renyi_efficiency(np.full(7, 3)) == pytest.approx(1)
    assert math.copysign(1, measure_renyi_efficiency(np.array([5, 0, 0]))) == 1
    assert measure_renyi_efficiency(np.array([5, 0, 0])) == 0


def test_renyi_efficiency_of_text_counts_the_whole_vocabulary(source):
    measured = measure_fertility(source.tokenizer, {"ja": ["日", "日", "日", "本"]})["ja"]
    expected = math.log(0.75**2.5 + 0.25**2.5) / -1.5 / math.log(source.tokenizer.get_vocab_size())
    assert measured.renyi_efficiency == pytest.approx(expected)


def test_parity_divides_by_the_tokens_of_as_many_english_lines(source):
    measured = measure_fertility(source.tokenizer, {"ja": ["日本日", "日"], "en": ["日", "日"], "tr": ["日"]})
    assert measured["en"].parity == 1
    assert measured["ja"].parity == pytest.approx(measured["ja"].tokens / 2)
    assert measured["tr"].parity is None


def test_parity_is_missing_without_english(source):
    assert measure_fertility(source.tokenizer, {"tr": ["ev"]})["tr"].parity is None
