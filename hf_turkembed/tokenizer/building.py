"""Putting a tokenizer together from tokens and the source's settings, and writing its folder."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hf_turkembed.tokenizer.source import SourceVocabulary


def order_pieces(source: SourceVocabulary, pieces: Iterable[str]) -> list[str]:
    """Put tokens in the order of their ids: those of the source in their old order, then the new ones as given.

    The source's leading block of added and byte tokens is never pruned, so those tokens keep their ids.

    Args:
        source: The source vocabulary.
        pieces: Tokens, each once.

    Returns:
        The tokens by id.
    """
    old = {piece: index for index, piece in enumerate(source.pieces)}
    return sorted(pieces, key=lambda piece: old.get(piece, len(old)))


def build_tokenizer(source: SourceVocabulary, pieces: Sequence[str], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """Put a tokenizer together that does around the text what the source does.

    Args:
        source: The source vocabulary; its added tokens must all be among `pieces`.
        pieces: The tokens by id.
        merges: Pairs of tokens in the order in which they are tried; none unless the model is a BPE.

    Returns:
        The tokenizer, without truncation and padding, which transformers sets on each call.
    """
    ids = {piece: index for index, piece in enumerate(pieces)}
    spec = {
        **source.settings,
        "truncation": None,
        "padding": None,
        "added_tokens": [{**token, "id": ids[token["content"]]} for token in source.added],
        "post_processor": _renumber(source.settings["post_processor"], ids),
        "model": {**source.settings["model"], **_model_content(source, pieces, ids, merges)},
    }
    return Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))


def write_tokenizer(folder: Path, tokenizer: Tokenizer, source: SourceVocabulary) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`.

    The configuration is written anew: entries left over from the source, such as `added_tokens_decoder` or
    `image_token`, would add tokens when the folder is loaded, and classes other than `PreTrainedTokenizerFast` may
    rebuild what `tokenizer.json` says.

    Args:
        folder: An existing folder.
        tokenizer: The tokenizer.
        source: The source vocabulary, whose special tokens, sides and length are kept.
    """
    behaviour = source.behaviour
    config = {
        **behaviour.roles,
        "clean_up_tokenization_spaces": behaviour.clean_up_tokenization_spaces,
        "model_input_names": list(behaviour.model_input_names),
        "model_max_length": behaviour.model_max_length,
        "padding_side": behaviour.padding_side,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "truncation_side": behaviour.truncation_side,
    }
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    text = json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def _model_content(
    source: SourceVocabulary, pieces: Sequence[str], ids: Mapping[str, int], merges: Sequence[tuple[str, str]]
) -> Mapping[str, Any]:
    """Write the part of a model that depends on its vocabulary, in the form of its type."""
    settings = source.settings["model"]
    if settings["type"] == "BPE":
        return {"vocab": ids, "merges": merges}
    # Added tokens from outside the source's model stay outside; they follow all others, so the ids are the same.
    inside = source.tokenizer.get_vocab(with_added_tokens=False)
    if settings["type"] == "WordPiece":
        return {"vocab": {piece: index for piece, index in ids.items() if piece in inside}}
    unknown = settings["unk_id"]
    return {
        "vocab": [(piece, source.scores[inside[piece]]) for piece in pieces if piece in inside],
        "unk_id": None if unknown is None else ids[source.pieces[unknown]],
    }


def _renumber(post_processor: Mapping[str, Any] | None, ids: Mapping[str, int]) -> Mapping[str, Any] | None:
    """Give the special tokens around a text their new ids."""
    if post_processor is None:
        return None
    if "special_tokens" not in post_processor:
        ends = {end: (post_processor[end][0], ids[post_processor[end][0]]) for end in ("cls", "sep")}
        return {**post_processor, **ends}
    templates = post_processor["special_tokens"]
    renumbered = {
        name: {**template, "ids": [ids[token] for token in template["tokens"]]} for name, template in templates.items()
    }
    return {**post_processor, "special_tokens": renumbered}
