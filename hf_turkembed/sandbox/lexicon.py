"""Tables of the sandbox world: what everything is called in Turkish and English, and what may be done with it."""

from hf_turkembed.sandbox.concepts import Action, Place, Quality, Thing, Time
from hf_turkembed.sandbox.morphology import Case, Noun, Verb

# Whatever the rule of softening and the shape of the lemma get wrong.
_IRREGULAR_NOUNS = {
    noun.lemma: noun
    for noun in (
        Noun(lemma="armut", softens=True),
        Noun(lemma="resim", drops_vowel=True),
        Noun(lemma="saat", front=True),
        Noun(lemma="su", closes_with_y=True),
        Noun(lemma="şehir", drops_vowel=True),
        Noun(lemma="metin", drops_vowel=True),
    )
}
_UNCOUNTABLE = frozenset(
    "rice soup pasta meat bread cheese butter honey water tea coffee milk ayran lemonade food drink clothing".split()
)
_IRREGULAR_PLURALS = {"fish": "fish", "series": "series", "child": "children", "woman": "women", "man": "men"}

# kind: English noun, then its Turkish nouns; the first of each kind after `*` names the kind itself.
_NOUNS = {
    "fruit": "*fruit:meyve apple:elma orange:portakal grape:üzüm watermelon:karpuz pear:armut cherry:kiraz "
    "peach:şeftali banana:muz",
    "dish": "*meal:yemek soup:çorba rice:pilav pasta:makarna fish:balık egg:yumurta meat:et",
    "snack": "*food:yiyecek bread:ekmek cheese:peynir cake:pasta honey:bal",
    "drink": "*drink:içecek water:su tea:çay coffee:kahve milk:süt ayran:ayran lemonade:limonata",
    "text": "*publication:yayın book:kitap magazine:dergi newspaper:gazete novel:roman",
    "writing": "*text:metin/yazı letter:mektup poem:şiir report:rapor story:hikâye/öykü",
    "transit": "*vehicle:taşıt/araç bus:otobüs train:tren plane:uçak ship:gemi taxi:taksi",
    "car": "*motor_vehicle:taşıt/araç car:araba/otomobil truck:kamyon tractor:traktör minibus:minibüs",
    "device": "bicycle:bisiklet computer:bilgisayar phone:telefon radio:radyo camera:kamera clock:saat",
    "clothing": "*garment:giysi/kıyafet shirt:gömlek jacket:ceket coat:palto dress:elbise hat:şapka sweater:kazak "
    "skirt:etek",
    "instrument": "*instrument:çalgı/enstrüman guitar:gitar piano:piyano violin:keman flute:flüt drum:davul",
    "music": "song:şarkı folk_song:türkü melody:melodi/ezgi",
    "show": "film:film series:dizi match:maç documentary:belgesel",
    "furniture": "table:masa chair:sandalye carpet:halı mirror:ayna cupboard:dolap bed:yatak",
    "container": "box:kutu suitcase:bavul/valiz bag:çanta",
    "opening": "door:kapı window:pencere drawer:çekmece",
    "dishware": "glass:bardak plate:tabak cup:fincan vase:vazo jug:sürahi bottle:şişe",
    "picture": "picture:resim photograph:fotoğraf map:harita",
    "animal": "*animal:hayvan cat:kedi dog:köpek horse:at bird:kuş rabbit:tavşan lamb:kuzu",
    "plant": "*plant:bitki flower:çiçek tree:ağaç rose:gül sapling:fidan tulip:lale",
    "person": "child:çocuk teacher:öğretmen doctor:doktor/hekim student:öğrenci woman:kadın man:adam nurse:hemşire "
    "engineer:mühendis cook:aşçı farmer:çiftçi writer:yazar neighbour:komşu driver:şoför/sürücü soldier:asker "
    "painter:ressam worker:işçi grandfather:dede/büyükbaba tourist:turist",
}

# Things that stand for any other, and have no table row: their Turkish is a pronoun.
SOMEONE = "someone"
SOMETHING = "something"


def english_s_form(word: str) -> str:
    """Add the ending of the English plural and of the third person.

    Args:
        word: a regular English noun or verb.

    Returns:
        The word with -s, -es or -ies.
    """
    if word.endswith(("s", "sh", "ch", "x")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def _noun(lemma: str) -> Noun:
    """Look a lemma up among the irregular ones."""
    return _IRREGULAR_NOUNS.get(lemma, Noun(lemma=lemma))


def _things() -> tuple[dict[str, Thing], dict[str, str]]:
    """Read the noun table: every thing by key, and the key of the thing that names each kind."""
    things, heads = {}, {}
    for kind, row in _NOUNS.items():
        for entry in row.split():
            key, nouns = entry.lstrip("*").split(":")
            if entry.startswith("*"):
                heads[kind] = key
            english = key.replace("_", " ")
            things[key] = Thing(
                key=key,
                kind=kind,
                nouns=tuple(_noun(lemma) for lemma in nouns.split("/")),
                english=english,
                english_plural=_IRREGULAR_PLURALS.get(english) or english_s_form(english),
                countable=key not in _UNCOUNTABLE,
            )
    return things, heads


# `HYPERNYMS` gives the key of the thing that names a kind, for the kinds that have a name.
THINGS, HYPERNYMS = _things()

PEOPLE = tuple(
    "Ayşe Fatma Zeynep Elif Emine Hatice Merve Esra Büşra Selin İrem Şule Çağla Işıl "
    "Ahmet Mehmet Mustafa Ali Hüseyin Murat Emre Burak Ömer Yusuf İbrahim Özgür Umut Tarık".split()
)
THINGS.update(
    (name, Thing(key=name, kind="person", nouns=(Noun(lemma=name, proper=True),), english=name, english_plural=name))
    for name in PEOPLE
)
CITIES = tuple(
    "İstanbul Ankara İzmir Bursa Antalya Adana Konya Iğdır Trabzon Samsun Diyarbakır Van Muş Sivas Eskişehir Kayseri "
    "Edirne Erzurum Mersin Zonguldak Çorum Uşak".split()
)


def _action(
    key: str,
    verbs: str,
    english: tuple[str, str, str],
    objects: str = "",
    *,
    agents: str = "person",
    object_case: Case = "accusative",
    place_case: Case = "locative",
    settings: str = "indoor outdoor shore city",
    opposite: str | None = None,
) -> Action:
    """Build an action from verb stems separated by slashes; a stem in -et of the verb et is softened."""
    return Action(
        key=key,
        verbs=tuple(
            Verb(stem=stem, softens=stem in _SOFTENING_STEMS, aorist="A" if stem in _SOFTENING_STEMS else None)
            for stem in verbs.split("/")
        ),
        english=english,
        agents=tuple(agents.split()),
        objects=tuple(objects.split()),
        object_case=object_case,
        place_case=place_case,
        settings=tuple(settings.split()),
        opposite=opposite,
    )


_SOFTENING_STEMS = frozenset({"git", "seyret", "tamir et", "yardım et", "ziyaret et", "dans et"})
_OPEN_AIR = "outdoor shore city"
_INDOORS = "indoor city"
_TRADED = "fruit snack text clothing device car furniture dishware instrument"

ACTIONS = {
    action.key: action
    for action in (
        _action("eat", "ye", ("eat", "ate", "eating"), "fruit dish snack"),
        _action("drink", "iç", ("drink", "drank", "drinking"), "drink"),
        _action("cook", "pişir", ("cook", "cooked", "cooking"), "dish", settings=_INDOORS),
        _action("prepare", "hazırla", ("prepare", "prepared", "preparing"), "dish drink writing"),
        _action("buy", "satın al/al", ("buy", "bought", "buying"), _TRADED, opposite="sell"),
        _action("sell", "sat", ("sell", "sold", "selling"), _TRADED, opposite="buy"),
        _action("read", "oku", ("read", "read", "reading"), "text writing"),
        _action("write", "yaz", ("write", "wrote", "writing"), "writing"),
        _action("send", "gönder/yolla", ("send", "sent", "sending"), "writing container picture"),
        _action(
            "board",
            "bin",
            ("get on", "got on", "getting on"),
            "transit",
            object_case="dative",
            settings=_OPEN_AIR,
            opposite="leave",
        ),
        _action(
            "leave",
            "in",
            ("get off", "got off", "getting off"),
            "transit",
            object_case="ablative",
            settings=_OPEN_AIR,
            opposite="board",
        ),
        _action("drive", "sür/kullan", ("drive", "drove", "driving"), "car", settings=_OPEN_AIR),
        _action("repair", "onar/tamir et", ("repair", "repaired", "repairing"), "car device", opposite="ruin"),
        _action("ruin", "boz", ("ruin", "ruined", "ruining"), "device", opposite="repair"),
        _action("break", "kır", ("break", "broke", "breaking"), "dishware"),
        _action("wash", "yıka", ("wash", "washed", "washing"), "dishware clothing car fruit"),
        _action("put_on", "giy", ("put on", "put on", "putting on"), "clothing", opposite="take_off"),
        _action("take_off", "çıkar", ("take off", "took off", "taking off"), "clothing", opposite="put_on"),
        _action("iron", "ütüle", ("iron", "ironed", "ironing"), "clothing", settings=_INDOORS),
        _action("play", "çal", ("play", "played", "playing"), "instrument"),
        _action("listen", "dinle", ("listen to", "listened to", "listening to"), "music"),
        _action("watch", "izle/seyret", ("watch", "watched", "watching"), "show"),
        _action("look", "bak", ("look at", "looked at", "looking at"), "picture", object_case="dative"),
        _action("draw", "çiz", ("draw", "drew", "drawing"), "picture animal plant"),
        _action("clean", "temizle", ("clean", "cleaned", "cleaning"), "furniture opening dishware", opposite="dirty"),
        _action(
            "dirty",
            "kirlet",
            ("dirty", "dirtied", "dirtying"),
            "furniture opening dishware clothing",
            opposite="clean",
        ),
        _action("carry", "taşı", ("carry", "carried", "carrying"), "furniture container"),
        _action("paint", "boya", ("paint", "painted", "painting"), "furniture opening car"),
        _action("open", "aç", ("open", "opened", "opening"), "opening container", opposite="close"),
        _action("close", "kapat/kapa", ("close", "closed", "closing"), "opening container", opposite="open"),
        _action("feed", "besle", ("feed", "fed", "feeding"), "animal"),
        _action("stroke", "okşa", ("stroke", "stroked", "stroking"), "animal"),
        _action(
            "search",
            "ara",
            ("look for", "looked for", "looking for"),
            "animal device container person clothing",
            opposite="find",
        ),
        _action("find", "bul", ("find", "found", "finding"), "animal device container clothing", opposite="search"),
        _action("wait", "bekle", ("wait for", "waited for", "waiting for"), "person transit"),
        _action("help", "yardım et", ("help", "helped", "helping"), "person", object_case="dative"),
        _action("visit", "ziyaret et", ("visit", "visited", "visiting"), "person"),
        _action("greet", "selamla", ("greet", "greeted", "greeting"), "person"),
        _action("water", "sula", ("water", "watered", "watering"), "plant", settings=_OPEN_AIR),
        _action("plant", "dik", ("plant", "planted", "planting"), "plant", settings=_OPEN_AIR),
        _action("pick", "topla", ("pick", "picked", "picking"), "fruit", settings=_OPEN_AIR),
        _action("cut", "kes", ("cut", "cut", "cutting"), "fruit snack"),
        _action("go", "git", ("go", "went", "going"), place_case="dative", opposite="come"),
        _action("come", "gel", ("come", "came", "coming"), place_case="ablative", opposite="go"),
        _action("run", "koş", ("run", "ran", "running"), agents="person animal"),
        _action("walk", "yürü", ("walk", "walked", "walking"), agents="person animal"),
        _action("sleep", "uyu", ("sleep", "slept", "sleeping"), agents="person animal", opposite="wake"),
        _action("wake", "uyan", ("wake up", "woke up", "waking up"), agents="person animal", opposite="sleep"),
        _action("laugh", "gül", ("laugh", "laughed", "laughing"), opposite="cry"),
        _action("cry", "ağla", ("cry", "cried", "crying"), opposite="laugh"),
        _action("work", "çalış", ("work", "worked", "working"), opposite="rest"),
        _action("rest", "dinlen", ("rest", "rested", "resting"), agents="person animal", opposite="work"),
        _action("sit", "otur", ("sit", "sat", "sitting")),
        _action("dance", "dans et", ("dance", "danced", "dancing")),
        _action("sing", "şarkı söyle", ("sing", "sang", "singing")),
        _action("talk", "konuş", ("talk", "talked", "talking"), opposite="hush"),
        _action("hush", "sus", ("keep quiet", "kept quiet", "keeping quiet"), opposite="talk"),
        _action("swim", "yüz", ("swim", "swam", "swimming"), settings="shore city"),
        _action("play_games", "oyna", ("play", "played", "playing"), agents="person animal"),
    )
}

_GOODS = "clothing car transit device furniture instrument text"
_SIZED = "animal furniture container opening dishware plant device picture instrument"
_COLOURED = "clothing car container opening furniture dishware"
_COLOURS = {
    "red": "kırmızı",
    "blue": "mavi",
    "green": "yeşil",
    "white": "beyaz",
    "black": "siyah/kara",
    "yellow": "sarı",
}
# English adjective, Turkish adjectives, kinds, and the opposite in the same way.
_OPPOSED = (
    (("big", "büyük/kocaman"), ("small", "küçük/ufak"), _SIZED),
    (("old", "eski"), ("new", "yeni"), _GOODS),
    (("elderly", "yaşlı/ihtiyar"), ("young", "genç"), "person"),
    (("happy", "mutlu/neşeli"), ("sad", "üzgün/kederli"), "person"),
    (("rich", "zengin/varlıklı"), ("poor", "fakir/yoksul"), "person"),
    (("hardworking", "çalışkan"), ("lazy", "tembel"), "person"),
    (("hot", "sıcak"), ("cold", "soğuk"), "drink dish"),
    (("clean", "temiz"), ("dirty", "kirli/pis"), "clothing dishware car furniture"),
    (("long", "uzun"), ("short", "kısa"), "text writing music show"),
    (("expensive", "pahalı"), ("cheap", "ucuz"), _GOODS),
    (("heavy", "ağır"), ("light", "hafif"), "container furniture"),
    (("fresh", "taze"), ("stale", "bayat"), "snack fruit"),
    (("interesting", "ilginç/enteresan"), ("boring", "sıkıcı"), "text writing show music"),
)


def _quality(key: str, adjectives: str, kinds: str, opposites: tuple[str, ...]) -> Quality:
    """Build a quality from adjectives separated by slashes."""
    return Quality(
        key=key,
        adjectives=tuple(adjectives.split("/")),
        english=key,
        kinds=tuple(kinds.split()),
        opposites=opposites,
    )


QUALITIES = {
    quality.key: quality
    for quality in (
        *(
            _quality(*word, kinds, (other[0],))
            for left, right, kinds in _OPPOSED
            for word, other in ((left, right), (right, left))
        ),
        *(
            _quality(key, adjectives, _COLOURED, tuple(other for other in _COLOURS if other != key))
            for key, adjectives in _COLOURS.items()
        ),
    )
}

PLACES = {
    key: Place(key=key, kind=kind, noun=_noun(lemma), english_preposition=preposition, english=key)
    for key, kind, lemma, preposition in (
        ("park", "outdoor", "park", "in the"),
        ("school", "indoor", "okul", "at the"),
        ("house", "indoor", "ev", "in the"),
        ("hospital", "indoor", "hastane", "in the"),
        ("kitchen", "indoor", "mutfak", "in the"),
        ("garden", "outdoor", "bahçe", "in the"),
        ("library", "indoor", "kütüphane", "in the"),
        ("street", "outdoor", "sokak", "on the"),
        ("market", "outdoor", "pazar", "at the"),
        ("hotel", "indoor", "otel", "at the"),
        ("forest", "outdoor", "orman", "in the"),
        ("beach", "shore", "sahil", "on the"),
        ("village", "outdoor", "köy", "in the"),
        ("cafe", "indoor", "kafe", "in the"),
        ("station", "outdoor", "istasyon", "at the"),
        ("factory", "indoor", "fabrika", "in the"),
        ("museum", "indoor", "müze", "in the"),
        ("city", "outdoor", "şehir", "in the"),
    )
} | {
    city: Place(key=city, kind="city", noun=Noun(lemma=city, proper=True), english_preposition="in", english=city)
    for city in CITIES
}

TIMES = {
    time.key: time
    for time in (
        Time(key="yesterday", phrases=("dün",), english="yesterday", tenses=("past", "evidential")),
        Time(key="last week", phrases=("geçen hafta",), english="last week", tenses=("past", "evidential")),
        Time(key="last year", phrases=("geçen yıl", "geçen sene"), english="last year", tenses=("past", "evidential")),
        Time(key="this morning", phrases=("bu sabah",), english="this morning", tenses=("past", "evidential")),
        Time(key="now", phrases=("şimdi", "şu anda"), english="now", tenses=("present",)),
        Time(key="today", phrases=("bugün",), english="today", tenses=("present", "past", "future")),
        Time(key="tonight", phrases=("bu akşam",), english="this evening", tenses=("future",)),
        Time(key="tomorrow", phrases=("yarın",), english="tomorrow", tenses=("future",)),
        Time(
            key="next week",
            phrases=("gelecek hafta", "önümüzdeki hafta"),
            english="next week",
            tenses=("future",),
        ),
        Time(key="next year", phrases=("gelecek yıl", "gelecek sene"), english="next year", tenses=("future",)),
        Time(key="every day", phrases=("her gün",), english="every day", tenses=("aorist",)),
        Time(key="every week", phrases=("her hafta",), english="every week", tenses=("aorist",)),
        Time(key="in summer", phrases=("yazın",), english="in summer", tenses=("aorist",)),
        Time(key="at weekends", phrases=("hafta sonları",), english="at weekends", tenses=("aorist",)),
    )
}
