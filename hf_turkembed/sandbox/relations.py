"""Pairs of meanings that follow from, contradict or resemble one another, and how much."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hf_turkembed.sandbox.grammar import Meaning, places_of, qualities_of, realise, sample_meaning, things_of, times_of
from hf_turkembed.sandbox.lexicon import ACTIONS, HYPERNYMS, PEOPLE, QUALITIES, SOMEONE, SOMETHING, THINGS

Change = Callable[[Meaning, random.Random], Meaning | None]

# How much each part of a meaning counts for its likeness to another.
_WEIGHTS = {
    "action": 3.0,
    "agent": 2.0,
    "object": 2.0,
    "place": 1.0,
    "time": 0.8,
    "tense": 0.6,
    "agent_quality": 0.5,
    "object_quality": 0.5,
    "owner": 0.5,
    "agent_plural": 0.3,
    "object_plural": 0.3,
}
# Likeness of a word to the word for its kind, of two things of one kind, of a part to its absence, and of two meanings
# of which one denies the other.
_HYPERNYM = 0.6
_SAME_KIND = 0.25
_UNSAID = 0.4
_DENIED = 0.45


def similarity(left: Meaning, right: Meaning) -> float:
    """Score how much two meanings say the same, by a weighted overlap of their parts.

    Args:
        left: a meaning.
        right: another.

    Returns:
        A score from 0 (nothing in common) to 5 (the same, save for whether the object is a known one); symmetric.
    """
    total = shared = 0.0
    for part, weight in _WEIGHTS.items():
        one, other = getattr(left, part), getattr(right, part)
        if not one and not other:
            continue
        total += weight
        shared += weight * _likeness(part, one, other)
    return 5 * shared / total * (_DENIED if left.negated != right.negated else 1.0)


def entail(meaning: Meaning, rng: random.Random) -> Meaning:
    """Draw a meaning that follows from another: less is said, or it is said in a wider word.

    Args:
        meaning: an affirmative or negated meaning. From a negated one only itself follows here.
        rng: source of randomness.

    Returns:
        A meaning that is true whenever the given one is; the given one itself when nothing can be left out.
    """
    return meaning if meaning.negated else _apply_one(_WEAKER, meaning, rng) or meaning


def contradict(meaning: Meaning, rng: random.Random) -> Meaning:
    """Draw a meaning that cannot be true of the same event: denied, or with another action, place or quality.

    Args:
        meaning: an affirmative or negated meaning; a negated one is contradicted by its affirmation.
        rng: source of randomness.

    Returns:
        A meaning that shares most of its parts with the given one.
    """
    denied = replace(meaning, negated=not meaning.negated)
    if meaning.negated or rng.random() < 0.3:
        return denied
    return _apply_one((_other_action, _other_action, _other_place, _other_quality), meaning, rng) or denied


def sample_triplet(rng: random.Random) -> tuple[str, str, str]:
    """Write an anchor, a paraphrase or consequence of it, and a contradiction of it.

    Args:
        rng: source of randomness.

    Returns:
        Three different Turkish sentences: anchor, positive, negative.
    """
    while True:
        meaning = sample_meaning(rng)
        weaker = meaning if rng.random() < 0.4 else entail(meaning, rng)
        triplet = realise(meaning, rng), realise(weaker, rng), realise(contradict(meaning, rng), rng)
        if len(set(triplet)) == 3:
            return triplet


def sample_pair(rng: random.Random) -> tuple[float, str, str]:
    """Write two sentences and the similarity of what they mean.

    Args:
        rng: source of randomness.

    Returns:
        The score from 0 to 5 and two different Turkish sentences.
    """
    while True:
        left = sample_meaning(rng)
        if rng.random() < 0.15:
            right = sample_meaning(rng)
        else:
            right = left
            for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 4, 5, 6))):
                right = _apply_one(_CHANGES, right, rng) or right
        first, second = realise(left, rng), realise(right, rng)
        if rng.random() < 0.5:
            first, second = second, first
        if first != second:
            return similarity(left, right), first, second


def _apply_one(changes: Sequence[Change], meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Try changes in a random order until one can be made."""
    for change in rng.sample(changes, len(changes)):
        changed = change(meaning, rng)
        if changed is not None:
            return changed
    return None


def _likeness(part: str, one: str | bool | None, other: str | bool | None) -> float:
    """Compare one part of two meanings, from 0 to 1."""
    if one == other:
        return 1.0
    if not isinstance(one, str) or not isinstance(other, str):
        return _UNSAID
    if part in ("agent", "object"):
        return _likeness_of_things(one, other)
    if part == "tense":
        return _HYPERNYM if {one, other} == {"past", "evidential"} else 0.0
    return 0.0


def _likeness_of_things(one: str, other: str) -> float:
    """Compare two things by the words for their kinds."""
    if SOMEONE in (one, other) or SOMETHING in (one, other):
        return _UNSAID
    left, right = THINGS[one], THINGS[other]
    if left.kind != right.kind or one in PEOPLE or other in PEOPLE:
        return 0.0
    return _HYPERNYM if HYPERNYMS.get(left.kind) in (one, other) else _SAME_KIND


def _other(rng: random.Random, options: Sequence[str], current: str | None) -> str | None:
    """Draw an option other than the current one, if there is any."""
    others = [option for option in options if option != current]
    return rng.choice(others) if others else None


def _set(meaning: Meaning, part: str, value: str | None) -> Meaning:
    """Give a part, known by its name, another value."""
    values: dict[str, Any] = {part: value}
    return replace(meaning, **values)


def _without(part: str) -> Change:
    """Make the change that leaves a part unsaid."""

    def change(meaning: Meaning, rng: random.Random) -> Meaning | None:
        return _set(meaning, part, None) if getattr(meaning, part) else None

    return change


def _wider_agent(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Call the agent by the word for its kind."""
    if meaning.agent == SOMEONE or meaning.agent_plural:
        return None
    kind = THINGS[meaning.agent].kind
    return replace(meaning, agent=HYPERNYMS.get(kind, SOMEONE), agent_quality=None)


def _wider_object(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Call the object by the word for its kind, or something, or someone."""
    if meaning.object in (None, SOMEONE, SOMETHING):
        return None
    kind = THINGS[meaning.object or ""].kind
    if kind == "person":
        return replace(meaning, object=SOMEONE, object_plural=False, object_quality=None)
    unknown = replace(meaning, object_plural=False, object_quality=None, object_definite=False, owner=None)
    head = HYPERNYMS.get(kind, SOMETHING)
    return replace(unknown, object=SOMETHING if meaning.object == head else head)


def _other_action(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Do the opposite, or something else that can be done by the same to the same in the same place."""
    fitting = [key for key in ACTIONS if key != meaning.action and _fits(meaning, key)]
    opposite = ACTIONS[meaning.action].opposite
    if opposite in fitting and rng.random() < 0.6:
        return replace(meaning, action=opposite)
    return replace(meaning, action=rng.choice(fitting)) if fitting else None


def _fits(meaning: Meaning, key: str) -> bool:
    """Tell whether an action makes sense with the agent, the object and the place of a meaning."""
    action = ACTIONS[key]
    agent = "person" if meaning.agent == SOMEONE else THINGS[meaning.agent].kind
    if agent not in action.agents or (meaning.place and meaning.place not in places_of(key)):
        return False
    if meaning.object is None:
        return not action.objects
    if meaning.object in (SOMEONE, SOMETHING):
        return action.objects == ACTIONS[meaning.action].objects
    return THINGS[meaning.object].kind in action.objects


def _other_place(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Move it to another place."""
    place = _other(rng, places_of(meaning.action), meaning.place) if meaning.place else None
    return replace(meaning, place=place) if place else None


def _other_time(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Move it to another time of the same tense."""
    time = _other(rng, times_of(meaning.tense), meaning.time) if meaning.time else None
    return replace(meaning, time=time) if time else None


def _other_quality(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Turn a quality into one that excludes it."""
    parts = [part for part in ("agent_quality", "object_quality") if getattr(meaning, part)]
    if not parts:
        return None
    part = rng.choice(parts)
    return _set(meaning, part, rng.choice(QUALITIES[getattr(meaning, part)].opposites))


def _other_agent(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Let somebody else do it."""
    agents = things_of(ACTIONS[meaning.action].agents)
    fitting = [key for key in agents if key != meaning.object and not (meaning.agent_plural and key in PEOPLE)]
    agent = _other(rng, fitting, meaning.agent)
    if agent is None:
        return None
    quality = meaning.agent_quality if meaning.agent_quality in qualities_of(agent) else None
    return replace(meaning, agent=agent, agent_quality=quality)


def _other_object(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Do it to something else."""
    if meaning.object in (None, SOMEONE, SOMETHING):
        return None
    objects = [key for key in things_of(ACTIONS[meaning.action].objects) if key != meaning.agent]
    thing = _other(rng, objects, meaning.object)
    if thing is None:
        return None
    quality = meaning.object_quality if meaning.object_quality in qualities_of(thing) else None
    plural = meaning.object_plural and THINGS[thing].countable and thing not in PEOPLE
    return replace(meaning, object=thing, object_quality=quality, object_plural=plural)


def _denial(meaning: Meaning, rng: random.Random) -> Meaning | None:
    """Deny what is said, or affirm what is denied."""
    return replace(meaning, negated=not meaning.negated)


_WEAKER: tuple[Change, ...] = (
    _without("place"),
    _without("time"),
    _without("agent_quality"),
    _without("object_quality"),
    _without("owner"),
    _wider_agent,
    _wider_object,
)
_CHANGES: tuple[Change, ...] = (
    *_WEAKER,
    _other_action,
    _other_action,
    _other_agent,
    _other_object,
    _other_place,
    _other_time,
    _other_quality,
    _denial,
)
