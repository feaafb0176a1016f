"""Rows for training that share a text with held-out data are counted, and removed on request."""

import pytest

from hf_turkembed.corpus import SharedTexts, set_shared_texts_apart

TRAIN = {
    "sentence1": ["Kedi uyuyor.", "Köpek koşuyor.", "Hava soğuk.", "Kuş öttü."],
    "sentence2": ["Bir kedi uyur.", "Köpek kaçıyor.", "Kar yağıyor.", "Kuş sustu."],
    "score": [0.9, 0.7, 0.3, 0.1],
}
DEV = {"sentence1": ["KEDİ UYUYOR", "Başka."], "sentence2": ["Bambaşka.", "kar yağıyor!"], "score": [0.2, 0.4]}
TEST = {"anchor": ["Kuş sustu."], "positive": ["Yeni."], "negative": ["Kar yağıyor."]}


def test_a_row_counts_once_for_each_dataset_that_shares_any_of_its_texts():
    rows, found = set_shared_texts_apart(TRAIN, {"dev": DEV, "test": TEST}, remove=False)
    assert found == {
        "dev": SharedTexts(rows=2, share=0.5, removed=False),
        "test": SharedTexts(rows=2, share=0.5, removed=False),
    }
    assert rows == TRAIN


def test_rows_that_share_a_text_with_any_dataset_are_removed():
    rows, found = set_shared_texts_apart(TRAIN, {"dev": DEV, "test": TEST}, remove=True)
    assert rows == {"sentence1": ["Köpek koşuyor."], "sentence2": ["Köpek kaçıyor."], "score": [0.7]}
    assert all(entry.removed for entry in found.values())


def test_nothing_is_removed_where_nothing_is_held_out():
    assert set_shared_texts_apart(TRAIN, {}, remove=False) == (TRAIN, {})


def test_removing_every_row_is_an_error():
    with pytest.raises(ValueError, match="all 4 rows share a text with own; `shared_texts: remove` would leave none"):
        set_shared_texts_apart(TRAIN, {"own": TRAIN}, remove=True)
