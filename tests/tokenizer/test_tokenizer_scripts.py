from collections import Counter

import pytest

from hf_turkembed.tokenizer.scripts import TURKISH_LETTERS, is_shared, script_of, script_of_letters, scripts_in_use


@pytest.mark.parametrize(
    ("character", "script"),
    [
        ("ş", "LATIN"),
        ("İ", "LATIN"),
        ("ы", "CYRILLIC"),
        ("ي", "ARABIC"),
        ("한", "HANGUL"),
        ("日", "CJK"),
        ("ी", "DEVANAGARI"),
    ],
)
def test_letters_and_marks_have_the_script_of_their_name(character, script):
    assert script_of(character) == script


@pytest.mark.parametrize("character", ["1", "'", "’", "▁", " ", "🐟", "\n", "\ue000"])
def test_what_is_no_letter_has_no_script(character):
    assert script_of(character) is None


@pytest.mark.parametrize("character", ["7", "٣", "'", "’", "🐟", " ", "\u0301", "\u200d", "€"])
def test_digits_signs_and_combining_marks_are_shared_by_all_scripts(character):
    assert is_shared(character)


@pytest.mark.parametrize("character", ["a", "日", "\ue000", "\U000e0fff", "ी"])
def test_letters_and_private_code_points_are_not_shared(character):
    assert not is_shared(character)


@pytest.mark.parametrize(
    ("piece", "script"),
    [
        ("▁ılık", "LATIN"),
        ("ler", "LATIN"),
        ("▁", None),
        ("", None),
        ("a1", None),
        ("n'u", None),
        ("aβ", None),
        ("a▁b", None),
    ],
)
def test_a_piece_has_a_script_only_if_it_is_all_letters_of_one(piece, script):
    assert script_of_letters(piece) == script


def test_a_script_seen_in_a_few_foreign_names_is_not_in_use():
    characters = {"tr": Counter({"a": 995, "日": 5, "!": 5000}), "el": Counter({"α": 90, "a": 10})}
    assert scripts_in_use(characters) == {"LATIN", "GREEK"}


def test_turkish_letters_pair_dotted_and_dotless_i():
    assert {"i", "İ", "ı", "I"} <= TURKISH_LETTERS
    assert len({letter for letter in TURKISH_LETTERS if letter.islower()} - set("âîû")) == 29
