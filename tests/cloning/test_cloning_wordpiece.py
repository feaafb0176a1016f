"""A BERT with its own kind of tokenizer, cloned onto another of that kind."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from hf_turkembed.cloning import clone_model, measure_reconstruction
from hf_turkembed.cloning.student import find_table

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TABLE = "embeddings.word_embeddings.weight"


def save_tokenizer(tokenizer, folder):
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **roles).save_pretrained(folder)


@pytest.fixture
def teacher(encoders, tmp_path):
    """A BERT whose table has a row for each piece of a WordPiece."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    )
    folder = shutil.copytree(encoders("bert"), tmp_path / "teacher")
    save_tokenizer(tokenizer, folder)
    return folder


@pytest.fixture
def adapted(teacher, tmp_path):
    """The tokenizer without ten of its pieces, and with a word and a piece inside of words more."""
    content = json.loads((teacher / "tokenizer.json").read_text())
    vocab = content["model"]["vocab"]
    dropped = [token for token in sorted(vocab, key=vocab.__getitem__) if len(token) > 3 and token not in SPECIAL][:10]
    kept = [token for token in sorted(vocab, key=vocab.__getitem__) if token not in dropped]
    new = ["otobüs", "##lerin"]
    content["model"]["vocab"] = {token: row for row, token in enumerate([*kept, *new])}
    folder = shutil.copytree(teacher, tmp_path / "adapted")
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return folder


def clone(teacher, tokenizer, output):
    output.mkdir()
    return clone_model(teacher, tokenizer, output, matryoshka_dims=MATRYOSHKA_DIMS, max_length=64, seed=0)


def cut(text, lead, rows):
    """Cut a text into the longest pieces from the left, as WordPiece does."""
    ids = []
    while text:
        end = next(end for end in range(len(text), 0, -1) if lead + text[:end] in rows)
        ids.append(rows[lead + text[:end]])
        text, lead = text[end:], "##"
    return ids


def test_rows_go_by_spelling_and_new_ones_are_means_on_the_inside_of_words_too(teacher, adapted, tmp_path):
    report = clone(teacher, adapted, tmp_path / "student")
    old, new = (load_file(folder / "model.safetensors")[TABLE] for folder in (teacher, tmp_path / "student"))
    rows = json.loads((teacher / "tokenizer.json").read_text())["model"]["vocab"]
    student = json.loads((adapted / "tokenizer.json").read_text())["model"]["vocab"]
    shared = [token for token in student if token in rows]
    assert torch.equal(new[[student[t] for t in shared]], old[[rows[t] for t in shared]])
    assert report.rows_composed == 2 and report.rows_copied == len(student) - 2
    for token, pieces in (("otobüs", cut("otobüs", "", rows)), ("##lerin", cut("lerin", "##", rows))):
        assert len(pieces) > 1
        torch.testing.assert_close(new[student[token]], old[pieces].mean(dim=0))


def test_a_text_whose_tokens_all_stay_has_the_teachers_embedding(teacher, adapted, tmp_path):
    clone(teacher, adapted, tmp_path / "student")
    old, new = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (teacher, adapted))
    words = {word for text in TEXTS for word in text.split()}
    texts = sorted(word for word in words if old.encode(word).tokens == new.encode(word).tokens)
    assert len(texts) > 3
    before, after = (
        torch.tensor(SentenceTransformer(str(folder), device="cpu").encode(texts))
        for folder in (teacher, tmp_path / "student")
    )
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)


def test_hidden_pieces_are_composed_again(teacher):
    table = find_table(teacher)
    report = measure_reconstruction(teacher, table, "mean", seed=0)
    assert -1 <= report.cosine <= 1 and report.relative_l2 > 0
