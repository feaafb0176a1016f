"""Meanings make sense and are said in whole Turkish sentences."""

import random
from dataclasses import replace

import pytest

from hf_turkembed.sandbox.grammar import (
    Meaning,
    places_of,
    qualities_of,
    realise,
    realise_for_person,
    realise_question,
    sample_meaning,
    things_of,
    times_of,
)
from hf_turkembed.sandbox.lexicon import ACTIONS, HYPERNYMS, PEOPLE, QUALITIES, SOMEONE, SOMETHING, THINGS
from hf_turkembed.sandbox.plain import sample_plain_sentence

READING = Meaning(
    agent="Ayşe", action="read", tense="past", object="book", object_definite=True, place="park", time="yesterday"
)


def said(meaning, say=realise, *args):
    return {say(meaning, *args, random.Random(seed)) for seed in range(200)}


@pytest.fixture(scope="module")
def meanings():
    rng = random.Random(3)
    return [sample_meaning(rng) for _ in range(3000)]


def test_things_are_done_by_and_to_the_right_kinds(meanings):
    for meaning in meanings:
        action = ACTIONS[meaning.action]
        assert THINGS[meaning.agent].kind in action.agents
        assert bool(meaning.object) == bool(action.objects)
        assert meaning.object is None or THINGS[meaning.object].kind in action.objects
        assert meaning.agent not in (meaning.object, meaning.owner)


def test_time_agrees_with_tense_and_place_with_action(meanings):
    for meaning in meanings:
        assert meaning.time is None or meaning.time in times_of(meaning.tense)
        assert meaning.place is None or meaning.place in places_of(meaning.action)


def test_everything_in_the_lexicon_is_used(meanings):
    assert {meaning.action for meaning in meanings} == set(ACTIONS)
    assert {m.object for m in meanings} | {m.agent for m in meanings} | set(HYPERNYMS.values()) >= set(THINGS)
    assert {m.object_quality for m in meanings} | {m.agent_quality for m in meanings} >= set(QUALITIES)


def test_one_meaning_is_said_with_the_same_words_in_many_orders():
    words = {frozenset(sentence.rstrip(".").lower().split()) for sentence in said(READING)}
    plain = {"ayşe", "dün", "parkta", "kitabı", "okudu"}
    turned = {"ayşe'ydi", "dün", "parkta", "kitabı", "okuyan"}
    assert words == {frozenset(plain), frozenset(turned)}
    assert len(said(READING)) > 8


def test_a_bare_object_stands_before_its_verb():
    sentences = said(replace(READING, object_definite=False))
    assert sentences
    assert all("kitap oku" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"negated": True}, "Dün Ayşe parkta kitabı okumadı."),
        ({"owner": "Ahmet"}, "Dün Ayşe parkta Ahmet'in kitabını okudu."),
        ({"object_plural": True}, "Dün Ayşe parkta kitapları okudu."),
        ({"object": SOMETHING, "object_definite": False}, "Dün Ayşe parkta bir şey okudu."),
        ({"agent": SOMEONE}, "Dün biri parkta kitabı okudu."),
        ({"place": "İstanbul"}, "Dün Ayşe İstanbul'da kitabı okudu."),
        ({"tense": "evidential"}, "Dün Ayşe parkta kitabı okumuş."),
        ({"action": "help", "object": "Ali"}, "Dün Ayşe parkta Ali'ye yardım etti."),
        ({"action": "help", "object": SOMEONE}, "Dün Ayşe parkta birine yardım etti."),
        ({"action": "leave", "object": "bus"}, "Dün Ayşe parkta otobüsten indi."),
        ({"action": "go", "object": None}, "Dün Ayşe parka gitti."),
        ({"action": "come", "object": None, "place": "Iğdır"}, "Dün Ayşe Iğdır'dan geldi."),
        (
            {"agent": "child", "agent_plural": True, "agent_quality": "happy"},
            "Dün neşeli çocuklar parkta kitabı okudular.",
        ),
    ],
)
def test_every_part_of_a_meaning_is_heard(change, expected):
    assert expected in said(replace(READING, **change))


def test_a_question_ends_in_its_particle():
    assert "Dün Ayşe parkta kitabı okudu mu?" in said(READING, realise_question)


def test_the_ending_of_the_verb_tells_the_person():
    assert "Dün parkta kitabı okudum." in said(READING, realise_for_person, "1sg")
    assert not any("Ayşe" in sentence for sentence in said(READING, realise_for_person, "2pl"))


@pytest.mark.parametrize("sample", [lambda rng: realise(sample_meaning(rng), rng), sample_plain_sentence])
def test_sentences_are_clean_text(sample):
    rng = random.Random(5)
    for _ in range(2000):
        sentence = sample(rng)
        assert sentence == " ".join(sentence.split())
        assert sentence[-1] in ".?"
        assert sentence[0].isupper()
        assert "None" not in sentence


def test_names_and_pronouns_have_no_qualities():
    assert qualities_of("Ayşe") == ()
    assert qualities_of(SOMEONE) == ()
    assert "red" in qualities_of("shirt")


def test_the_word_for_a_kind_is_not_among_its_things():
    assert "animal" not in things_of(("animal",))
    assert set(PEOPLE) < set(things_of(("person",)))
