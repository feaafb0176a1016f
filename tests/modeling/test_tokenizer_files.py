"""The tokenizer beside a network: what its table has no row for, padding, and files that are none."""

import json
import shutil
from pathlib import Path

import pytest
from samples import MATRYOSHKA_DIMS, MODEL_TYPES, TEXTS
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from hf_turkembed.modeling.repository import check_encoder, check_loadable
from hf_turkembed.modeling.tokenizer_files import check_tokenizer


@pytest.fixture
def copied(gemma, tmp_path):
    return Path(shutil.copytree(gemma, tmp_path / "model"))


def change(path, edit):
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def add_token(folder, content, *, special):
    """Add a token behind all others, and return its id."""
    row = len(AutoTokenizer.from_pretrained(folder))
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    token = {"id": row, "content": content, **flags, "special": special}
    change(folder / "tokenizer.json", lambda content: content["added_tokens"].append(token))
    return row


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_id_that_text_has_needs_a_row(encoders, model_type):
    folder = encoders(model_type)
    rows = len(AutoTokenizer.from_pretrained(folder))
    check_tokenizer(folder, rows)
    half = rows // 2
    message = rf"{folder}/tokenizer\.json has \d+ tokens without a row, such as .* with the id {half}: the table"
    with pytest.raises(ValueError, match=f"{message} of the network has {half} rows"):
        check_tokenizer(folder, half)


def test_a_special_token_past_the_table_passes_as_long_as_it_has_no_role(copied):
    row = add_token(copied, "<image_soft_token>", special=True)
    assert max(AutoTokenizer.from_pretrained(copied).get_vocab().values()) == row
    assert check_encoder(copied, MATRYOSHKA_DIMS) == 32
    change(copied / "tokenizer_config.json", lambda settings: settings.update(mask_token="<image_soft_token>"))
    with pytest.raises(ValueError, match=f"'<image_soft_token>' with the id {row}"):
        check_encoder(copied, MATRYOSHKA_DIMS)


def test_an_added_word_past_the_table_is_refused(copied):
    row = add_token(copied, "kitapçılar", special=False)
    assert row in AutoTokenizer.from_pretrained(copied)(TEXTS[2])["input_ids"]
    for check in (lambda: check_encoder(copied, MATRYOSHKA_DIMS), lambda: check_loadable(copied)):
        with pytest.raises(ValueError, match=f"1 tokens without a row, such as 'kitapçılar' with the id {row}"):
            check()


def test_what_is_put_around_every_text_needs_a_row_though_it_has_no_role(copied):
    row = add_token(copied, "<begin>", special=True)

    def surround(content):
        template = content["post_processor"]
        template["single"][0]["SpecialToken"]["id"] = "<begin>"
        template["special_tokens"]["<begin>"] = {"id": "<begin>", "ids": [row], "tokens": ["<begin>"]}

    change(copied / "tokenizer.json", surround)
    assert AutoTokenizer.from_pretrained(copied)("")["input_ids"][0] == row
    with pytest.raises(ValueError, match=f"'<begin>' with the id {row}"):
        check_encoder(copied, MATRYOSHKA_DIMS)


def test_a_tokenizer_without_a_token_for_padding_is_refused(copied):
    change(copied / "tokenizer_config.json", lambda settings: settings.pop("pad_token"))
    assert AutoTokenizer.from_pretrained(copied).pad_token is None
    with pytest.raises(ValueError, match=rf"{copied}/tokenizer_config\.json names no `pad_token`"):
        check_encoder(copied, MATRYOSHKA_DIMS)


@pytest.mark.parametrize("content", ["{}", "[1]", "{", '{"model": {}}', ""])
def test_a_file_that_is_no_tokenizer_is_named(copied, content):
    (copied / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=rf"{copied}/tokenizer\.json is not a fast tokenizer \(.*save it again"):
        check_encoder(copied, MATRYOSHKA_DIMS)


@pytest.mark.parametrize("content", ["[]", "{"])
def test_settings_that_are_none_are_named(copied, content):
    (copied / "tokenizer_config.json").write_text(content)
    with pytest.raises(ValueError, match=rf"{copied}/tokenizer_config\.json does not fit its tokenizer\.json \("):
        check_encoder(copied, MATRYOSHKA_DIMS)


def test_a_model_without_a_network_in_its_folder_is_left_to_its_loader(gemma, tmp_path):
    words = StaticEmbedding(Tokenizer.from_file(str(Path(gemma) / "tokenizer.json")), embedding_dim=8)
    SentenceTransformer(modules=[words], device="cpu").save_pretrained(str(tmp_path / "static"))
    assert not (tmp_path / "static" / "config.json").is_file()
    check_loadable(tmp_path / "static")
