"""Turkish suffixation: a table of known forms, and what holds for every word."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_turkembed.sandbox.lexicon import ACTIONS, CITIES, PEOPLE, PLACES, THINGS
from hf_turkembed.sandbox.morphology import (
    Noun,
    Verb,
    conjugate,
    decline,
    participle,
    past_copula,
    question_particle,
    suffix_form,
    turkish_capitalize,
    turkish_lower,
    turkish_upper,
)

CASES = ("nominative", "accusative", "dative", "locative", "ablative", "genitive")
PERSONS = ("1sg", "2sg", "3sg", "1pl", "2pl", "3pl")
TENSES = ("present", "past", "future", "evidential", "aorist")
NOUNS = {
    noun.lemma: noun
    for noun in (
        *(noun for thing in THINGS.values() for noun in thing.nouns),
        *(place.noun for place in PLACES.values()),
        Noun(lemma="renk", softens=True),
        Noun(lemma="at"),
        Noun(lemma="kanat", softens=True),
        Noun(lemma="burun", drops_vowel=True),
        Noun(lemma="ağız", drops_vowel=True),
        Noun(lemma="oğul", drops_vowel=True),
        Noun(lemma="vakit", drops_vowel=True),
        Noun(lemma="kayıp", drops_vowel=True),
        Noun(lemma="rüzgâr"),
        Noun(lemma="göz"),
        Noun(lemma="kız"),
        Noun(lemma="hukuk", softens=False),
    )
}
VERBS = {
    verb.stem: verb
    for verb in (
        *(verb for action in ACTIONS.values() for verb in action.verbs),
        Verb(stem="gör"),
        Verb(stem="de"),
        Verb(stem="başla"),
        Verb(stem="söyle"),
    )
}

NOUN_FORMS = [
    ("kitap", {}, "kitap"),
    ("kitap", {"case": "accusative"}, "kitabı"),
    ("kitap", {"case": "dative"}, "kitaba"),
    ("kitap", {"case": "locative"}, "kitapta"),
    ("kitap", {"case": "ablative"}, "kitaptan"),
    ("kitap", {"case": "genitive"}, "kitabın"),
    ("kitap", {"plural": True}, "kitaplar"),
    ("kitap", {"plural": True, "case": "accusative"}, "kitapları"),
    ("kitap", {"possessor": "1sg"}, "kitabım"),
    ("kitap", {"possessor": "3sg"}, "kitabı"),
    ("kitap", {"possessor": "3sg", "case": "accusative"}, "kitabını"),
    ("kitap", {"plural": True, "possessor": "1pl", "case": "ablative"}, "kitaplarımızdan"),
    ("ağaç", {"case": "accusative"}, "ağacı"),
    ("renk", {"case": "accusative"}, "rengi"),
    ("renk", {"case": "locative"}, "renkte"),
    ("kanat", {"case": "accusative"}, "kanadı"),
    ("at", {"case": "accusative"}, "atı"),
    ("süt", {"case": "accusative"}, "sütü"),
    ("hukuk", {"case": "accusative"}, "hukuku"),
    ("köpek", {"possessor": "2sg"}, "köpeğin"),
    ("çocuk", {"case": "dative"}, "çocuğa"),
    ("armut", {"case": "accusative"}, "armudu"),
    ("ev", {"case": "locative"}, "evde"),
    ("ev", {"possessor": "3sg", "case": "locative"}, "evinde"),
    ("ev", {"possessor": "3sg", "case": "genitive"}, "evinin"),
    ("ev", {"possessor": "1pl", "case": "dative"}, "evimize"),
    ("ev", {"possessor": "3pl"}, "evleri"),
    ("ev", {"plural": True, "possessor": "3pl"}, "evleri"),
    ("ev", {"possessor": "3pl", "case": "ablative"}, "evlerinden"),
    ("araba", {"case": "accusative"}, "arabayı"),
    ("araba", {"case": "genitive"}, "arabanın"),
    ("araba", {"possessor": "3sg"}, "arabası"),
    ("araba", {"possessor": "3sg", "case": "dative"}, "arabasına"),
    ("araba", {"possessor": "1sg"}, "arabam"),
    ("kapı", {"case": "accusative"}, "kapıyı"),
    ("köy", {"case": "accusative"}, "köyü"),
    ("su", {"case": "accusative"}, "suyu"),
    ("su", {"case": "genitive"}, "suyun"),
    ("su", {"possessor": "1sg"}, "suyum"),
    ("su", {"case": "locative"}, "suda"),
    ("su", {"plural": True}, "sular"),
    ("saat", {"plural": True}, "saatler"),
    ("saat", {"case": "accusative"}, "saati"),
    ("saat", {"case": "locative"}, "saatte"),
    ("burun", {"possessor": "3sg"}, "burnu"),
    ("burun", {"case": "locative"}, "burunda"),
    ("ağız", {"possessor": "1sg"}, "ağzım"),
    ("oğul", {"possessor": "3sg"}, "oğlu"),
    ("şehir", {"case": "dative"}, "şehre"),
    ("şehir", {"plural": True, "case": "genitive"}, "şehirlerin"),
    ("resim", {"case": "accusative"}, "resmi"),
    ("vakit", {"case": "accusative"}, "vakti"),
    ("kayıp", {"case": "accusative"}, "kaybı"),
    ("rüzgâr", {"case": "accusative"}, "rüzgârı"),
    ("göz", {"plural": True, "possessor": "1sg", "case": "locative"}, "gözlerimde"),
    ("üzüm", {"case": "ablative"}, "üzümden"),
    ("İstanbul", {"case": "locative"}, "İstanbul'da"),
    ("Ankara", {"case": "genitive"}, "Ankara'nın"),
    ("Ayşe", {"case": "dative"}, "Ayşe'ye"),
    ("Iğdır", {"case": "ablative"}, "Iğdır'dan"),
    ("Muş", {"case": "locative"}, "Muş'ta"),
    ("Sivas", {"case": "ablative"}, "Sivas'tan"),
    ("Zonguldak", {"case": "dative"}, "Zonguldak'a"),
    ("Ahmet", {"case": "accusative"}, "Ahmet'i"),
    ("Tarık", {"case": "genitive"}, "Tarık'ın"),
    ("Işıl", {"possessor": "3sg", "case": "locative"}, "Işıl'ında"),
    ("İzmir", {"possessor": "1pl", "case": "locative"}, "İzmir'imizde"),
]
VERB_FORMS = [
    ("bekle", "present", "3sg", False, "bekliyor"),
    ("bekle", "present", "1sg", True, "beklemiyorum"),
    ("ara", "present", "3sg", False, "arıyor"),
    ("oku", "present", "1pl", False, "okuyoruz"),
    ("yürü", "present", "3pl", False, "yürüyorlar"),
    ("söyle", "present", "3sg", False, "söylüyor"),
    ("ye", "present", "3sg", False, "yiyor"),
    ("de", "present", "1sg", False, "diyorum"),
    ("git", "present", "2sg", False, "gidiyorsun"),
    ("git", "present", "3sg", True, "gitmiyor"),
    ("gör", "present", "3sg", True, "görmüyor"),
    ("git", "past", "1sg", False, "gittim"),
    ("gör", "past", "1pl", False, "gördük"),
    ("iç", "past", "3sg", False, "içti"),
    ("oku", "past", "2pl", False, "okudunuz"),
    ("gel", "past", "3pl", True, "gelmediler"),
    ("gel", "future", "1sg", False, "geleceğim"),
    ("al", "future", "1pl", False, "alacağız"),
    ("oku", "future", "3sg", False, "okuyacak"),
    ("ye", "future", "3sg", False, "yiyecek"),
    ("ye", "future", "3sg", True, "yemeyecek"),
    ("git", "future", "2sg", False, "gideceksin"),
    ("gel", "evidential", "3sg", False, "gelmiş"),
    ("gör", "evidential", "1sg", False, "görmüşüm"),
    ("bul", "evidential", "3sg", True, "bulmamış"),
    ("gel", "aorist", "3sg", False, "gelir"),
    ("yaz", "aorist", "3sg", False, "yazar"),
    ("gör", "aorist", "1sg", False, "görürüm"),
    ("git", "aorist", "3sg", False, "gider"),
    ("çalış", "aorist", "3sg", False, "çalışır"),
    ("oku", "aorist", "3pl", False, "okurlar"),
    ("seyret", "aorist", "3sg", False, "seyreder"),
    ("gel", "aorist", "1sg", True, "gelmem"),
    ("gel", "aorist", "1pl", True, "gelmeyiz"),
    ("oku", "aorist", "3sg", True, "okumaz"),
    ("yardım et", "present", "3sg", False, "yardım ediyor"),
    ("yardım et", "past", "3sg", False, "yardım etti"),
    ("satın al", "aorist", "3sg", False, "satın alır"),
]


@pytest.mark.parametrize(("lemma", "how", "expected"), NOUN_FORMS, ids=[form[2] for form in NOUN_FORMS])
def test_a_noun_takes_its_known_form(lemma, how, expected):
    assert decline(NOUNS[lemma], **how) == expected


@pytest.mark.parametrize(
    ("stem", "tense", "person", "negated", "expected"), VERB_FORMS, ids=[f[4] for f in VERB_FORMS]
)
def test_a_verb_takes_its_known_form(stem, tense, person, negated, expected):
    assert conjugate(VERBS[stem], tense, person=person, negated=negated) == expected


@pytest.mark.parametrize(
    ("stem", "negated", "expected"),
    [
        ("oku", False, "okuyan"),
        ("git", False, "giden"),
        ("ye", False, "yiyen"),
        ("bekle", True, "beklemeyen"),
        ("dans et", False, "dans eden"),
    ],
)
def test_a_verb_has_a_participle(stem, negated, expected):
    assert participle(VERBS[stem], negated=negated) == expected


@pytest.mark.parametrize(
    ("lemma", "expected"),
    [
        ("Ayşe", "Ayşe'ydi"),
        ("Ahmet", "Ahmet'ti"),
        ("öğretmen", "öğretmendi"),
        ("çocuk", "çocuktu"),
        ("saat", "saatti"),
    ],
)
def test_a_noun_takes_the_past_copula(lemma, expected):
    assert past_copula(NOUNS[lemma]) == expected


@pytest.mark.parametrize(
    ("word", "expected"), [("geldi", "mi"), ("okuyor", "mu"), ("yazar", "mı"), ("görmüş", "mü"), ("ALINIR", "mı")]
)
def test_the_question_particle_follows_the_last_vowel(word, expected):
    assert question_particle(word) == expected


@pytest.mark.parametrize(
    ("text", "upper"), [("istanbul", "İSTANBUL"), ("ılık", "ILIK"), ("ığdır", "IĞDIR"), ("şişe", "ŞİŞE")]
)
def test_turkish_casing_keeps_dotted_and_dotless_apart(text, upper):
    assert turkish_upper(text) == upper
    assert turkish_lower(upper) == text


@pytest.mark.parametrize(("text", "expected"), [("istanbul'da", "İstanbul'da"), ("ılık", "Ilık"), ("", "")])
def test_a_capital_is_put_in_front_and_nothing_else_changes(text, expected):
    assert turkish_capitalize(text) == expected


@pytest.mark.parametrize("name", [*PEOPLE, *CITIES])
def test_a_name_keeps_its_letters_before_the_apostrophe(name):
    forms = [decline(Noun(lemma=name, proper=True), case=case) for case in CASES]
    assert forms[0] == name
    assert all(form.startswith(name + "'") for form in forms[1:])


@pytest.mark.parametrize("lemma", NOUNS)
def test_d_hardens_exactly_after_a_voiceless_consonant(lemma):
    noun = NOUNS[lemma]
    suffix = decline(noun, case="locative").removeprefix(lemma).removeprefix("'")
    assert suffix[0] == ("t" if lemma[-1] in "çfhkpsşt" else "d")


@pytest.mark.parametrize("lemma", NOUNS)
def test_every_noun_agrees_with_its_last_vowel(lemma):
    noun = NOUNS[lemma]
    last = [letter for letter in turkish_lower(lemma) if letter in "aeıioöuüâ"][-1]
    back = last in "aıouâ" and not noun.front
    assert decline(noun, case="ablative").endswith("an" if back else "en")
    high = "u" if last in "ou" else "ı"
    front = "ü" if last in "öü" else "i"
    assert decline(noun, case="accusative")[-1] == (high if back else front)


@pytest.mark.parametrize("stem", VERBS)
def test_tense_person_and_negation_are_all_seen(stem):
    forms = {
        conjugate(VERBS[stem], tense, person=person, negated=negated)
        for tense in TENSES
        for person in PERSONS
        for negated in (False, True)
    }
    assert len(forms) == 60


@given(st.text(alphabet="abcçdefgğhıijklmnoöprsştuüvyz", min_size=1))
def test_casing_there_and_back_changes_nothing(text):
    assert turkish_lower(turkish_upper(text)) == text


@given(st.text(alphabet="bcçdfgğhjklmnprsştvyz", max_size=4), st.sampled_from("aeıioöuü"), st.sampled_from("bçkltz"))
def test_no_suffix_brings_two_vowels_together(onset, vowel, coda):
    for stem in (onset + vowel, onset + vowel + coda):
        for case in CASES:
            word = decline(Noun(lemma=stem), case=case)
            assert not any(a in "aeıioöuü" and b in "aeıioöuü" for a, b in itertools.pairwise(word))


def test_a_proper_name_has_no_plural():
    with pytest.raises(ValueError, match="proper name"):
        decline(Noun(lemma="Ayşe", proper=True), plural=True)
    with pytest.raises(ValueError, match="proper name"):
        past_copula(Noun(lemma="Ayşe", proper=True), plural=True)


def test_a_stem_without_a_vowel_is_refused():
    with pytest.raises(ValueError, match="no vowel"):
        suffix_form("brr", "lAr")
