import json

import pytest
from adapting import adapt
from transformers import AutoTokenizer

from hf_turkembed.tokenizer import check_tokenizer, order_pieces

SIZE = 640


@pytest.fixture
def folder(tmp_path, source_folder, corpus, heldout):
    """An adapted tokenizer that passes every gate."""
    adapt(source_folder, corpus, heldout, tmp_path / "out", vocab_size=SIZE, new_tokens=40)
    return tmp_path / "out"


def edit(folder, name, change):
    """Rewrite one JSON file of the folder."""
    path = folder / name
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def check(folder, source, heldout, vocab_size=SIZE):
    check_tokenizer(
        folder, source, vocab_size=vocab_size, texts=[line for lines in heldout.values() for line in lines]
    )


def test_the_written_configuration_carries_nothing_stale_over(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_max_length"] == 77
    assert config["padding_side"] == "left"
    assert not {"added_tokens_decoder", "image_token", "add_bos_token", "add_eos_token"} & config.keys()
    assert sorted(path.name for path in folder.iterdir()) == ["tokenizer.json", "tokenizer_config.json"]


def test_transformers_loads_the_folder_without_rebuilding_it(folder):
    loaded = AutoTokenizer.from_pretrained(folder)
    assert "Gemma" not in type(loaded).__name__
    assert len(loaded) == SIZE
    assert loaded.convert_ids_to_tokens(loaded("ev yol")["input_ids"])[0] == "<bos>"
    assert loaded.convert_ids_to_tokens(loaded("ev", "yol")["input_ids"])[-1] == "<eos>"


def test_the_leading_block_keeps_its_ids(folder, source_spec):
    adapted = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    old = source_spec["model"]["vocab"]
    leading = range(old["<0xFF>"] + 1)
    assert [piece for piece, index in sorted(adapted.items(), key=lambda item: item[1]) if index in leading] == [
        piece for piece, index in old.items() if index in leading
    ]


def test_survivors_stand_in_their_old_order_and_new_tokens_at_the_end(folder, source):
    adapted = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    pieces = sorted(adapted, key=adapted.__getitem__)
    old = [piece for piece in pieces if piece in set(source.pieces)]
    assert pieces[: len(old)] == old == order_pieces(source, reversed(old))
    assert len(old) < SIZE


def add_stale_decoder(config):
    config["added_tokens_decoder"] = {str(SIZE + 5): {"content": "<unused19>", "special": False}}


def add_image_token(config):
    config["image_token"] = "<image_soft_token>"


def pad_right(config):
    config["padding_side"] = "right"


def swap_roles(config):
    config["eos_token"] = "<end_of_turn>"


def drop_last_merge(spec):
    spec["model"]["merges"].pop()


def drop_eos(spec):
    spec["post_processor"]["single"].pop()


def forget_multimodal(spec):
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] != "[multimodal]"]


def decode_without_bytes(spec):
    spec["decoder"]["decoders"] = [part for part in spec["decoder"]["decoders"] if part["type"] != "ByteFallback"]


def rename_byte(spec):
    vocab = spec["model"]["vocab"]
    vocab["<0xAB!>"] = vocab.pop("<0xAB>")


def add_word_token(spec):
    index = max(spec["model"]["vocab"].values())
    piece = next(piece for piece, number in spec["model"]["vocab"].items() if number == index)
    token = dict(spec["added_tokens"][5], id=index, content=piece)
    spec["added_tokens"].append(token)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tokenizer_config.json", add_stale_decoder, f"{SIZE} expected; look for entries"),
        ("tokenizer_config.json", add_image_token, f"'len': {SIZE + 1}"),
        ("tokenizer_config.json", pad_right, "behaviour around the text"),
        ("tokenizer_config.json", swap_roles, "behaviour around the text"),
        ("tokenizer.json", drop_last_merge, "tokens that no text produces: 1 found"),
        ("tokenizer.json", drop_eos, "behaviour around the text"),
        ("tokenizer.json", forget_multimodal, r"added tokens cut or lost: 1 found, such as \['\[multimodal\]'\]"),
        ("tokenizer.json", decode_without_bytes, "source restores and this tokenizer changes"),
        ("tokenizer.json", rename_byte, r"byte tokens lost: 1 found|tokens that no text produces: 1 found"),
        ("tokenizer.json", add_word_token, "added tokens that the source lacks: 1 found"),
    ],
)
def test_a_damaged_folder_fails_its_gate(folder, source, heldout, name, change, message):
    check(folder, source, heldout)
    edit(folder, name, change)
    with pytest.raises(ValueError, match=message):
        check(folder, source, heldout)


def test_a_class_that_rebuilds_what_the_file_says_fails(folder, source, heldout):
    split = {"type": "Split", "pattern": {"String": "e"}, "behavior": "Isolated", "invert": False}
    edit(folder, "tokenizer.json", lambda spec: spec.update(pre_tokenizer=split))
    check(folder, source, heldout)
    edit(folder, "tokenizer_config.json", lambda config: config.update(tokenizer_class="GemmaTokenizer"))
    with pytest.raises(ValueError, match=r"GemmaTokenizer encodes otherwise than tokenizer\.json"):
        check(folder, source, heldout)


def test_another_size_than_asked_for_fails(folder, source, heldout):
    with pytest.raises(ValueError, match=f"{SIZE + 1} expected"):
        check(folder, source, heldout, vocab_size=SIZE + 1)
