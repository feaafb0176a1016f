import pytest
from tokenizers import AddedToken, Tokenizer, models

from hf_turkembed.tokenizer import compare_vocabularies


def make(*pieces, added=()):
    tokenizer = Tokenizer(models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token=pieces[0]))
    tokenizer.add_tokens([AddedToken(content, normalized=False) for content in added])
    return tokenizer


def by_script(change):
    return {script.script: script for script in change.scripts}


def test_tokens_that_stay_go_and_come_are_counted():
    change = compare_vocabularies(make("<unk>", "ev", "yol", "дом"), make("<unk>", "ler", "ev"))
    assert (change.kept, change.dropped, change.new) == (2, 2, 1)
    assert [(script.script, script.dropped, script.new) for script in change.scripts] == [
        ("LATIN", 1, 1),
        ("CYRILLIC", 1, 0),
    ]


@pytest.mark.parametrize(
    ("piece", "script"),
    [
        ("▁ağaç", "LATIN"),
        ("don't", "LATIN"),
        ("s\u0327", "LATIN"),
        ("мир", "CYRILLIC"),
        ("現在", "CJK"),
        ("ラーメン", "KATAKANA"),
        ("食べる", "several scripts"),
        ("Aе", "several scripts"),
        ("2026", "without letters"),
        ("▁", "without letters"),
        ("\u0301", "without letters"),
        ("<0x0A>", "special and byte tokens"),
    ],
)
def test_a_token_belongs_to_the_script_of_its_letters(piece, script):
    assert list(by_script(compare_vocabularies(make("<unk>", piece), make("<unk>")))) == [script]


def test_added_tokens_are_a_group_of_their_own():
    change = compare_vocabularies(make("<unk>", "ev", added=("<unused1>",)), make("<unk>"))
    assert by_script(change)["special and byte tokens"].dropped_examples == ("<unused1>",)


def test_examples_are_those_of_the_lowest_ids():
    old = ["<unk>", *(f"z{letter}" for letter in "hgfedcba")]
    change = compare_vocabularies(make(*old), make("<unk>", "yy", "ya"))
    latin = by_script(change)["LATIN"]
    assert latin.dropped_examples == ("zh", "zg", "zf", "ze", "zd")
    assert latin.new_examples == ("yy", "ya")


def test_the_most_changed_script_comes_first_and_equals_by_name():
    change = compare_vocabularies(make("<unk>", "я", "a", "ω", "β"), make("<unk>"))
    assert [script.script for script in change.scripts] == ["GREEK", "CYRILLIC", "LATIN"]


def test_a_tokenizer_does_not_differ_from_itself(source):
    change = compare_vocabularies(source.tokenizer, source.tokenizer)
    assert (change.kept, change.dropped, change.new) == (source.tokenizer.get_vocab_size(), 0, 0)
    assert change.scripts == ()
