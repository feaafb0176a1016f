"""Reading the source tokenizer's folder: vocabulary, merges or scores, and added tokens."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from hf_turkembed.json_files import read_json
from hf_turkembed.tokenizer.behaviour import TokenizerBehaviour, describe_behaviour

BYTE_TOKENS = frozenset(f"<0x{value:02X}>" for value in range(256))

# What puts special tokens around a text in a form whose ids can be rewritten.
POST_PROCESSORS = ("TemplateProcessing", "BertProcessing", "RobertaProcessing")

_PIPELINE = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_SPACE_TO_MARKER = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
# Never cuts anything, because the normalizer has replaced every space before it runs.
_SPLIT_AT_SPACE = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
_PLACEHOLDER = re.compile(r"[<\[]\|?(?:unused|reserved)[\w ]*\d+\|?[>\]]", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class SourceVocabulary:
    """A tokenizer, taken apart: a byte-fallback BPE, a Unigram or a WordPiece."""

    # The tokens of the model by id; kept added tokens from outside the model's vocabulary follow them.
    pieces: tuple[str, ...]
    # Pairs of tokens in the order in which they are tried; none unless the model is a BPE.
    merges: tuple[tuple[str, str], ...]
    # Log probability of each token of the model, by id; none unless the model is a Unigram.
    scores: tuple[float, ...] = ()
    # Added tokens that a tokenizer made from this one keeps, as they stand in tokenizer.json.
    added: tuple[Mapping[str, Any], ...]
    # Added tokens that such a tokenizer drops: trailing placeholders and what lies past the model's vocabulary.
    discarded: frozenset[str]
    # Tokens that are no part of words: added tokens that stay, byte tokens, and the unknown token.
    pinned: frozenset[str]
    # Texts that the model's users put before theirs, such as "task: search result | query: ".
    prompts: tuple[str, ...]
    # A special token that cuts the text wherever it stands.
    separator: str
    # tokenizer.json without the vocabulary, the merges and the added tokens.
    settings: Mapping[str, Any]
    # What the tokenizer does around the text.
    behaviour: TokenizerBehaviour
    # The tokenizer itself.
    tokenizer: Tokenizer

    def prompt_pieces(self) -> frozenset[str]:
        """Collect the tokens of the prompts, which stay so that prompts never grow."""
        encodings = self.tokenizer.encode_batch(list(self.prompts), add_special_tokens=False)
        return frozenset(token for encoding in encodings for token in encoding.tokens)


def read_source(folder: Path) -> SourceVocabulary:
    """Read a tokenizer folder that holds a byte-fallback BPE in the form of Gemma 3, a Unigram or a WordPiece.

    The vocabulary of a BPE comes from `tokenizer.json`; what happens around it comes from `AutoTokenizer`, because
    some tokenizer classes of transformers replace that part of the file when they load it. Of the other two
    everything comes from `AutoTokenizer`.

    Args:
        folder: The folder with `tokenizer.json` and `tokenizer_config.json`.

    Returns:
        The vocabulary, the merges or scores, and the added tokens.

    Raises:
        FileNotFoundError: The folder has no `tokenizer.json`.
        ValueError: The model is of another type; it is a BPE that has no byte fallback or cuts text otherwise than
            Gemma 3; its special tokens are put around the text in a way not known here; or its ids have gaps.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise FileNotFoundError(f"`{path}` does not exist; give a folder that holds a fast tokenizer.")
    spec = read_json(path)
    # Older files do not name the type of their model, but only a BPE has merges.
    if spec["model"].get("type") != "BPE" and "merges" not in spec["model"]:
        return _read_without_merges(folder, path)
    _check_model(spec["model"], path)
    vocabulary, merges = spec["model"].pop("vocab"), spec["model"].pop("merges")
    pieces = _pieces_by_id(vocabulary, path)
    loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    backend: Tokenizer = loaded.backend_tokenizer
    behaviour = describe_behaviour(loaded)
    named = {*behaviour.roles.values(), *behaviour.around_text, *behaviour.around_pair}
    added, discarded = _sort_added_tokens(spec.pop("added_tokens"), pieces, named)
    settings = spec | {part: _read_state(getattr(backend, part)) for part in _PIPELINE}
    _check_pipeline(settings, path)
    return SourceVocabulary(
        pieces=pieces + tuple(token["content"] for token in added if token["id"] >= len(pieces)),
        merges=tuple(_read_merges(merges, vocabulary, pieces)),
        added=added,
        discarded=discarded,
        pinned=BYTE_TOKENS | {token["content"] for token in added},
        prompts=_read_prompts(folder),
        separator=_find_separator(added, path),
        settings=settings,
        behaviour=behaviour,
        tokenizer=backend,
    )


def _read_without_merges(folder: Path, path: Path) -> SourceVocabulary:
    """Read a Unigram or a WordPiece as `AutoTokenizer` loads it."""
    loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    backend: Tokenizer = loaded.backend_tokenizer
    settings = json.loads(backend.to_str())
    model, added = settings["model"], sorted(settings.pop("added_tokens"), key=lambda token: int(token["id"]))
    vocabulary = model.pop("vocab", None)
    if model["type"] not in ("Unigram", "WordPiece"):
        raise ValueError(
            f"{path}: model type {model['type']!r} found; only 'BPE', 'Unigram' and 'WordPiece' can be adapted."
        )
    _check_post_processor(settings["post_processor"], path)
    pieces = _pieces_by_id(backend.get_vocab(with_added_tokens=True), path)
    pinned = {str(token["content"]) for token in added}
    if model["type"] == "WordPiece":
        pinned.add(model["unk_token"])
    elif model["unk_id"] is not None:
        pinned.add(pieces[model["unk_id"]])
    if model.get("byte_fallback"):
        pinned |= BYTE_TOKENS.intersection(pieces)
    return SourceVocabulary(
        pieces=pieces,
        merges=(),
        scores=tuple(score for _, score in vocabulary) if model["type"] == "Unigram" else (),
        added=tuple(added),
        discarded=frozenset(),
        pinned=frozenset(pinned),
        prompts=_read_prompts(folder),
        separator=_find_separator(added, path),
        settings=settings,
        behaviour=describe_behaviour(loaded),
        tokenizer=backend,
    )


def _read_prompts(folder: Path) -> tuple[str, ...]:
    """Read the prompts of a model in the sentence-transformers layout, if that is what the folder holds."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return ()
    prompts = read_json(path).get("prompts") or {}
    return tuple(prompt for prompt in prompts.values() if prompt)


def _check_post_processor(post_processor: Mapping[str, Any] | None, path: Path) -> None:
    """Refuse special tokens around the text whose ids could not be rewritten."""
    if post_processor is not None and post_processor["type"] not in POST_PROCESSORS:
        raise ValueError(f"{path}: `post_processor` is {post_processor!r}; expected one of {POST_PROCESSORS} or none.")


def _check_model(model: Mapping[str, Any], path: Path) -> None:
    """Refuse every BPE that has no byte fallback or other settings than Gemma 3."""
    if not model.get("byte_fallback"):
        raise ValueError(f"{path}: BPE without `byte_fallback` found; only byte-fallback BPE can be adapted.")
    missing = sorted(BYTE_TOKENS - model["vocab"].keys())
    if missing:
        raise ValueError(f"{path}: {len(missing)} of 256 byte tokens are missing, such as {missing[:3]}.")
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "dropout", "ignore_merges"):
        if model.get(key):
            raise ValueError(f"{path}: `model.{key}` is {model[key]!r}; expected none, as in Gemma 3.")


def _check_pipeline(settings: Mapping[str, Any], path: Path) -> None:
    """Refuse every tokenizer that changes the text or cuts it before the model sees it."""
    if settings["normalizer"] != _SPACE_TO_MARKER:
        raise ValueError(f"{path}: `normalizer` is {settings['normalizer']!r}; expected {_SPACE_TO_MARKER!r}.")
    if settings["pre_tokenizer"] not in (None, _SPLIT_AT_SPACE):
        found = settings["pre_tokenizer"]
        raise ValueError(f"{path}: `pre_tokenizer` is {found!r}; expected {_SPLIT_AT_SPACE!r} or none.")
    if (settings["post_processor"] or {}).get("type") not in (None, "TemplateProcessing"):
        found = settings["post_processor"]["type"]
        raise ValueError(f"{path}: `post_processor` is {found!r}; expected 'TemplateProcessing' or none.")


def _read_state(part: Any) -> Any:
    """Read one part of a loaded tokenizer as it would stand in tokenizer.json."""
    return None if part is None else json.loads(part.__getstate__())


def _pieces_by_id(vocabulary: Mapping[str, int], path: Path) -> tuple[str, ...]:
    """Order the tokens by id, which must run from 0 without a gap."""
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    for index, piece in enumerate(pieces):
        if vocabulary[piece] != index:
            raise ValueError(f"{path}: token {piece!r} has id {vocabulary[piece]}; expected {index}, without gaps.")
    return tuple(pieces)


def _read_merges(
    merges: Iterable[Any], vocabulary: Mapping[str, int], pieces: tuple[str, ...]
) -> Iterable[tuple[str, str]]:
    """Turn both spellings of merges (pairs, or one string) into pairs that share the vocabulary's strings."""
    for merge in merges:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        yield pieces[vocabulary[left]], pieces[vocabulary[right]]


def _sort_added_tokens(
    added: list[dict[str, Any]], pieces: tuple[str, ...], named: set[str]
) -> tuple[tuple[Mapping[str, Any], ...], frozenset[str]]:
    """Split the added tokens into those to keep, by id, and the names of those to drop."""
    contents = BYTE_TOKENS.union(token["content"] for token in added)
    leading = next((index for index, piece in enumerate(pieces) if piece not in contents), len(pieces))
    keep, discarded = [], set()
    for token in sorted(added, key=lambda token: int(token["id"])):
        # Past the model's vocabulary there need not be an embedding row, so only a role justifies such a token.
        is_idle = token["id"] >= len(pieces) or _PLACEHOLDER.fullmatch(token["content"])
        if token["id"] >= leading and is_idle and token["content"] not in named:
            discarded.add(token["content"])
        else:
            keep.append(token)
    return tuple(keep), frozenset(discarded)


def _find_separator(added: Iterable[Mapping[str, Any]], path: Path) -> str:
    """Pick a special token that takes no neighbouring space with it."""
    for token in added:
        if token["special"] and not any(token[flag] for flag in ("lstrip", "rstrip", "single_word", "normalized")):
            return str(token["content"])
    raise ValueError(f"{path}: `added_tokens` holds no plain special token; at least one is needed.")
