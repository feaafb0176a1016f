"""What follows from a meaning, what contradicts it, and how alike two meanings are."""

import itertools
import random
from dataclasses import fields, replace

import pytest

from hf_turkembed.sandbox.grammar import Meaning, sample_meaning
from hf_turkembed.sandbox.lexicon import HYPERNYMS, SOMEONE, SOMETHING, THINGS
from hf_turkembed.sandbox.relations import contradict, entail, sample_pair, sample_triplet, similarity

READING = Meaning(agent="Ayşe", action="read", tense="past", object="book", place="park", time="yesterday")


def drawn(count=1500):
    rng = random.Random(11)
    return [(sample_meaning(rng), rng) for _ in range(count)]


def test_a_meaning_is_as_like_itself_as_can_be():
    assert all(similarity(meaning, meaning) == 5 for meaning, _ in drawn(200))


def test_similarity_is_symmetric_and_between_0_and_5():
    meanings = [meaning for meaning, _ in drawn(400)]
    for one, other in itertools.pairwise(meanings):
        assert similarity(one, other) == pytest.approx(similarity(other, one))
        assert 0 <= similarity(one, other) <= 5


def test_meanings_with_nothing_in_common_score_0():
    other = Meaning(agent="dog", action="run", tense="future", object=None, place="street", time="tomorrow")
    assert similarity(replace(READING, object=None), other) == 0


@pytest.mark.parametrize(
    ("nearer", "farther"),
    [
        ({"time": None}, {"place": None}),
        ({"object": "publication"}, {"object": "newspaper"}),
        ({"object": "newspaper"}, {"object": "apple"}),
        ({"place": None}, {"place": "street"}),
        ({"place": "street"}, {"agent": "Ali"}),
        ({"agent": "Ali"}, {"action": "buy"}),
        ({"action": "buy"}, {"negated": True}),
        ({"tense": "evidential"}, {"tense": "future"}),
        ({"object_definite": True}, {"object_plural": True}),
    ],
)
def test_a_small_change_leaves_more_likeness_than_a_large_one(nearer, farther):
    assert similarity(READING, replace(READING, **nearer)) > similarity(READING, replace(READING, **farther))


def test_what_follows_says_less_or_says_it_in_wider_words():
    wider = {*HYPERNYMS.values(), SOMEONE, SOMETHING}
    changed = 0
    for meaning, rng in drawn():
        weaker = entail(meaning, rng)
        changed += weaker != meaning
        for field in fields(Meaning):
            before, after = getattr(meaning, field.name), getattr(weaker, field.name)
            assert after == before or not after or after in wider
        assert not (meaning.negated and weaker != meaning)
    assert changed > 1000


def test_a_contradiction_differs_in_one_part_only():
    kinds = set()
    for meaning, rng in drawn():
        other = contradict(meaning, rng)
        different = [
            field.name for field in fields(Meaning) if getattr(meaning, field.name) != getattr(other, field.name)
        ]
        assert len(different) == 1
        kinds.update(different)
    assert kinds == {"negated", "action", "place", "agent_quality", "object_quality"}


def test_a_denied_meaning_is_contradicted_by_its_affirmation():
    denied = replace(READING, negated=True)
    assert contradict(denied, random.Random(0)) == READING


def test_triplets_hold_three_different_sentences():
    rng = random.Random(2)
    assert all(len(set(sample_triplet(rng))) == 3 for _ in range(500))


def test_pairs_score_over_the_whole_range():
    rng = random.Random(2)
    scores = [sample_pair(rng)[0] for _ in range(1000)]
    shares = [sum(low <= score <= low + 1 for score in scores) / len(scores) for low in range(5)]
    assert min(shares) > 0.1
    assert sum(score == 5 for score in scores) > 20


def test_two_things_of_different_kinds_are_not_alike():
    assert THINGS["apple"].kind != THINGS["bus"].kind
    waiting = replace(READING, action="wait", object="bus")
    assert similarity(waiting, replace(waiting, object="Ali")) < similarity(waiting, replace(waiting, object="train"))
