from dataclasses import replace

from hf_turkembed.tokenizer import build_tokenizer, order_pieces


def test_special_tokens_of_the_template_get_their_new_ids(source):
    pieces = [*reversed(source.pieces)]
    encoding = build_tokenizer(source, pieces, source.merges).encode("ev", "yol")
    assert encoding.tokens[0] == "<bos>"
    assert encoding.ids[0] == pieces.index("<bos>")
    assert encoding.ids[-1] == pieces.index("<eos>")


def test_truncation_and_padding_of_the_source_are_left_to_the_caller(source):
    padding = {
        "strategy": "BatchLongest",
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    truncation = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    settings = {**source.settings, "padding": padding, "truncation": truncation}
    built = build_tokenizer(replace(source, settings=settings), source.pieces, source.merges)
    assert built.padding is None
    assert built.truncation is None


def test_a_source_without_a_post_processor_gives_a_tokenizer_without_one(source):
    settings = {**source.settings, "post_processor": None}
    built = build_tokenizer(replace(source, settings=settings), source.pieces, source.merges)
    assert built.encode("").tokens == []


def test_tokens_keep_the_order_of_the_source_and_new_ones_follow_as_given(source):
    assert order_pieces(source, ["yeni", "▁ev", "<pad>", "az", "a"]) == ["<pad>", "▁ev", "a", "yeni", "az"]
