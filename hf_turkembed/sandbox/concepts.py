"""What the sandbox world is made of: things, actions, qualities, places and times."""

from dataclasses import dataclass

from hf_turkembed.sandbox.morphology import Case, Noun, Tense, Verb


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A person, an animal or an object, named by its English noun."""

    key: str
    kind: str
    # Turkish nouns of one meaning, the usual one first.
    nouns: tuple[Noun, ...]
    english: str
    english_plural: str
    # Whether it is counted; what is not takes neither plural nor article.
    countable: bool = True


@dataclass(frozen=True, kw_only=True)
class Action:
    """What an agent does, with the kinds of thing that it can be done by and to."""

    key: str
    verbs: tuple[Verb, ...]
    # English base, past and -ing form, with any particle behind each.
    english: tuple[str, str, str]
    agents: tuple[str, ...] = ("person",)
    # Kinds of object; none for an intransitive verb.
    objects: tuple[str, ...] = ()
    object_case: Case = "accusative"
    place_case: Case = "locative"
    # Kinds of place where it makes sense.
    settings: tuple[str, ...] = ()
    # The action that undoes or excludes this one.
    opposite: str | None = None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What a thing can be like."""

    key: str
    adjectives: tuple[str, ...]
    english: str
    kinds: tuple[str, ...]
    # Qualities that exclude this one.
    opposites: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something happens."""

    key: str
    kind: str
    noun: Noun
    # English preposition for being there, with the article: `in the`.
    english_preposition: str
    english: str


@dataclass(frozen=True, kw_only=True)
class Time:
    """When something happens, and the tenses that go with it."""

    key: str
    phrases: tuple[str, ...]
    english: str
    tenses: tuple[Tense, ...]
