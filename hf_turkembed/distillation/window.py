"""Texts cut to a number of tokens, so that teacher and student read the same."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

# Texts that are tokenised at a time: the library's own form takes a hundred bytes a token.
_BLOCK_TEXTS = 1000


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[NDArray[np.int32]]:
    """Tokenise texts, special tokens included, in parallel.

    Args:
        tokenizer: A tokenizer that neither truncates nor pads.
        texts: Texts of any length.

    Returns:
        The ids of each text, `(tokens,)`.
    """
    ids: list[NDArray[np.int32]] = []
    for start in range(0, len(texts), _BLOCK_TEXTS):
        block = tokenizer.encode_batch_fast(list(texts[start : start + _BLOCK_TEXTS]))
        ids += [np.array(encoding.ids, dtype=np.int32) for encoding in block]
    return ids


def cut_text(tokenizer: Tokenizer, text: str, max_length: int, *, prefix: str = "") -> str:
    """Cut a text behind the last token that fits.

    Args:
        tokenizer: A tokenizer that neither truncates nor pads.
        text: Any text.
        max_length: Most tokens, special ones and those of `prefix` included.
        prefix: Comes before the text and is never cut.

    Returns:
        The beginning of the text.

    Raises:
        ValueError: If the prefix leaves no room for any text.
    """
    whole = prefix + text
    encoding = tokenizer.encode(whole)
    while len(encoding.ids) > max_length:
        marked = zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
        ends = [end for (_, end), special in marked if not special]
        room = max_length - (len(encoding.ids) - len(ends))
        end = ends[room - 1] if room > 0 else 0
        # Bytes of one character all end where it ends, and a shorter text may have more tokens than its part did.
        whole = whole[: min(end, len(whole) - 1)].rstrip()
        if len(whole) <= len(prefix):
            raise ValueError(f"`max_length` is {max_length}: no room for text after {prefix!r}; raise it.")
        encoding = tokenizer.encode(whole)
    return whole[len(prefix) :]
