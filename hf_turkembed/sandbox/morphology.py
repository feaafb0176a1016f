"""Turkish suffixation: vowel harmony, softening, buffer letters, declension and conjugation."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

Case = Literal["nominative", "accusative", "dative", "locative", "ablative", "genitive"]
Person = Literal["1sg", "2sg", "3sg", "1pl", "2pl", "3pl"]
Tense = Literal["present", "past", "future", "evidential", "aorist"]

VOWELS = "aeıioöuüâîû"
BACK_VOWELS = "aıouâû"
ROUND_VOWELS = "oöuüû"
VOICELESS_CONSONANTS = "çfhkpsşt"

_FRONTED = {"a": "e", "ı": "i", "o": "ö", "u": "ü"}
_SOFTENED = {"p": "b", "ç": "c", "t": "d", "k": "ğ"}

# In a suffix, A is a or e, I is ı, i, u or ü, D is d or t; a letter in brackets keeps two vowels, or two consonants,
# apart.
_CASES: dict[Case, str] = {
    "nominative": "",
    "accusative": "(y)I",
    "dative": "(y)A",
    "locative": "DA",
    "ablative": "DAn",
    "genitive": "(n)In",
}
# After a third-person possessive every case begins with the pronominal n: evi, evinde.
_CASES_AFTER_THIRD_PERSON: dict[Case, str] = {
    "nominative": "",
    "accusative": "nI",
    "dative": "nA",
    "locative": "nDA",
    "ablative": "nDAn",
    "genitive": "nIn",
}
_POSSESSIVES: dict[Person, str] = {
    "1sg": "(I)m",
    "2sg": "(I)n",
    "3sg": "(s)I",
    "1pl": "(I)mIz",
    "2pl": "(I)nIz",
    "3pl": "lArI",
}
_PAST_ENDINGS: dict[Person, str] = {"1sg": "m", "2sg": "n", "3sg": "", "1pl": "k", "2pl": "nIz", "3pl": "lAr"}
_OTHER_ENDINGS: dict[Person, str] = {
    "1sg": "(y)Im",
    "2sg": "sIn",
    "3sg": "",
    "1pl": "(y)Iz",
    "2pl": "sInIz",
    "3pl": "lAr",
}
# The stems of one syllable whose aorist has a high vowel (gelir), where others have an open one (yapar).
_HIGH_AORIST_STEMS = frozenset("al bil bul dur gel gör kal ol öl san var ver vur".split())


@dataclass(frozen=True, kw_only=True)
class Noun:
    """A noun and what its lemma does not show about the way it inflects."""

    lemma: str
    # Whether a final p, ç, t, k is voiced before a vowel; None follows the rule: of several syllables and not in t.
    softens: bool | None = None
    # Whether the last vowel falls before a vowel: burun, burnu.
    drops_vowel: bool = False
    # Whether suffixes are front although the last vowel is back: saat, saati.
    front: bool = False
    # Whether y stands before a vowel as if it closed the stem: su, suyu.
    closes_with_y: bool = False
    # Whether it is a name, written with an apostrophe before suffixes and never softened.
    proper: bool = False


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb stem and what it does not show about the way it inflects."""

    stem: str
    # Whether a final t is voiced before a vowel: git, gidiyor.
    softens: bool = False
    # Vowel of the aorist; None follows the rule: open after one syllable, save for thirteen stems, else high.
    aorist: Literal["A", "I"] | None = None


def turkish_lower(text: str) -> str:
    """Lower-case a text by the Turkish alphabet, where I pairs with ı and İ with i.

    Args:
        text: any text.

    Returns:
        The text in lower case.
    """
    return text.replace("I", "ı").replace("İ", "i").lower()


def turkish_upper(text: str) -> str:
    """Upper-case a text by the Turkish alphabet, where i pairs with İ and ı with I.

    Args:
        text: any text.

    Returns:
        The text in upper case.
    """
    return text.replace("i", "İ").replace("ı", "I").upper()


def turkish_capitalize(text: str) -> str:
    """Upper-case the first letter of a text and leave the rest as it is.

    Args:
        text: any text.

    Returns:
        The text with a Turkish capital in front.
    """
    return turkish_upper(text[:1]) + text[1:]


def suffix_form(stem: str, suffix: str, *, vowel: str | None = None) -> str:
    """Give the form that a suffix takes after a stem.

    Args:
        stem: what stands before the suffix, in any case, possibly several words.
        suffix: letters, with A for a or e, I for ı, i, u or ü, D for d or t, and brackets around a buffer letter.
        vowel: the vowel that the suffix agrees with; the last one of the stem when None.

    Returns:
        The suffix alone, in lower case.

    Raises:
        ValueError: if there is no vowel to agree with.
    """
    return _suffix_form(turkish_lower(stem), suffix, vowel)


@cache
def decline(noun: Noun, *, plural: bool = False, possessor: Person | None = None, case: Case = "nominative") -> str:
    """Inflect a noun for number, possessor and case, in this order.

    Args:
        noun: the noun.
        plural: whether it takes -lAr; with a third-person plural possessor this ending is written once (evleri).
        possessor: whose it is, or None.
        case: the case.

    Returns:
        The inflected word.

    Raises:
        ValueError: if a proper name is asked for in the plural.
    """
    if plural and noun.proper:
        raise ValueError(f"{noun.lemma!r} is a proper name, which has no plural here; ask for the singular.")
    possessive = "" if possessor is None else _POSSESSIVES["3sg" if plural and possessor == "3pl" else possessor]
    endings = _CASES_AFTER_THIRD_PERSON if possessor in ("3sg", "3pl") else _CASES
    return _add_to_noun(noun, ("lAr" if plural else "", possessive, endings[case]))


@cache
def past_copula(noun: Noun, *, plural: bool = False) -> str:
    """Say that something was the noun: öğretmendi, Ayşe'ydi.

    Args:
        noun: the noun.
        plural: whether it takes -lAr first.

    Returns:
        The noun with the past copula.

    Raises:
        ValueError: if a proper name is asked for in the plural.
    """
    if plural and noun.proper:
        raise ValueError(f"{noun.lemma!r} is a proper name, which has no plural here; ask for the singular.")
    return _add_to_noun(noun, ("lAr" if plural else "", "(y)DI"))


@cache
def conjugate(verb: Verb, tense: Tense, *, person: Person = "3sg", negated: bool = False) -> str:
    """Inflect a verb for negation, tense and person.

    Args:
        verb: the verb.
        tense: present (-Iyor), past (-DI), future (-AcAk), evidential (-mIş) or aorist (-Ar, -Ir).
        person: whom the verb agrees with.
        negated: whether it takes -mA (-mAz in the aorist).

    Returns:
        The inflected verb.
    """
    if tense == "aorist" and negated:
        return _negated_aorist(verb, person)
    word = _present(verb, negated) if tense == "present" else _other_tense(verb, tense, negated)
    if tense == "past":
        return word + suffix_form(word, _PAST_ENDINGS[person])
    if tense == "future" and person in ("1sg", "1pl"):
        word = _soften(word)
    return word + suffix_form(word, _OTHER_ENDINGS[person])


@cache
def participle(verb: Verb, *, negated: bool = False) -> str:
    """Give the subject participle: okuyan, giden, beklemeyen.

    Args:
        verb: the verb.
        negated: whether it takes -mA.

    Returns:
        The participle.
    """
    base = _negate(verb) if negated else _before_vowel(verb)
    return base + suffix_form(base, "(y)An")


def written_stem(word: Noun | Verb, form: str) -> str | None:
    """Find the stem as one of a word's own forms spells it: kitab in kitabı, gid in gidiyor.

    Args:
        word: the noun or verb.
        form: a form that `decline`, `conjugate` or another function here has given for it.

    Returns:
        The beginning of the form before its first suffix, or None where a suffix has taken the place of the stem's
        last vowel (bekle, bekliyor), so that neither letter can be said to end the stem.
    """
    if isinstance(word, Noun):
        spellings = (word.lemma, _stem_before_vowel(word))
    else:
        spellings = (word.stem, _before_vowel(word))
    return next((stem for stem in spellings if form.startswith(stem)), None)


def question_particle(word: str) -> str:
    """Give the particle that asks about a word, which is written apart: geldi mi, okuyor mu.

    Args:
        word: the word before the particle.

    Returns:
        One of mı, mi, mu, mü.

    Raises:
        ValueError: if the word has no vowel.
    """
    return suffix_form(word, "mI")


@cache
def _suffix_form(stem: str, suffix: str, vowel: str | None) -> str:
    """Spell a suffix letter by letter after a lower-case stem."""
    if not (vowel or _last_vowel(stem)):
        raise ValueError(f"{stem!r} has no vowel for a suffix to agree with; expected a Turkish word.")
    form = ""
    for position, letter in enumerate(suffix):
        if letter in "()":
            continue
        after = stem + form
        if suffix[position - 1 : position] == "(" and (letter in "AI") == (after[-1] in VOWELS):
            continue
        if letter in "AI":
            form += _harmonise(letter, _last_vowel(form) or vowel or _last_vowel(stem))
        elif letter == "D":
            form += "t" if after[-1] in VOICELESS_CONSONANTS else "d"
        else:
            form += letter
    return form


def _harmonise(letter: str, vowel: str) -> str:
    """Choose the vowel of a suffix after another vowel."""
    if letter == "A":
        return "a" if vowel in BACK_VOWELS else "e"
    if vowel in ROUND_VOWELS:
        return "u" if vowel in BACK_VOWELS else "ü"
    return "ı" if vowel in BACK_VOWELS else "i"


def _last_vowel(text: str) -> str:
    """Return the last vowel of a lower-case text, or nothing."""
    return next((letter for letter in reversed(text) if letter in VOWELS), "")


def _syllables(word: str) -> int:
    """Count the vowels of the last word."""
    return sum(letter in VOWELS for letter in turkish_lower(word.rsplit(" ", 1)[-1]))


def _soften(word: str) -> str:
    """Voice the last consonant: kitap, kitab; renk, reng."""
    last = "g" if word.endswith("nk") else _SOFTENED.get(word[-1], word[-1])
    return word[:-1] + last


def _softens(noun: Noun) -> bool:
    """Apply the rule of softening where the lexicon says nothing."""
    if noun.softens is not None:
        return noun.softens
    return noun.lemma[-1] in "pçk" and _syllables(noun.lemma) > 1


def _stem_before_vowel(noun: Noun) -> str:
    """Return the stem that a suffix with a vowel in front sees."""
    stem = noun.lemma
    if noun.drops_vowel:
        stem = stem[:-2] + stem[-1]
    if _softens(noun):
        stem = _soften(stem)
    return stem + "y" if noun.closes_with_y else stem


def _add_to_noun(noun: Noun, suffixes: tuple[str, ...]) -> str:
    """Write suffixes one after another behind a noun."""
    vowel = _last_vowel(turkish_lower(noun.lemma))
    if noun.front:
        vowel = _FRONTED.get(vowel, vowel)
    stem, word = noun.lemma, ""
    for suffix in filter(None, suffixes):
        if word:
            word += suffix_form(word, suffix)
            continue
        changed = stem if noun.proper else _stem_before_vowel(noun)
        form = suffix_form(changed, suffix, vowel=vowel)
        if form[0] in VOWELS:
            stem = changed
        else:
            form = suffix_form(stem, suffix, vowel=vowel)
        word = f"{stem}'{form}" if noun.proper else stem + form
    return word or stem


def _before_vowel(verb: Verb) -> str:
    """Return the stem before a suffix with a vowel in front; ye and de narrow before its buffer y."""
    if verb.stem.rsplit(" ", 1)[-1] in ("ye", "de"):
        return verb.stem[:-1] + "i"
    return _soften(verb.stem) if verb.softens else verb.stem


def _negate(verb: Verb) -> str:
    """Return the negated stem, which ends in a vowel."""
    return verb.stem + suffix_form(verb.stem, "mA")


def _present(verb: Verb, negated: bool) -> str:
    """Form the present in -Iyor, which narrows an open vowel before it: bekle, bekliyor."""
    base = _negate(verb) if negated else verb.stem
    if base[-1] in "ae":
        word = base.rsplit(" ", 1)[-1]
        return base[:-1] + suffix_form(base[:-1], "Iyor", vowel=_last_vowel(word[:-1]) or base[-1])
    base = _before_vowel(verb)
    return base + suffix_form(base, "(I)yor")


def _other_tense(verb: Verb, tense: Tense, negated: bool) -> str:
    """Form the third person of the past, the future, the evidential or the affirmative aorist."""
    if tense == "aorist":
        return _aorist(verb)
    base = _negate(verb) if negated else verb.stem
    if tense == "future":
        base = base if negated else _before_vowel(verb)
        return base + suffix_form(base, "(y)AcAk")
    return base + suffix_form(base, "DI" if tense == "past" else "mIş")


def _aorist(verb: Verb) -> str:
    """Form the aorist in -r, -Ar or -Ir."""
    if verb.stem[-1] in VOWELS:
        return verb.stem + "r"
    rule = "A" if _syllables(verb.stem) == 1 and verb.stem.rsplit(" ", 1)[-1] not in _HIGH_AORIST_STEMS else "I"
    base = _before_vowel(verb)
    return base + suffix_form(base, (verb.aorist or rule) + "r")


def _negated_aorist(verb: Verb, person: Person) -> str:
    """Form the negated aorist, whose first persons have no z: gelmem, gelmeyiz."""
    ending = {"1sg": "mAm", "1pl": "mAyIz"}.get(person, "mAz")
    word = verb.stem + suffix_form(verb.stem, ending)
    return word if person in ("1sg", "1pl") else word + suffix_form(word, _OTHER_ENDINGS[person])
