"""Simple sentences in fourteen languages and seven scripts, for the meanings that all of them can tell."""

import random
from dataclasses import dataclass

from hf_turkembed.sandbox.grammar import Meaning

# What every language below has words for, in the order of its rows; `*` marks an object that is a known one.
_AGENTS = tuple("child teacher doctor student woman man farmer engineer writer nurse".split())
_PREDICATES = tuple(
    "read/book read/newspaper write/letter eat/apple eat/bread drink/water drink/tea drink/milk wash/car* wash/plate* "
    "watch/film listen/song open/door* close/window* feed/dog* draw/picture repair/computer* sleep/ run/ work/ laugh/"
    "".split()
)
_PLACES = tuple("park school kitchen garden library market hospital forest".split())
_TIMES = ("now", "today")


@dataclass(frozen=True, kw_only=True)
class Language:
    """The words of a language for the shared meanings, in rows divided by bars, and the orders it puts them in."""

    agents: str
    # Verb and object, divided by a slash, each with its ending.
    predicates: str
    places: str
    times: str
    # Orders of subject, verb, object, place and time; any other sign stands for itself, close to what is before it.
    orders: tuple[str, ...]
    stop: str = "."
    space: str = " "
    # Agents that take another form of the verb, and that form: what is replaced in the verb, and by what.
    feminine_agents: tuple[str, ...] = ()
    feminine: tuple[str, str] = ("", "")
    # What stands for the place when none is said.
    no_place: str = ""


LANGUAGES = {
    "de": Language(
        agents="das Kind|der Lehrer|der Arzt|der Student|die Frau|der Mann|der Bauer|der Ingenieur|der Schriftsteller|"
        "die Krankenschwester",
        predicates="liest/ein Buch|liest/eine Zeitung|schreibt/einen Brief|isst/einen Apfel|isst/Brot|trinkt/Wasser|"
        "trinkt/Tee|trinkt/Milch|wäscht/das Auto|spült/den Teller|sieht/einen Film|hört/ein Lied|öffnet/die Tür|"
        "schließt/das Fenster|füttert/den Hund|malt/ein Bild|repariert/den Computer|schläft/|läuft/|arbeitet/|lacht/",
        places="im Park|in der Schule|in der Küche|im Garten|in der Bibliothek|auf dem Markt|im Krankenhaus|im Wald",
        times="jetzt|heute",
        orders=("SVTPO", "TVSPO", "PVSTO"),
    ),
    "fr": Language(
        agents="l'enfant|le professeur|le médecin|l'étudiant|la femme|l'homme|le fermier|l'ingénieur|l'écrivain|"
        "l'infirmière",
        predicates="lit/un livre|lit/un journal|écrit/une lettre|mange/une pomme|mange/du pain|boit/de l'eau|"
        "boit/du thé|boit/du lait|lave/la voiture|lave/l'assiette|regarde/un film|écoute/une chanson|ouvre/la porte|"
        "ferme/la fenêtre|nourrit/le chien|peint/un tableau|répare/l'ordinateur|dort/|court/|travaille/|rit/",
        places="dans le parc|à l'école|dans la cuisine|dans le jardin|à la bibliothèque|au marché|à l'hôpital|"
        "dans la forêt",
        times="maintenant|aujourd'hui",
        orders=("SVOPT", "T,SVOP"),
    ),
    "ru": Language(
        agents="ребёнок|учитель|врач|студент|женщина|мужчина|фермер|инженер|писатель|медсестра",
        predicates="читает/книгу|читает/газету|пишет/письмо|ест/яблоко|ест/хлеб|пьёт/воду|пьёт/чай|пьёт/молоко|"
        "моет/машину|моет/тарелку|смотрит/фильм|слушает/песню|открывает/дверь|закрывает/окно|кормит/собаку|"
        "рисует/картину|чинит/компьютер|спит/|бежит/|работает/|смеётся/",
        places="в парке|в школе|на кухне|в саду|в библиотеке|на рынке|в больнице|в лесу",
        times="сейчас|сегодня",
        orders=("STPVO", "TSVOP", "PSVO"),
    ),
    "ar": Language(
        agents="الطفل|المعلم|الطبيب|الطالب|المرأة|الرجل|الفلاح|المهندس|الكاتب|الممرضة",
        predicates="يقرأ/كتابًا|يقرأ/جريدة|يكتب/رسالة|يأكل/تفاحة|يأكل/الخبز|يشرب/الماء|يشرب/الشاي|يشرب/الحليب|"
        "يغسل/السيارة|يغسل/الطبق|يشاهد/فيلمًا|يستمع/إلى أغنية|يفتح/الباب|يغلق/النافذة|يطعم/الكلب|يرسم/صورة|"
        "يصلح/الحاسوب|ينام/|يركض/|يعمل/|يضحك/",
        places="في المنتزه|في المدرسة|في المطبخ|في الحديقة|في المكتبة|في السوق|في المستشفى|في الغابة",
        times="الآن|اليوم",
        orders=("SVOPT", "VSOPT", "TVSOP"),
        feminine_agents=("woman", "nurse"),
        feminine=("ي", "ت"),
    ),
    "zh": Language(
        agents="孩子|老师|医生|学生|女人|男人|农民|工程师|作家|护士",
        predicates="读/一本书|读/报纸|写/一封信|吃/一个苹果|吃/面包|喝/水|喝/茶|喝/牛奶|洗/车|洗/盘子|看/一部电影|"
        "听/一首歌|开/门|关/窗户|喂/狗|画/一幅画|修/电脑|睡觉/|跑步/|工作/|笑/",
        places="在公园里|在学校里|在厨房里|在花园里|在图书馆里|在市场里|在医院里|在森林里",
        times="现在|今天",
        orders=("STPVO", "TSPVO"),
        stop="。",
        space="",
        no_place="正在",
    ),
    "ja": Language(
        agents="子供は|先生は|医者は|学生は|女性は|男性は|農夫は|技師は|作家は|看護師は",
        predicates="読んでいます/本を|読んでいます/新聞を|書いています/手紙を|食べています/りんごを|食べています/パンを|"
        "飲んでいます/水を|飲んでいます/お茶を|飲んでいます/牛乳を|洗っています/車を|洗っています/皿を|"
        "見ています/映画を|聞いています/歌を|開けています/ドアを|閉めています/窓を|餌をやっています/犬に|"
        "描いています/絵を|直しています/コンピューターを|寝ています/|走っています/|働いています/|笑っています/",
        places="公園で|学校で|台所で|庭で|図書館で|市場で|病院で|森で",
        times="今|今日",
        orders=("STPOV", "T、SPOV"),
        stop="。",
        space="",
    ),
    "hi": Language(
        agents="बच्चा|शिक्षक|डॉक्टर|छात्र|औरत|आदमी|किसान|इंजीनियर|लेखक|नर्स",
        predicates="पढ़ रहा है/किताब|पढ़ रहा है/अख़बार|लिख रहा है/चिट्ठी|खा रहा है/सेब|खा रहा है/रोटी|पी रहा है/पानी|"
        "पी रहा है/चाय|पी रहा है/दूध|धो रहा है/गाड़ी|धो रहा है/थाली|देख रहा है/फ़िल्म|सुन रहा है/गाना|"
        "खोल रहा है/दरवाज़ा|बंद कर रहा है/खिड़की|खिला रहा है/कुत्ते को खाना|बना रहा है/तस्वीर|"
        "ठीक कर रहा है/कंप्यूटर|सो रहा है/|दौड़ रहा है/|काम कर रहा है/|हँस रहा है/",
        places="पार्क में|स्कूल में|रसोई में|बगीचे में|पुस्तकालय में|बाज़ार में|अस्पताल में|जंगल में",
        times="अभी|आज",
        orders=("STPOV", "TSPOV"),
        stop="।",
        feminine_agents=("woman", "nurse"),
        feminine=("रहा है", "रही है"),
    ),
    "el": Language(
        agents="το παιδί|ο δάσκαλος|ο γιατρός|ο φοιτητής|η γυναίκα|ο άντρας|ο αγρότης|ο μηχανικός|ο συγγραφέας|"
        "η νοσοκόμα",
        predicates="διαβάζει/ένα βιβλίο|διαβάζει/μια εφημερίδα|γράφει/ένα γράμμα|τρώει/ένα μήλο|τρώει/ψωμί|πίνει/νερό|"
        "πίνει/τσάι|πίνει/γάλα|πλένει/το αυτοκίνητο|πλένει/το πιάτο|βλέπει/μια ταινία|ακούει/ένα τραγούδι|"
        "ανοίγει/την πόρτα|κλείνει/το παράθυρο|ταΐζει/τον σκύλο|ζωγραφίζει/μια εικόνα|"
        "επισκευάζει/τον υπολογιστή|κοιμάται/|τρέχει/|δουλεύει/|γελάει/",
        places="στο πάρκο|στο σχολείο|στην κουζίνα|στον κήπο|στη βιβλιοθήκη|στην αγορά|στο νοσοκομείο|στο δάσος",
        times="τώρα|σήμερα",
        orders=("SVOPT", "TSVOP", "PSVO"),
    ),
    "es": Language(
        agents="el niño|el profesor|el médico|el estudiante|la mujer|el hombre|el granjero|el ingeniero|el escritor|"
        "la enfermera",
        predicates="lee/un libro|lee/un periódico|escribe/una carta|come/una manzana|come/pan|bebe/agua|bebe/té|"
        "bebe/leche|lava/el coche|lava/el plato|mira/una película|escucha/una canción|abre/la puerta|"
        "cierra/la ventana|alimenta/al perro|pinta/un cuadro|repara/el ordenador|duerme/|corre/|trabaja/|se ríe/",
        places="en el parque|en la escuela|en la cocina|en el jardín|en la biblioteca|en el mercado|en el hospital|"
        "en el bosque",
        times="ahora|hoy",
        orders=("SVOPT", "T,SVOP"),
    ),
    "it": Language(
        agents="il bambino|l'insegnante|il medico|lo studente|la donna|l'uomo|il contadino|l'ingegnere|lo scrittore|"
        "l'infermiera",
        predicates="legge/un libro|legge/un giornale|scrive/una lettera|mangia/una mela|mangia/il pane|beve/l'acqua|"
        "beve/il tè|beve/il latte|lava/la macchina|lava/il piatto|guarda/un film|ascolta/una canzone|apre/la porta|"
        "chiude/la finestra|nutre/il cane|dipinge/un quadro|ripara/il computer|dorme/|corre/|lavora/|ride/",
        places="nel parco|a scuola|in cucina|in giardino|in biblioteca|al mercato|in ospedale|nel bosco",
        times="adesso|oggi",
        orders=("SVOPT", "TSVOP"),
    ),
    "pt": Language(
        agents="a criança|o professor|o médico|o estudante|a mulher|o homem|o agricultor|o engenheiro|o escritor|"
        "a enfermeira",
        predicates="lê/um livro|lê/um jornal|escreve/uma carta|come/uma maçã|come/pão|bebe/água|bebe/chá|bebe/leite|"
        "lava/o carro|lava/o prato|vê/um filme|ouve/uma canção|abre/a porta|fecha/a janela|alimenta/o cão|"
        "pinta/um quadro|conserta/o computador|dorme/|corre/|trabalha/|ri/",
        places="no parque|na escola|na cozinha|no jardim|na biblioteca|no mercado|no hospital|na floresta",
        times="agora|hoje",
        orders=("SVOPT", "T,SVOP"),
    ),
    "nl": Language(
        agents="het kind|de leraar|de dokter|de student|de vrouw|de man|de boer|de ingenieur|de schrijver|"
        "de verpleegster",
        predicates="leest/een boek|leest/een krant|schrijft/een brief|eet/een appel|eet/brood|drinkt/water|"
        "drinkt/thee|drinkt/melk|wast/de auto|wast/het bord|ziet/een film|luistert/naar een lied|opent/de deur|"
        "sluit/het raam|voert/de hond|schildert/een schilderij|repareert/de computer|slaapt/|rent/|werkt/|lacht/",
        places="in het park|op school|in de keuken|in de tuin|in de bibliotheek|op de markt|in het ziekenhuis|"
        "in het bos",
        times="nu|vandaag",
        orders=("SVTPO", "TVSPO", "PVSTO"),
    ),
    "sv": Language(
        agents="barnet|läraren|läkaren|studenten|kvinnan|mannen|bonden|ingenjören|författaren|sjuksköterskan",
        predicates="läser/en bok|läser/en tidning|skriver/ett brev|äter/ett äpple|äter/bröd|dricker/vatten|dricker/te|"
        "dricker/mjölk|tvättar/bilen|diskar/tallriken|ser/en film|lyssnar/på en sång|öppnar/dörren|stänger/fönstret|"
        "matar/hunden|målar/en tavla|reparerar/datorn|sover/|springer/|arbetar/|skrattar/",
        places="i parken|i skolan|i köket|i trädgården|på biblioteket|på marknaden|på sjukhuset|i skogen",
        times="nu|idag",
        orders=("SVOPT", "TVSOP", "PVSOT"),
    ),
    "pl": Language(
        agents="dziecko|nauczyciel|lekarz|student|kobieta|mężczyzna|rolnik|inżynier|pisarz|pielęgniarka",
        predicates="czyta/książkę|czyta/gazetę|pisze/list|je/jabłko|je/chleb|pije/wodę|pije/herbatę|pije/mleko|"
        "myje/samochód|myje/talerz|ogląda/film|słucha/piosenki|otwiera/drzwi|zamyka/okno|karmi/psa|maluje/obraz|"
        "naprawia/komputer|śpi/|biegnie/|pracuje/|śmieje się/",
        places="w parku|w szkole|w kuchni|w ogrodzie|w bibliotece|na targu|w szpitalu|w lesie",
        times="teraz|dzisiaj",
        orders=("SVOPT", "TSVOP", "PSVO"),
    ),
}
# Languages that the teacher's vocabulary has room for and a Turkish student has no need of.
FURTHER_LANGUAGES = ("es", "it", "pt", "nl", "sv", "pl")


def sample_shared_meaning(rng: random.Random) -> Meaning:
    """Draw a meaning that every language of the sandbox has words for: affirmative, present, of one agent.

    Args:
        rng: source of randomness.

    Returns:
        A meaning.
    """
    action, thing = rng.choice(_PREDICATES).split("/")
    return Meaning(
        agent=rng.choice(_AGENTS),
        action=action,
        tense="present",
        object=thing.rstrip("*") or None,
        object_definite=thing.endswith("*"),
        place=rng.choice((*_PLACES, None)),
        time=rng.choice((*_TIMES, None)),
    )


def realise_in(language: str, meaning: Meaning, rng: random.Random) -> str:
    """Say a shared meaning in one of the further languages.

    Args:
        language: two-letter code, a key of `LANGUAGES`.
        meaning: a meaning that `sample_shared_meaning` can draw.
        rng: source of randomness; it chooses the order of words.

    Returns:
        A sentence with its stop.

    Raises:
        ValueError: if the language is not one of these, or has no words for the meaning.
    """
    if language not in LANGUAGES:
        raise ValueError(f"`language`={language!r} has no lexicon; expected one of {', '.join(LANGUAGES)}.")
    words = LANGUAGES[language]
    parts = _parts(words, meaning)
    order = rng.choice([order for order in words.orders if parts[order[0]] and not _leaves_out(order, parts)])
    sentence = ""
    for sign in order:
        if sign in parts:
            sentence += (words.space if sentence and parts[sign] else "") + parts[sign]
        else:
            sentence += sign
    return sentence[0].upper() + sentence[1:] + words.stop


def _leaves_out(order: str, parts: dict[str, str]) -> bool:
    """Tell whether an order has no room for a part that is there."""
    return any(text and letter not in order for letter, text in parts.items())


def _parts(words: Language, meaning: Meaning) -> dict[str, str]:
    """Look up subject, verb, object, place and time."""
    predicate = f"{meaning.action}/{meaning.object or ''}{'*' if meaning.object_definite else ''}"
    verb, thing = _look_up(words.predicates, _PREDICATES, predicate).split("/")
    if meaning.agent in words.feminine_agents:
        verb = verb.replace(*words.feminine, 1)
    return {
        "S": _look_up(words.agents, _AGENTS, meaning.agent),
        "V": verb,
        "O": thing,
        "P": _look_up(words.places, _PLACES, meaning.place) if meaning.place else words.no_place,
        "T": _look_up(words.times, _TIMES, meaning.time) if meaning.time else "",
    }


def _look_up(row: str, keys: tuple[str, ...], key: str) -> str:
    """Find the entry of a row that stands where a key stands."""
    if key not in keys:
        raise ValueError(f"{key!r} is not among the shared meanings; expected one of {', '.join(keys)}.")
    return row.split("|")[keys.index(key)]
