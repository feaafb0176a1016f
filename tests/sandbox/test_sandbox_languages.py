"""The same meanings in other languages and scripts."""

import random
import unicodedata

import pytest

from hf_turkembed.sandbox.english import realise_english
from hf_turkembed.sandbox.grammar import Meaning, sample_meaning
from hf_turkembed.sandbox.languages import LANGUAGES, realise_in, sample_shared_meaning
from hf_turkembed.sandbox.lexicon import english_s_form

READING = Meaning(agent="child", action="read", tense="present", object="book", place="park", time="now")
SCRIPTS = {"ru": "CYRILLIC", "ar": "ARABIC", "zh": "CJK", "ja": "HIRAGANA", "hi": "DEVANAGARI", "el": "GREEK"}


def said(code, meaning):
    return {realise_in(code, meaning, random.Random(seed)) for seed in range(60)}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("de", "Jetzt liest das Kind im Park ein Buch."),
        ("fr", "L'enfant lit un livre dans le parc maintenant."),
        ("ru", "Сейчас ребёнок читает книгу в парке."),
        ("ar", "الآن يقرأ الطفل كتابًا في المنتزه."),
        ("zh", "孩子现在在公园里读一本书。"),
        ("ja", "子供は今公園で本を読んでいます。"),
        ("hi", "बच्चा अभी पार्क में किताब पढ़ रहा है।"),
        ("el", "Το παιδί διαβάζει ένα βιβλίο στο πάρκο τώρα."),
        ("es", "Ahora, el niño lee un libro en el parque."),
        ("it", "Il bambino legge un libro nel parco adesso."),
        ("pt", "A criança lê um livro no parque agora."),
        ("nl", "Het kind leest nu in het park een boek."),
        ("sv", "Nu läser barnet en bok i parken."),
        ("pl", "Teraz dziecko czyta książkę w parku."),
    ],
)
def test_a_shared_meaning_is_said_in_every_language(code, expected):
    assert expected in said(code, READING)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ar", "تقرأ المرأة كتابًا في المنتزه الآن."), ("hi", "औरत अभी पार्क में किताब पढ़ रही है।")],
)
def test_the_verb_agrees_with_a_woman(code, expected):
    woman = Meaning(agent="woman", action="read", tense="present", object="book", place="park", time="now")
    assert expected in said(code, woman)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_row_has_a_word_for_every_shared_meaning(code):
    rng = random.Random(1)
    sentences = {realise_in(code, sample_shared_meaning(rng), rng) for _ in range(3000)}
    assert len(sentences) > 1500
    assert all(sentence == " ".join(sentence.split()) for sentence in sentences)
    assert LANGUAGES[code].agents.count("|") == 9
    assert LANGUAGES[code].predicates.count("|") == 20
    assert LANGUAGES[code].places.count("|") == 7


@pytest.mark.parametrize(("code", "script"), SCRIPTS.items())
def test_a_language_is_written_in_its_own_script(code, script):
    letters = [letter for letter in realise_in(code, READING, random.Random(0)) if letter.isalpha()]
    assert any(script in unicodedata.name(letter) for letter in letters)
    assert not any("LATIN" in unicodedata.name(letter) for letter in letters)


def test_no_german_statement_begins_with_its_verb():
    silent = Meaning(agent="child", action="sleep", tense="present")
    assert said("de", silent) == {"Das Kind schläft."}


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="'xx' has no lexicon"):
        realise_in("xx", READING, random.Random(0))


def test_a_meaning_without_words_is_refused():
    with pytest.raises(ValueError, match="'eat/bus' is not among the shared meanings"):
        realise_in("de", Meaning(agent="child", action="eat", tense="present", object="bus"), random.Random(0))


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        (READING, "The child is reading a book in the park now."),
        (
            Meaning(agent="Ayşe", action="eat", tense="past", object="apple", object_quality="fresh", negated=True),
            "Ayşe did not eat a fresh apple.",
        ),
        (
            Meaning(agent="woman", agent_plural=True, action="drink", tense="aorist", object="water"),
            "The women drink water.",
        ),
        (
            Meaning(agent="man", action="carry", tense="aorist", object="box", object_definite=True, owner="Ali"),
            "The man carries Ali's box.",
        ),
        (
            Meaning(agent="Ali", action="put_on", tense="future", object="shirt", object_quality="old"),
            "Ali will put on an old shirt.",
        ),
        (
            Meaning(
                agent="Ali", action="watch", tense="aorist", object="film", object_plural=True, object_definite=True
            ),
            "Ali watches the films.",
        ),
        (
            Meaning(agent="someone", action="go", tense="evidential", place="park"),
            "Someone apparently went to the park.",
        ),
        (Meaning(agent="dog", action="run", tense="aorist", negated=True), "The dog does not run."),
        (Meaning(agent="Ali", action="come", tense="past", place="İzmir"), "Ali came from İzmir."),
    ],
)
def test_english_says_every_part_of_a_meaning(meaning, expected):
    assert expected in {realise_english(meaning, random.Random(seed)) for seed in range(20)}


@pytest.mark.parametrize(
    ("word", "expected"),
    [("box", "boxes"), ("bus", "buses"), ("story", "stories"), ("play", "plays"), ("cat", "cats")],
)
def test_english_words_take_their_s(word, expected):
    assert english_s_form(word) == expected


def test_english_sentences_are_clean_text():
    rng = random.Random(4)
    for _ in range(2000):
        sentence = realise_english(sample_meaning(rng), rng)
        assert sentence == " ".join(sentence.split())
        assert sentence.endswith(".")
        assert sentence[0].isupper()
