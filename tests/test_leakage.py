"""What of an evaluation stands in training data: found despite case and punctuation, never invented."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_turkembed.corpus import find_leakage, read_pairs


@pytest.mark.parametrize(
    "copy",
    [
        "Iğdır'da ılık bir gün.",
        "IĞDIR'DA ILIK BİR GÜN!",
        "iğdir'da ilik bir gün",
        "  Iğdır'da   ılık bir gün  ",
        unicodedata.normalize("NFD", "Iğdır'da ılık bir gün."),
    ],
)
def test_a_copy_is_found_in_another_case_spelling_and_spacing(copy):
    found = find_leakage(["başka", copy], ["yeni", "Iğdır'da ılık bir gün.", "yeni iki"])
    assert (found.rows, found.count, found.share) == ((1,), 1, 1 / 3)


def test_another_text_is_no_copy():
    found = find_leakage(["Kedi uyuyor.", "?!", ""], ["Kedi uyudu.", "Kedi", "...", "kedi uyuyor ve"])
    assert found.rows == () and found.count == 0 and found.share == 0


def test_texts_without_letters_are_compared_as_they_are():
    assert find_leakage(["?!", "..."], ["!?", "?!"]).rows == (1,)


def test_a_row_leaks_whole_and_in_either_order_only():
    train = [("Bir kedi.", "Bir köpek."), ("Gün doğdu.", "Güneş doğdu.")]
    rows = [("bir köpek", "bir kedi"), ("Bir kedi.", "Güneş doğdu."), ("Bir kedi.", "Bir kedi.")]
    assert find_leakage(train, rows).rows == (0,)


def test_nothing_leaks_into_an_empty_evaluation():
    assert find_leakage(["a"], []).share == 0


@given(st.lists(st.text(max_size=4)), st.lists(st.text(max_size=4)))
def test_every_exact_copy_is_found_and_what_is_removed_leaks_no_more(train, evaluation):
    found = find_leakage(train, evaluation)
    assert {row for row, text in enumerate(evaluation) if text in train} <= set(found.rows)
    removed = set(find_leakage(evaluation, train).rows)
    kept = [text for row, text in enumerate(train) if row not in removed]
    assert find_leakage(kept, evaluation).count == 0


@pytest.mark.real
def test_the_known_leakage_of_stsb_tr_is_found(shared_data):
    tables = {
        name: read_pairs(shared_data / "data" / "stsb-tr" / f"stsb_tr_{name}.tsv", highest_score=5)
        for name in ("train", "dev")
    }
    texts = {name: sorted({*table["sentence1"], *table["sentence2"]}) for name, table in tables.items()}
    pairs = {name: list(zip(table["sentence1"], table["sentence2"], strict=True)) for name, table in tables.items()}
    # 267 texts and 15 pairs stand in both letter by letter; punctuation and case hide the others.
    assert sum(text in set(texts["train"]) for text in texts["dev"]) == 267
    assert find_leakage(texts["train"], texts["dev"]).count >= 267
    assert find_leakage(pairs["train"], pairs["dev"]).count >= 15
