"""English sentences for the meanings of the sandbox, so that Turkish has something to be translated from."""

import random

from hf_turkembed.sandbox.grammar import Meaning
from hf_turkembed.sandbox.lexicon import (
    ACTIONS,
    PEOPLE,
    PLACES,
    QUALITIES,
    SOMEONE,
    SOMETHING,
    THINGS,
    TIMES,
    english_s_form,
)

_PREPOSITIONS = {"dative": "to", "ablative": "from"}


def realise_english(meaning: Meaning, rng: random.Random) -> str:
    """Say a meaning in English.

    Args:
        meaning: what to say.
        rng: source of randomness; it chooses where the time stands.

    Returns:
        A sentence with a capital in front and a full stop behind.
    """
    parts = [_subject(meaning), _verb(meaning), _object(meaning), _place(meaning)]
    time = TIMES[meaning.time].english if meaning.time else ""
    if time and rng.random() < 0.4:
        parts[0] = f"{time}, {parts[0]}"
    else:
        parts.append(time)
    sentence = " ".join(filter(None, parts))
    return sentence[0].upper() + sentence[1:] + "."


def _quality(quality: str | None) -> str:
    """Say a quality, with a space behind it."""
    return QUALITIES[quality].english + " " if quality else ""


def _subject(meaning: Meaning) -> str:
    """Say who does it."""
    if meaning.agent in PEOPLE or meaning.agent == SOMEONE:
        return meaning.agent
    thing = THINGS[meaning.agent]
    return f"the {_quality(meaning.agent_quality)}{thing.english_plural if meaning.agent_plural else thing.english}"


def _object(meaning: Meaning) -> str:
    """Say what it is done to."""
    if meaning.object is None or meaning.object in (SOMEONE, SOMETHING, *PEOPLE):
        return meaning.object or ""
    thing = THINGS[meaning.object]
    noun = _quality(meaning.object_quality) + (thing.english_plural if meaning.object_plural else thing.english)
    if meaning.owner:
        return f"{meaning.owner}'s {noun}"
    if meaning.object_definite:
        return f"the {noun}"
    if not thing.countable:
        return noun
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _place(meaning: Meaning) -> str:
    """Say where it happens, or whereto, or wherefrom."""
    if meaning.place is None:
        return ""
    place = PLACES[meaning.place]
    preposition = _PREPOSITIONS.get(ACTIONS[meaning.action].place_case)
    if preposition is None:
        return f"{place.english_preposition} {place.english}"
    return f"{preposition} {place.english}" if place.kind == "city" else f"{preposition} the {place.english}"


def _verb(meaning: Meaning) -> str:
    """Say what is done, in the English tense nearest to the Turkish one."""
    base, past, gerund = ACTIONS[meaning.action].english
    denial = "not " if meaning.negated else ""
    if meaning.tense == "present":
        return f"{'are' if meaning.agent_plural else 'is'} {denial}{gerund}"
    if meaning.tense == "future":
        return f"will {denial}{base}"
    if meaning.tense == "aorist":
        if meaning.negated:
            return f"{'do' if meaning.agent_plural else 'does'} not {base}"
        return base if meaning.agent_plural else _third_person(base)
    return ("apparently " if meaning.tense == "evidential" else "") + (f"did not {base}" if meaning.negated else past)


def _third_person(base: str) -> str:
    """Add the ending of the third person to the first word of a verb."""
    verb, _, particle = base.partition(" ")
    verb = "goes" if verb == "go" else english_s_form(verb)
    return f"{verb} {particle}" if particle else verb
