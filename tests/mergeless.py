"""Small Unigram and WordPiece sources, laid out like XLM-R and BERT."""

import json
import struct
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
ROLES = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "unk_token": "<unk>"}
# Words of a language that no corpus here holds.
FOREIGN = "kwix qwerzh wyrglx zzplo khwarq xoqul wqphal uzrqox jjwhin vwoxt pqorv wkxyl".split()


def precompile(replacements):
    """Lay out replacements as a SentencePiece charsmap: a double array over UTF-8 bytes, then the replacements."""
    texts, tree = b"", {}
    for old, new in replacements.items():
        node = tree
        for byte in old.encode():
            node = node.setdefault(byte, {})
        node["value"] = len(texts)
        texts += new.encode() + b"\0"
    units = [0] * 256

    def place(node, position):
        # Every node gets 256 units of its own; the first of them holds the value of the key that ends there.
        base = len(units)
        units.extend([0] * 256)
        units[position] |= (base ^ position) << 10
        if "value" in node:
            units[position] |= 1 << 8
            units[base] = node["value"] | 1 << 31
        for byte, child in node.items():
            if byte != "value":
                units[base ^ byte] = byte
                place(child, base ^ byte)

    place(tree, 0)
    array = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(array)) + array + texts


def template(begin, end, ids, second=0):
    """Put special tokens around texts; the second text is of type `second`."""
    types = {begin: 0, end: 0}

    def special(token, type_id=0):
        return {"SpecialToken": {"id": token, "type_id": type_id}}

    first = [special(begin), {"Sequence": {"id": "A", "type_id": 0}}, special(end)]
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": [*first, {"Sequence": {"id": "B", "type_id": second}}, special(end, second)],
        "special_tokens": {token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in types},
    }


def write(folder: Path, spec, config):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def build_unigram(lines, size):
    """Train a Unigram and lay it out like XLM-R: special tokens first, the mask last, an added token beyond."""
    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizers.Precompiled(precompile({"ﬁ": "fi", "…": "...", "Ｅ": "E"}))
    trained.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trained.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=special, unk_token="<unk>", initial_alphabet=["İ"], show_progress=False
    )
    trained.train_from_iterator(lines, trainer)
    spec = json.loads(trained.to_str())
    vocab = spec["model"]["vocab"]
    # Its parts together are likelier, so it never wins.
    vocab += [["evgöz", -90.0], ["<mask>", 0.0]]
    ids = {piece: index for index, (piece, _) in enumerate(vocab)}
    spec["added_tokens"] = [{"id": ids[token], "content": token, **FLAGS} for token in [*special, "<mask>"]]
    spec["added_tokens"][-1]["lstrip"] = True
    spec["added_tokens"].append({"id": len(vocab), "content": "<query>", **FLAGS})
    spec["post_processor"] = template("<s>", "</s>", ids)
    return spec


def unigram_config(spec):
    return {
        "tokenizer_class": "XLMRobertaTokenizer",
        **ROLES,
        "pad_token": "<pad>",
        "mask_token": {"__type": "AddedToken", "content": "<mask>", **FLAGS, "lstrip": True},
        "model_max_length": 77,
        "added_tokens_decoder": {
            str(token["id"]): {key: value for key, value in token.items() if key != "id"}
            for token in spec["added_tokens"]
        },
    }


def build_wordpiece(lines, size, lowercase):
    """Train a WordPiece and lay it out like BERT: padding first, then tokens nobody uses, then the special ones."""
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    trained.train_from_iterator(lines, trainer)
    spec = json.loads(trained.to_str())
    old = sorted(spec["model"]["vocab"], key=spec["model"]["vocab"].__getitem__)
    leading = ["[PAD]", *(f"[unused{number}]" for number in range(9)), *special[1:]]
    ids = {piece: index for index, piece in enumerate([*leading, *(piece for piece in old if piece not in leading)])}
    spec["model"]["vocab"] = ids
    spec["added_tokens"] = [{"id": ids[token], "content": token, **FLAGS} for token in special]
    spec["post_processor"] = template("[CLS]", "[SEP]", ids, second=1)
    return spec


def segment_lines(tokenizer, lines_by_language):
    """List the tokens of every line."""
    return [tokenizer.encode(line).tokens for lines in lines_by_language.values() for line in lines]
