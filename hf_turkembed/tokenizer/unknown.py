"""The text that a tokenizer has no token for."""

import json
from collections.abc import Sequence

from tokenizers import Tokenizer


def find_unknown_id(tokenizer: Tokenizer) -> int | None:
    """Find the id of the unknown token.

    Args:
        tokenizer: A tokenizer of any model type.

    Returns:
        The id, or None if the model has no unknown token.
    """
    if type(tokenizer.model).__name__ == "Unigram":
        # The Python object of a Unigram model does not show its unknown id.
        found = json.loads(tokenizer.to_str())["model"]["unk_id"]
        return None if found is None else int(found)
    token = tokenizer.model.unk_token
    return None if token is None else tokenizer.token_to_id(token)


def count_unknown_characters(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Count the characters of each text that end up in unknown tokens.

    Characters, not tokens, because some models join neighbouring unknown tokens into one.

    Args:
        tokenizer: A tokenizer of any model type.
        texts: Texts to encode.

    Returns:
        The number for each text.
    """
    unknown = find_unknown_id(tokenizer)
    counts = [0] * len(texts)
    if unknown is None:
        return counts
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    affected = [index for index, encoding in enumerate(encodings) if unknown in encoding.ids]
    # Only this slower call tells where in the text a token comes from.
    located = tokenizer.encode_batch([texts[index] for index in affected], add_special_tokens=False)
    for index, encoding in zip(affected, located, strict=True):
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        counts[index] = sum(end - start for token, (start, end) in spans if token == unknown)
    return counts
