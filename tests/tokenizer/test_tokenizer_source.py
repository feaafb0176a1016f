import copy
import json

import pytest

from hf_turkembed.tokenizer import read_source


def write(folder, spec, config=None):
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    config = config or {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_trailing_placeholders_and_tokens_past_the_table_are_discarded(source):
    assert "<image_soft_token>" in source.discarded
    assert {f"<unused{number}>" for number in range(4, 20)} <= source.discarded
    assert len(source.discarded) == 17


def test_the_leading_block_and_all_other_added_tokens_stay(source):
    kept = {token["content"] for token in source.added}
    assert {"<unused0>", "<unused3>", "[multimodal]", "<start_of_image>", "\t", "<b>", "▁▁"} <= kept
    assert "<0x00>" in source.pinned


def test_every_split_of_a_token_is_read_as_a_merge(source, source_spec):
    assert [list(pair) for pair in source.merges] == source_spec["model"]["merges"]
    assert len(source.merges) > len({left + right for left, right in source.merges})


def test_merges_spelt_as_strings_are_read_alike(tmp_path, source, source_spec):
    spec = copy.deepcopy(source_spec)
    spec["model"]["merges"] = [" ".join(pair) for pair in spec["model"]["merges"]]
    assert read_source(write(tmp_path / "s", spec)).merges == source.merges


def test_what_the_class_rebuilds_on_loading_counts_more_than_the_file(tmp_path, source, source_spec):
    config = {"tokenizer_class": "GemmaTokenizer"}
    read = read_source(write(tmp_path / "s", source_spec | {"pre_tokenizer": {"type": "Whitespace"}}, config))
    assert read.settings["pre_tokenizer"] == source.settings["pre_tokenizer"]


def test_a_token_past_the_table_stays_if_it_has_a_role(tmp_path, source_spec):
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": "<image_soft_token>"}
    read = read_source(write(tmp_path / "s", source_spec, config))
    assert read.pieces[-1] == "<image_soft_token>"
    assert "<image_soft_token>" in read.pinned


def test_a_folder_without_tokenizer_json_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokenizer.json` does not exist"):
        read_source(tmp_path)


def test_other_model_types_are_named_and_refused(tmp_path, source_spec):
    spec = source_spec | {"model": {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"}}
    with pytest.raises(ValueError, match="model type 'WordLevel' found"):
        read_source(write(tmp_path / "s", spec))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("byte_fallback", False, "without `byte_fallback`"),
        ("dropout", 0.1, r"`model.dropout` is 0.1"),
        ("end_of_word_suffix", "</w>", "end_of_word_suffix"),
        ("ignore_merges", True, "ignore_merges"),
    ],
)
def test_other_forms_of_bpe_are_refused(tmp_path, source_spec, key, value, message):
    spec = source_spec | {"model": source_spec["model"] | {key: value}}
    with pytest.raises(ValueError, match=message):
        read_source(write(tmp_path / "s", spec))


def test_a_vocabulary_without_all_bytes_is_refused(tmp_path, source_spec):
    spec = copy.deepcopy(source_spec)
    del spec["model"]["vocab"]["<0xFF>"]
    with pytest.raises(ValueError, match=r"1 of 256 byte tokens are missing, such as \['<0xFF>'\]"):
        read_source(write(tmp_path / "s", spec))


def test_gaps_in_the_ids_are_refused(tmp_path, source_spec):
    spec = copy.deepcopy(source_spec)
    spec["model"]["vocab"]["<unused19>"] = 99999
    with pytest.raises(ValueError, match="'<unused19>' has id 99999; expected 896"):
        read_source(write(tmp_path / "s", spec))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("normalizer", {"type": "Lowercase"}),
        ("pre_tokenizer", {"type": "Whitespace"}),
        ("post_processor", {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}),
    ],
)
def test_a_pipeline_that_changes_the_text_is_refused(tmp_path, source_spec, part, value):
    with pytest.raises(ValueError, match=f"`{part}` is .*expected"):
        read_source(write(tmp_path / "s", source_spec | {part: value}))


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path, source_spec):
    spec = copy.deepcopy(source_spec) | {"post_processor": None}
    for token in spec["added_tokens"]:
        token["special"] = False
    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    with pytest.raises(ValueError, match="holds no plain special token"):
        read_source(write(tmp_path / "s", spec, config))
