"""Plain Turkish sentences of more forms than the pairs have: questions, first and second persons, possession."""

import random

from hf_turkembed.sandbox.grammar import (
    qualities_of,
    realise,
    realise_for_person,
    realise_question,
    sample_meaning,
    things_of,
)
from hf_turkembed.sandbox.lexicon import PEOPLE, PLACES, QUALITIES, THINGS
from hf_turkembed.sandbox.morphology import Person, decline, question_particle, turkish_capitalize

_PERSONS: tuple[Person, ...] = ("1sg", "2sg", "1pl", "2pl", "3pl")
_OWNERS: tuple[Person, ...] = ("1sg", "2sg", "3sg", "1pl", "2pl", "3pl")
_OWNED = things_of(("clothing", "device", "car", "animal", "furniture", "container", "instrument", "text", "picture"))
_SEEN = tuple(
    key for key in things_of(("animal", "plant", "furniture", "container", "dishware", "person")) if key not in PEOPLE
)
_NUMBERS = ("bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz", "on", "yirmi", "birkaç", "birçok")


def sample_plain_sentence(rng: random.Random) -> str:
    """Write one Turkish sentence of any form that the sandbox knows.

    Args:
        rng: source of randomness.

    Returns:
        A sentence with a capital in front and a stop or a question mark behind.
    """
    form = rng.random()
    if form < 0.6:
        return realise(sample_meaning(rng), rng)
    if form < 0.72:
        return realise_for_person(sample_meaning(rng), rng.choice(_PERSONS), rng)
    if form < 0.8:
        return realise_question(sample_meaning(rng), rng)
    return turkish_capitalize(rng.choice((_presence, _possession, _description))(rng))


def _owner(rng: random.Random) -> tuple[str, Person]:
    """Draw somebody in the genitive, with a space behind, or a person that the possessive ending alone tells."""
    if rng.random() < 0.4:
        return decline(THINGS[rng.choice(PEOPLE)].nouns[0], case="genitive") + " ", "3sg"
    return "", rng.choice(_OWNERS)


def _presence(rng: random.Random) -> str:
    """Say that something is, or is not, somewhere: evimizde üç kedi var."""
    owner, person = _owner(rng)
    place = PLACES[rng.choice(("house", "garden", "kitchen", "school", "village", "street", "factory", "hotel"))]
    where = owner + decline(place.noun, possessor=person, case="locative")
    noun = rng.choice(THINGS[rng.choice(_SEEN)].nouns).lemma
    number, ending = rng.choice((("hiç", "yok"), (rng.choice(_NUMBERS), "var")))
    return f"{where} {number} {noun} {ending}."


def _possession(rng: random.Random) -> str:
    """Say what somebody has or had: Ayşe'nin yeni bir arabası vardı."""
    owner, person = _owner(rng)
    thing = rng.choice(_OWNED)
    noun = decline(rng.choice(THINGS[thing].nouns), possessor=person)
    adjective = rng.choice(QUALITIES[rng.choice(qualities_of(thing))].adjectives)
    number = rng.choice(_NUMBERS)
    counted = f"{adjective} bir" if number == "bir" else f"{number} {adjective}"
    return f"{owner}{counted} {noun} {rng.choice(('var', 'vardı', 'olacak'))}."


def _description(rng: random.Random) -> str:
    """Say or ask what something is or was like: köpeklerimiz büyük."""
    owner, person = _owner(rng)
    thing = rng.choice(_OWNED)
    noun = decline(rng.choice(THINGS[thing].nouns), plural=rng.random() < 0.4, possessor=person)
    adjective = rng.choice(QUALITIES[rng.choice(qualities_of(thing))].adjectives)
    degree = rng.choice(("", "çok ", "biraz ", "artık "))
    if rng.random() < 0.2:
        return f"{owner}{noun} {degree}{adjective} {question_particle(adjective)}?"
    return f"{owner}{noun} {degree}{adjective}."
