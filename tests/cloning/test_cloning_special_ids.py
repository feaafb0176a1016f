"""Clones of encoders in which ids of special tokens, and names of tensors, decide more than elsewhere."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import AutoModelForMaskedLM

from hf_turkembed.cloning import clone_model
from hf_turkembed.modeling.repository import check_encoder

TABLE = "embeddings.word_embeddings.weight"


@pytest.fixture
def teacher(encoders):
    return encoders("xlm-roberta")


@pytest.fixture
def pruned(teacher, tmp_path):
    """The Unigram without ten of its pieces, those of special tokens kept at the front."""
    folder = tmp_path / "pruned"
    folder.mkdir()
    content = json.loads((teacher / "tokenizer.json").read_text())
    pieces = content["model"]["vocab"]
    dropped = {piece for piece, _ in [pair for pair in pieces if len(pair[0]) > 3 and pair[0].isalpha()][:10]}
    kept = [pair for pair in pieces if pair[0] not in dropped]
    content["model"]["vocab"] = kept
    ids = {piece: row for row, (piece, _) in enumerate(kept)} | {"<query>": len(kept)}
    for token in content["added_tokens"]:
        token["id"] = ids[token["content"]]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    settings = json.loads((teacher / "tokenizer_config.json").read_text())
    del settings["added_tokens_decoder"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def clone(teacher, tokenizer, output, **settings):
    output.mkdir()
    arguments = {"matryoshka_dims": MATRYOSHKA_DIMS, "max_length": 64, "seed": 0, **settings}
    return clone_model(teacher, tokenizer, output, **arguments)


def encode(folder, texts=TEXTS):
    return torch.tensor(SentenceTransformer(str(folder), device="cpu").encode(list(texts)))


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def test_a_text_that_lost_no_token_has_the_same_embedding_as_its_positions_are_the_same(teacher, pruned, tmp_path):
    report = clone(teacher, pruned, tmp_path / "student")
    old, new = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (teacher, pruned))
    assert (report.rows_copied, report.rows_composed) == (new.get_vocab_size(), 0)
    same = [text for text in TEXTS if old.encode(text).tokens == new.encode(text).tokens]
    assert same
    torch.testing.assert_close(encode(tmp_path / "student", same), encode(teacher, same), atol=1e-6, rtol=0)
    config = config_of(tmp_path / "student")
    assert [config[f"{role}_token_id"] for role in ("bos", "pad", "eos")] == [0, 1, 2]
    assert config["max_position_embeddings"] == 66


def test_padding_with_another_id_is_refused_as_all_positions_would_move(teacher, pruned, gemma, tmp_path):
    content = json.loads((pruned / "tokenizer.json").read_text())
    pieces = content["model"]["vocab"]
    pieces[1], pieces[2] = pieces[2], pieces[1]
    for token in content["added_tokens"]:
        token["id"] = {"<pad>": 2, "</s>": 1}.get(token["content"], token["id"])
    (pruned / "tokenizer.json").write_text(json.dumps(content))
    message = r"has the `pad_token` at id 2, but .* counts positions from its own, at 1; keep it there"
    with pytest.raises(ValueError, match=message):
        clone(teacher, pruned, tmp_path / "student")
    assert not any((tmp_path / "student").iterdir())


def test_a_window_counts_only_positions_that_tokens_have(teacher, pruned, tmp_path):
    with pytest.raises(
        ValueError, match=r"`max_length` is 65, but .* has a table of positions for 64 tokens; lower it"
    ):
        clone(teacher, pruned, tmp_path / "student", max_length=65)


def test_ids_that_the_new_tokenizer_gives_no_role_follow_their_tokens(encoders, tmp_path):
    teacher = encoders("modernbert")
    folder = shutil.copytree(teacher, tmp_path / "tokenizer")
    content = json.loads((folder / "tokenizer.json").read_text())
    vocab = content["model"]["vocab"]
    # The first five, special ones, move to the end.
    order = sorted(vocab, key=vocab.__getitem__)
    content["model"]["vocab"] = {token: row for row, token in enumerate([*order[5:], *order[:5]])}
    for token in content["added_tokens"]:
        token["id"] = content["model"]["vocab"][token["content"]]
    for special in content["post_processor"]["special_tokens"].values():
        special["ids"] = [content["model"]["vocab"][token] for token in special["tokens"]]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert not {"cls_token", "sep_token"} & settings.keys()
    clone(teacher, folder, tmp_path / "student")
    last = len(order) - 5
    config = config_of(tmp_path / "student")
    found = {role: config[f"{role}_token_id"] for role in ("pad", "eos", "sep", "bos", "cls")}
    assert found == {"pad": last, "eos": last + 1, "sep": last + 1, "bos": last + 2, "cls": last + 2}
    torch.testing.assert_close(encode(tmp_path / "student"), encode(teacher), atol=1e-6, rtol=0)


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "modernbert"])
def test_a_checkpoint_with_a_head_for_masked_tokens_is_the_network_in_it(encoders, tmp_path, model_type):
    plain = encoders(model_type)
    folder = shutil.copytree(plain, tmp_path / "masked")
    masked = AutoModelForMaskedLM.from_pretrained(plain)
    masked.save_pretrained(tmp_path / "head")
    weights = load_file(tmp_path / "head" / "model.safetensors")
    # What older libraries wrote: the head's copy of the tied table, and the numbers of the positions.
    names = {"bert": "cls.predictions.decoder.weight", "xlm-roberta": "lm_head.decoder.weight"}
    weights[names.get(model_type, "decoder.weight")] = masked.get_input_embeddings().weight.detach().clone()
    if model_type != "modernbert":
        weights[f"{masked.base_model_prefix}.embeddings.position_ids"] = torch.arange(66).expand(1, -1).contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert check_encoder(folder, MATRYOSHKA_DIMS) == 32
    torch.testing.assert_close(encode(folder), encode(plain), atol=1e-6, rtol=0)
    report = clone(folder, folder, tmp_path / "student")
    torch.testing.assert_close(encode(tmp_path / "student"), encode(plain), atol=1e-6, rtol=0)
    names = load_file(tmp_path / "student" / "model.safetensors").keys()
    assert names - {"embeddings.position_ids"} <= load_file(plain / "model.safetensors").keys()
    assert report.rows_composed == 0
