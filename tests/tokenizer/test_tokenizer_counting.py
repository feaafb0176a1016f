import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_turkembed.tokenizer import (
    count_characters,
    count_tokens,
    count_words,
    encode_words,
    list_words,
    resolve_language_weights,
    weigh_words,
)
from hf_turkembed.tokenizer.counting import TOTAL_MASS

LETTERS = "aeılnrşkİgözç'’1 .αβ日🐟"


def test_words_keep_the_spaces_before_them_and_lose_line_breaks():
    assert count_words(["ev  ev\tyol\n", " ev"]) == {"ev": 1, "  ev": 1, "yol": 1, " ev": 1}


def test_trailing_spaces_are_a_word():
    assert count_words(["ev  "]) == {"ev": 1, "  ": 1}


def test_texts_are_read_once_as_a_stream():
    assert count_words(line for line in ["a b", "a b"]) == {"a": 2, " b": 2}


def test_characters_are_counted_once_per_distinct_word():
    assert count_characters({"aab": 100, "b": 7}) == {"a": 2, "b": 2}


@given(st.lists(st.text(LETTERS, max_size=40), max_size=5))
def test_words_put_together_give_the_line(lines):
    for line in lines:
        assert sorted("".join(word * count for word, count in count_words([line]).items())) == sorted(line)


@given(st.text(LETTERS, min_size=1, max_size=60))
def test_encoding_the_words_gives_the_tokens_of_the_line(source, line):
    parts = re.findall(r" *[^ ]+| +", line)
    whole = source.tokenizer.encode(line, add_special_tokens=False).ids
    assert encode_words(source.tokenizer, parts, source.separator).ids.tolist() == whole


@given(
    st.lists(
        st.text(LETTERS, min_size=1, max_size=12) | st.sampled_from(["<pad>", "a<pad>b", "<b>", "\t"]), max_size=40
    )
)
def test_words_encoded_in_bulk_have_the_tokens_they_have_alone(source, words):
    encoded = encode_words(source.tokenizer, words, source.separator)
    alone = [source.tokenizer.encode(word, add_special_tokens=False).ids for word in words]
    assert [encoded.ids[encoded.words == index].tolist() for index in range(len(words))] == alone


def test_a_long_list_of_words_is_encoded_in_order(source, words):
    many = tuple(words * 50)
    encoded = encode_words(source.tokenizer, many, source.separator)
    assert np.all(np.diff(encoded.words) >= 0)
    alone = source.tokenizer.encode_batch(list(many), add_special_tokens=False)
    assert encoded.ids.tolist() == [token for encoding in alone for token in encoding.ids]


def test_an_unknown_separator_is_refused(source):
    with pytest.raises(ValueError, match="'<none>' is not a token"):
        encode_words(source.tokenizer, ["a"], "<none>")


def test_tokens_weigh_what_their_words_weigh(source):
    encoded = encode_words(source.tokenizer, ["日", "日日", "a"], source.separator)
    counts = count_tokens(encoded, np.array([5, 2, 7]), len(source.pieces))
    assert counts[source.pieces.index("日")] == 5 + 2 * 2
    assert counts[source.pieces.index("a")] == 7


def weigh(counts, weights, lengths):
    words = list_words(counts)
    table = weigh_words(words, counts, weights, np.array([lengths[word] for word in words]))
    return [dict(zip(words, masses.tolist(), strict=True)) for masses in (table.masses, table.discounted)]


def test_each_language_gets_its_share_of_the_tokens_however_long_its_text():
    weights = resolve_language_weights(["tr", "en", "el"], {"tr": 0.5})
    assert weights == {"el": 0.25, "en": 0.25, "tr": 0.5}
    lengths = {"ev": 2, "a": 1, "tea": 3}
    masses, _ = weigh({"tr": {"ev": 1}, "en": {"a": 900, "tea": 100}, "el": {"ev": 3}}, weights, lengths)
    assert masses["a"] / masses["tea"] == pytest.approx(9)
    # English costs 900 x 1 + 100 x 3 tokens at present, and a quarter of all mass.
    assert masses["a"] + 3 * masses["tea"] == pytest.approx(0.25 * TOTAL_MASS)
    assert 2 * masses["ev"] == pytest.approx(0.75 * TOTAL_MASS)


def test_a_word_seen_once_counts_half_towards_new_tokens():
    masses, discounted = weigh({"tr": {"ev": 1, "ve": 10}}, {"tr": 1.0}, {"ev": 1, "ve": 1})
    assert discounted["ev"] / masses["ev"] == pytest.approx(0.5)
    assert discounted["ve"] / masses["ve"] == pytest.approx(0.95)


def test_rare_words_never_vanish():
    masses, discounted = weigh({"tr": {"a": 10**14, "b": 1}}, {"tr": 1.0}, {"a": 1, "b": 1})
    assert masses["b"] == discounted["b"] == 1


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"xx": 0.1}, r"names \['xx'\], which the corpus lacks"),
        ({"tr": 0.0}, "above 0 and not above 1"),
        ({"tr": 1.5}, "above 0 and not above 1"),
        ({"tr": 0.6, "en": 0.4}, r"leaves nothing for \['el'\]"),
        ({"tr": 0.5, "en": 0.2, "el": 0.2}, "must sum to 1"),
    ],
)
def test_weights_that_cannot_hold_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        resolve_language_weights(["tr", "en", "el"], weights)


def test_a_language_without_words_is_refused():
    with pytest.raises(ValueError, match=r"no text for \['en'\]"):
        list_words({"tr": {"ev": 1}, "en": {}})


def test_words_that_are_no_language_are_left_out_and_counted(caplog):
    counts = count_words(["ev " + "A" * 1_000_000 + " ev", "B" * 10_000])
    assert counts == {"ev": 1, " ev": 1, "B" * 10_000: 1}
    assert "left out 1 words of more than 10000 characters" in caplog.text
