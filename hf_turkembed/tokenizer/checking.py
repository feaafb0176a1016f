"""The gates that every adapted tokenizer must pass before anyone trains with it."""

import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from hf_turkembed.tokenizer.behaviour import describe_behaviour
from hf_turkembed.tokenizer.reaching import find_unreachable
from hf_turkembed.tokenizer.reading import read_tokenizer
from hf_turkembed.tokenizer.source import BYTE_TOKENS, SourceVocabulary
from hf_turkembed.tokenizer.unknown import count_unknown_characters

_EXAMPLES = 5
# Turkish letters in both spellings, composed and decomposed.
_SPELLINGS = tuple(unicodedata.normalize(form, "İ ş ğ ü İnşa dağ IĞDIR") for form in ("NFC", "NFD"))


def check_tokenizer(folder: Path, source: SourceVocabulary, *, vocab_size: int, texts: Sequence[str]) -> None:
    """Check a tokenizer folder against the source it was made from.

    The size must be exact and the ids dense, both as written and after transformers has loaded and saved the folder;
    every token must be produced by some text; the special tokens must stand where the source puts them; every text
    must be restored as the source restores it, unless it is restored better; no more of it may be unknown; and the
    prompts of the source must not take more tokens.

    Args:
        folder: The folder to check.
        source: The source vocabulary.
        vocab_size: Number of tokens the folder must have.
        texts: Texts to encode and decode.

    Raises:
        ValueError: A gate fails; the message counts the failures and shows the first of them.
    """
    loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    with tempfile.TemporaryDirectory() as copy:
        loaded.save_pretrained(copy)
        reloaded = AutoTokenizer.from_pretrained(copy, local_files_only=True)
    _check_size(loaded, vocab_size, "as written")
    _check_size(reloaded, vocab_size, "after save_pretrained and loading again")
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    _check_reachable(tokenizer, source)
    _check_added_tokens(tokenizer, source)
    _check_behaviour(loaded, source)
    _check_behaviour(reloaded, source)
    _check_prompts(tokenizer, source)
    _check_unknown(tokenizer, source, [*texts, *_SPELLINGS])
    _check_round_trip(tokenizer, source, [*texts, *_SPELLINGS])
    _check_same_ids(tokenizer, (loaded, reloaded), texts)


def _fail(gate: str, failures: Sequence[object], remedy: str) -> None:
    """Raise if there are failures, with their number and the first few."""
    if failures:
        raise ValueError(f"{gate}: {len(failures)} found, such as {list(failures[:_EXAMPLES])}; expected 0. {remedy}")


def _check_size(loaded: Any, vocab_size: int, moment: str) -> None:
    """Check that length, vocabulary and ids agree with the wanted size."""
    sizes = {"len": len(loaded), "get_vocab_size": loaded.backend_tokenizer.get_vocab_size()}
    if set(sizes.values()) != {vocab_size}:
        raise ValueError(
            f"vocabulary size {moment}: {sizes} found, {vocab_size} expected; look for entries in "
            "tokenizer_config.json that add tokens."
        )
    present = set(loaded.get_vocab().values())
    _fail(f"ids missing from 0 to {vocab_size - 1} {moment}", sorted(set(range(vocab_size)) - present), "")


def _check_reachable(tokenizer: Tokenizer, source: SourceVocabulary) -> None:
    """Check that some text produces each token that can be part of a word."""
    unreachable = sorted(find_unreachable(tokenizer, source.pinned))
    _fail("tokens that no text produces", unreachable, "Their parts or merges were dropped.")


def _check_added_tokens(tokenizer: Tokenizer, source: SourceVocabulary) -> None:
    """Check that bytes and added tokens are there, and that no text cuts an added token."""
    vocabulary = tokenizer.get_vocab()
    _fail("byte tokens lost", sorted((BYTE_TOKENS & source.pinned) - vocabulary.keys()), "Bytes must never be pruned.")
    contents = [token["content"] for token in source.added]
    wrong = [
        content
        for content in contents
        if tokenizer.encode(content, add_special_tokens=False).ids != [vocabulary.get(content)]
    ]
    _fail("added tokens cut or lost", wrong, "They must stand in `added_tokens` under their new ids.")
    found = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    _fail("added tokens that the source lacks", sorted(found.difference(contents)), "Drop them.")


def _check_behaviour(loaded: Any, source: SourceVocabulary) -> None:
    """Check special tokens, sides and length."""
    found = describe_behaviour(loaded)
    if found != source.behaviour:
        raise ValueError(f"behaviour around the text: {found} found, {source.behaviour} expected, as in the source.")


def _check_prompts(tokenizer: Tokenizer, source: SourceVocabulary) -> None:
    """Check that no prompt takes more tokens than before."""
    longer = [
        prompt
        for prompt in source.prompts
        if len(tokenizer.encode(prompt).ids) > len(source.tokenizer.encode(prompt).ids)
    ]
    _fail("prompts that take more tokens than with the source", longer, "Their tokens must never be pruned.")


def _check_round_trip(tokenizer: Tokenizer, source: SourceVocabulary, texts: Sequence[str]) -> None:
    """Check that every text comes back unchanged unless the source changes it in the same way."""
    changed = {
        text: restored for text, restored in zip(texts, _restore(tokenizer, texts), strict=True) if restored != text
    }
    expected = dict(zip(changed, _restore(source.tokenizer, list(changed)), strict=True))
    _fail(
        "texts that the source restores and this tokenizer changes",
        [text for text in changed if expected[text] == text],
        "",
    )
    _fail(
        "texts that the source changes in another way than this tokenizer",
        [text for text, restored in changed.items() if expected[text] != restored],
        "",
    )


def _check_unknown(tokenizer: Tokenizer, source: SourceVocabulary, texts: Sequence[str]) -> None:
    """Check that no text has more unknown characters than with the source."""
    affected = [text for text, count in zip(texts, count_unknown_characters(tokenizer, texts), strict=True) if count]
    found = count_unknown_characters(tokenizer, affected)
    expected = count_unknown_characters(source.tokenizer, affected)
    worse = [text for text, after, before in zip(affected, found, expected, strict=True) if after > before]
    _fail("texts that hold more unknown characters than with the source", worse, "Give a corpus that holds them.")


def _restore(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """Encode and decode texts."""
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [tokenizer.decode(encoding.ids, skip_special_tokens=False) for encoding in encodings]


def _check_same_ids(tokenizer: Tokenizer, loaded: Sequence[Any], texts: Sequence[str]) -> None:
    """Check that transformers encodes like the written file."""
    expected = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
    for one in loaded:
        found = one(list(texts))["input_ids"]
        differing = [text for text, left, right in zip(texts, expected, found, strict=True) if left != right]
        _fail(f"texts that {type(one).__name__} encodes otherwise than tokenizer.json", differing, "")
