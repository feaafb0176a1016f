import json
import random
import re
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from hf_turkembed.tokenizer import read_source

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
TURNS = ["<start_of_turn>", "<end_of_turn>"]
IMAGES = ["<start_of_image>", "<end_of_image>"]
LEADING = [
    *SPECIAL,
    "[multimodal]",
    *(f"<unused{number}>" for number in range(4)),
    *TURNS,
    *("\n", "\n\n", "▁▁", "▁▁▁", "<b>", "</b>"),
]
TRAILING = ["\t", *IMAGES, *(f"<unused{number}>" for number in range(4, 20))]
BYTES = [f"<0x{value:02X}>" for value in range(256)]
# Stands in the vocabulary without a merge that makes it, like four tokens of Gemma 3.
UNREACHABLE = "qzqz"

STEMS = {
    "tr": "ev göz ağaç kitap yol deniz çocuk şehir öğretmen ışık ılık İstanbul güneş balık düş iş".split(),
    "en": "house eye tree book road sea child city teacher light warm London sun fish dream work".split(),
    "el": "σπίτι μάτι δέντρο βιβλίο δρόμος θάλασσα παιδί πόλη".split(),
}
SUFFIXES = {
    "tr": ["", "ler", "lar", "lerin", "ların", "de", "da", "den", "ı", "i", "ini", "'un", "lik", "ciler", "miş"],
    "en": ["", "s", "ing", "ed", "er", "less", "ness", "'s", "ful", "ward", "like"],
    "el": ["", "α", "ων", "ους"],
}


def make_lines(language, count, seed):
    """Draw lines of inflected words, with digits and punctuation."""
    generator = random.Random(f"{language}{seed}")
    lines = []
    for _ in range(count):
        words = [
            generator.choice(STEMS[language]) + generator.choice(SUFFIXES[language])
            for _ in range(generator.randint(3, 9))
        ]
        words.insert(generator.randint(0, len(words)), str(generator.randint(0, 2030)))
        lines.append(" ".join(words) + generator.choice([".", "!", " ?", ", (x)"]))
    return lines


def build_gemma_like(lines, merged):
    """Train a byte-fallback BPE and lay it out as Gemma 3's tokenizer.json, every split of a token being a merge."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split(Regex("▁+"), "merged_with_next")
    trained.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=merged, show_progress=False))
    order = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    letters = sorted({piece for piece, _ in order if len(piece) == 1} | set("▁abcçdefgğhıijklmnoöprsştuüvyzİ日本"))
    multiple = [piece for piece, _ in order if len(piece) > 1 and piece not in LEADING]
    pieces = [*LEADING, *BYTES, *multiple, UNREACHABLE, *letters, *TRAILING]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    runs = ["\n\n", "▁▁", "▁▁▁"]
    merges = [
        [piece[:cut], piece[cut:]]
        for piece in runs + multiple
        for cut in range(1, len(piece))
        if piece[:cut] in vocab and piece[cut:] in vocab
    ]
    special = {*SPECIAL, *TURNS, *IMAGES}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": vocab[piece], "content": piece, **flags, "special": piece in special} for piece in LEADING + TRAILING
    ]
    added.append({"id": len(vocab), "content": "<image_soft_token>", **flags, "special": True})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "post_processor": make_template(),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def make_template():
    """Put BOS before and EOS after each text."""

    def around(text):
        return [
            {"SpecialToken": {"id": "<bos>", "type_id": 0}},
            {"Sequence": {"id": text, "type_id": 0}},
            {"SpecialToken": {"id": "<eos>", "type_id": 0}},
        ]

    return {
        "type": "TemplateProcessing",
        "single": around("A"),
        "pair": around("A") + around("B"),
        "special_tokens": {
            "<bos>": {"id": "<bos>", "ids": [SPECIAL.index("<bos>")], "tokens": ["<bos>"]},
            "<eos>": {"id": "<eos>", "ids": [SPECIAL.index("<eos>")], "tokens": ["<eos>"]},
        },
    }


def write_source(folder: Path, spec: dict) -> Path:
    """Write a source folder with everything in its configuration that must not be carried over."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    config = {
        "tokenizer_class": "GemmaTokenizer",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
        "add_bos_token": True,
        "add_eos_token": True,
        "padding_side": "left",
        "model_max_length": 77,
        "image_token": "<image_soft_token>",
        "added_tokens_decoder": {
            str(token["id"]): {key: value for key, value in token.items() if key != "id"}
            for token in spec["added_tokens"]
        },
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def corpus():
    """Lines of text by language, with words the source was not trained on."""
    return {language: make_lines(language, 300, "corpus") for language in STEMS}


@pytest.fixture(scope="session")
def stem_lengths():
    """Give the letters of the stem by inflected word of the corpus."""
    words = ((stem, stem + suffix) for stem in STEMS["tr"] for suffix in SUFFIXES["tr"])
    return {word.lower(): len(stem) for stem, word in words if word != stem and word.isalpha()}


@pytest.fixture(scope="session")
def heldout():
    """Lines of text by language that the corpus does not hold."""
    extra = ["ılık  ve\tIĞDIR'da 🐟 – çok▁iyi", "日本 <b>kalın</b> ﷽"]
    return {language: make_lines(language, 40, "heldout") + extra for language in STEMS}


@pytest.fixture(scope="session")
def known_heldout(heldout):
    """Leave out the two characters that a source without byte fallback may not know."""
    return {language: [line for line in lines if "日" not in line] for language, lines in heldout.items()}


@pytest.fixture(scope="session")
def source_spec(corpus):
    """Hold a tokenizer.json in the form of Gemma 3, trained on a third of the corpus."""
    return build_gemma_like([line for lines in corpus.values() for line in lines[:100]], merged=600)


@pytest.fixture(scope="session")
def source_folder(tmp_path_factory, source_spec):
    """Write the source tokenizer's folder."""
    return write_source(tmp_path_factory.mktemp("source"), source_spec)


@pytest.fixture(scope="session")
def source(source_folder):
    """Take the source tokenizer apart."""
    return read_source(source_folder)


@pytest.fixture(scope="session")
def words(corpus):
    """List the distinct words of the corpus with the spaces before them."""
    return sorted({word for lines in corpus.values() for line in lines for word in re.findall(r" *[^ ]+", line)})
