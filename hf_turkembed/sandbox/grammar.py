"""Meanings of simple sentences, and the ways in which Turkish says them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from hf_turkembed.sandbox.concepts import Action, Thing
from hf_turkembed.sandbox.lexicon import (
    ACTIONS,
    HYPERNYMS,
    PEOPLE,
    PLACES,
    QUALITIES,
    SOMEONE,
    SOMETHING,
    THINGS,
    TIMES,
)
from hf_turkembed.sandbox.morphology import (
    Case,
    Noun,
    Person,
    Tense,
    conjugate,
    decline,
    participle,
    past_copula,
    question_particle,
    turkish_capitalize,
)

TENSES: tuple[Tense, ...] = ("present", "past", "future", "evidential", "aorist")

# Orders of time, place, subject, object and verb. A bare object stands before its verb; one with a case ending moves.
_ORDERS = ("TSPOV", "STPOV", "TPSOV", "SPTOV", "TPOVS")
_ORDERS_OF_MARKED_OBJECT = (*_ORDERS, "TSOPV", "STOPV", "OSTPV", "SOTPV", "OTSPV", "TPSVO")
# Kinds whose things belong to nobody in particular.
_NOT_OWNED = ("person", "transit", "show", "music")
_ONE = Noun(lemma="bir")


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """Who does what to what, where and when; every field holds the key of a concept or says how it is meant."""

    agent: str
    action: str
    tense: Tense
    agent_plural: bool = False
    agent_quality: str | None = None
    # What the action is done to; None for an intransitive verb.
    object: str | None = None
    object_plural: bool = False
    object_quality: str | None = None
    # Whether the object is a known one: the book, not a book.
    object_definite: bool = False
    # The person whose object it is, by name.
    owner: str | None = None
    place: str | None = None
    time: str | None = None
    negated: bool = False


@cache
def things_of(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """List the things of some kinds in the order of the lexicon, leaving out the words for whole kinds.

    Args:
        kinds: names of kinds.

    Returns:
        Keys of things; the names of people count as persons.
    """
    return tuple(key for key, thing in THINGS.items() if thing.kind in kinds and key != HYPERNYMS.get(thing.kind))


@cache
def qualities_of(thing: str) -> tuple[str, ...]:
    """List what a thing can be like.

    Args:
        thing: the key of a thing.

    Returns:
        Keys of qualities; none for a named person or a pronoun.
    """
    if thing in PEOPLE or thing not in THINGS:
        return ()
    return tuple(key for key, quality in QUALITIES.items() if THINGS[thing].kind in quality.kinds)


@cache
def places_of(action: str) -> tuple[str, ...]:
    """List the places where an action makes sense.

    Args:
        action: the key of an action.

    Returns:
        Keys of places.
    """
    return tuple(key for key, place in PLACES.items() if place.kind in ACTIONS[action].settings)


@cache
def times_of(tense: Tense) -> tuple[str, ...]:
    """List the times that go with a tense.

    Args:
        tense: the tense.

    Returns:
        Keys of times.
    """
    return tuple(key for key, time in TIMES.items() if tense in time.tenses)


def sample_meaning(rng: random.Random) -> Meaning:
    """Draw a meaning that makes sense: what is eaten is food, what is driven has wheels, what was yesterday is past.

    Args:
        rng: source of randomness.

    Returns:
        A meaning.
    """
    action = rng.choice(tuple(ACTIONS))
    kinds = ACTIONS[action].agents
    agent = rng.choice(PEOPLE if "person" in kinds and rng.random() < 0.4 else things_of(kinds))
    common = agent not in PEOPLE
    tense = rng.choice(TENSES)
    meaning = Meaning(
        agent=agent,
        action=action,
        tense=tense,
        agent_plural=common and rng.random() < 0.2,
        agent_quality=_maybe(rng, 0.35, qualities_of(agent)),
        place=_maybe(rng, 0.95 if ACTIONS[action].place_case != "locative" else 0.6, places_of(action)),
        time=_maybe(rng, 0.55, times_of(tense)),
        negated=rng.random() < 0.15,
    )
    return _with_object(meaning, rng) if ACTIONS[action].objects else meaning


def realise(meaning: Meaning, rng: random.Random) -> str:
    """Say a meaning in Turkish, in one of its word orders and with one of its synonyms for every concept.

    Args:
        meaning: what to say.
        rng: source of randomness; it chooses the words, their order and what is optional, never the meaning.

    Returns:
        A sentence with a capital in front and a full stop behind.
    """
    if _can_be_cleft(meaning) and rng.random() < 0.12:
        return _finish(_cleft(meaning, rng), ".")
    parts = _parts(meaning, rng)
    orders = _ORDERS_OF_MARKED_OBJECT if _object_is_marked(meaning) else _ORDERS
    return _finish(_arrange(parts, rng.choice(orders)), ".")


def realise_question(meaning: Meaning, rng: random.Random) -> str:
    """Ask in Turkish whether a meaning is so.

    Args:
        meaning: what to ask about.
        rng: source of randomness.

    Returns:
        A sentence with a capital in front and a question mark behind.
    """
    parts = _parts(meaning, rng)
    parts["V"] += " " + question_particle(parts["V"])
    return _finish(_arrange(parts, rng.choice(("TSPOV", "STPOV"))), "?")


def realise_for_person(meaning: Meaning, person: Person, rng: random.Random) -> str:
    """Say a meaning of oneself or of whom one speaks to, which the ending of the verb alone tells.

    Args:
        meaning: what to say; its agent is put out of sight.
        person: who does it.
        rng: source of randomness.

    Returns:
        A sentence with a capital in front and a full stop behind.
    """
    parts = _parts(meaning, rng)
    verb = rng.choice(ACTIONS[meaning.action].verbs)
    parts["V"] = conjugate(verb, meaning.tense, person=person, negated=meaning.negated)
    return _finish(_arrange(parts, rng.choice(("TPOV", "PTOV"))), ".")


def _maybe(rng: random.Random, chance: float, options: Sequence[str]) -> str | None:
    """Draw one of some options, or None."""
    return rng.choice(options) if options and rng.random() < chance else None


def _with_object(meaning: Meaning, rng: random.Random) -> Meaning:
    """Add an object to a meaning, other than its agent."""
    thing = rng.choice([key for key in things_of(ACTIONS[meaning.action].objects) if key != meaning.agent])
    kind = THINGS[thing].kind
    owner = None if kind in _NOT_OWNED else _maybe(rng, 0.12, [name for name in PEOPLE if name != meaning.agent])
    plural = thing not in PEOPLE and THINGS[thing].countable and rng.random() < 0.15
    return replace(
        meaning,
        object=thing,
        object_plural=plural,
        object_quality=_maybe(rng, 0.4, qualities_of(thing)),
        object_definite=kind == "person" or plural or owner is not None or rng.random() < 0.45,
        owner=owner,
    )


def _finish(sentence: str, stop: Literal[".", "?"]) -> str:
    """Put a capital in front and a stop behind."""
    return turkish_capitalize(sentence) + stop


def _arrange(parts: dict[str, str], order: str) -> str:
    """Join the parts of a sentence that are there."""
    return " ".join(parts[letter] for letter in order if parts[letter])


def _parts(meaning: Meaning, rng: random.Random) -> dict[str, str]:
    """Say time, place, subject, object and verb, each alone."""
    action = ACTIONS[meaning.action]
    plural_ending = meaning.agent_plural and THINGS[meaning.agent].kind == "person" and rng.random() < 0.5
    return {
        "T": rng.choice(TIMES[meaning.time].phrases) if meaning.time else "",
        "P": decline(PLACES[meaning.place].noun, case=action.place_case) if meaning.place else "",
        "S": _subject(meaning, rng),
        "O": _object(meaning, action, rng) if meaning.object else "",
        "V": conjugate(
            rng.choice(action.verbs),
            meaning.tense,
            person="3pl" if plural_ending else "3sg",
            negated=meaning.negated,
        ),
    }


def _adjective(quality: str | None, rng: random.Random) -> str:
    """Say a quality, with a space behind it."""
    return rng.choice(QUALITIES[quality].adjectives) + " " if quality else ""


def _subject(meaning: Meaning, rng: random.Random) -> str:
    """Say who does it."""
    if meaning.agent == SOMEONE:
        return decline(_ONE, possessor="3sg")
    noun = rng.choice(THINGS[meaning.agent].nouns)
    return _adjective(meaning.agent_quality, rng) + decline(noun, plural=meaning.agent_plural)


def _object_is_marked(meaning: Meaning) -> bool:
    """Tell whether the object has a case ending, which lets it move."""
    if meaning.object is None:
        return False
    return meaning.object_definite or meaning.object == SOMEONE or ACTIONS[meaning.action].object_case != "accusative"


def _object(meaning: Meaning, action: Action, rng: random.Random) -> str:
    """Say what it is done to."""
    case: Case = action.object_case if _object_is_marked(meaning) else "nominative"
    if meaning.object == SOMEONE:
        return decline(_ONE, possessor="3sg", case=case)
    if meaning.object == SOMETHING:
        return "bir " + decline(Noun(lemma="şey"), case=case)
    thing = THINGS[meaning.object or ""]
    noun = rng.choice(thing.nouns)
    adjective = _adjective(meaning.object_quality, rng)
    if meaning.owner:
        owner = decline(THINGS[meaning.owner].nouns[0], case="genitive")
        return f"{owner} {adjective}{decline(noun, plural=meaning.object_plural, possessor='3sg', case=case)}"
    article = "" if meaning.object_definite or not _takes_article(thing, case, rng) else "bir "
    return adjective + article + decline(noun, plural=meaning.object_plural, case=case)


def _takes_article(thing: Thing, case: Case, rng: random.Random) -> bool:
    """Choose between `bir` and nothing before an indefinite object; a case ending without `bir` would be definite."""
    return thing.countable and (case != "nominative" or rng.random() < 0.6)


def _can_be_cleft(meaning: Meaning) -> bool:
    """Tell whether a meaning can be turned around: the one who reads is Ayşe."""
    person = meaning.agent in THINGS and THINGS[meaning.agent].kind == "person"
    return person and not (meaning.agent_plural or meaning.negated) and meaning.tense in ("present", "past")


def _cleft(meaning: Meaning, rng: random.Random) -> str:
    """Turn a sentence around, so that the subject becomes the predicate: parkta kitap okuyan Ayşe'ydi."""
    parts = _parts(meaning, rng)
    parts["V"] = participle(rng.choice(ACTIONS[meaning.action].verbs))
    if meaning.tense == "present":
        parts["V"] += " kişi"
    else:
        noun = rng.choice(THINGS[meaning.agent].nouns)
        parts["S"] = _adjective(meaning.agent_quality, rng) + past_copula(noun)
    return _arrange(parts, "TPOVS")
