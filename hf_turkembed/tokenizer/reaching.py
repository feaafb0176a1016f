"""Finding the tokens that no text produces."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from tokenizers import Tokenizer

# How many beginnings of words a continuing piece is tried behind. One is enough unless the normalizer joins the last
# character of the beginning with the first of the piece.
_BEGINNINGS = 8


def find_unreachable(tokenizer: Tokenizer, pinned: AbstractSet[str]) -> list[str]:
    """List the tokens that no text produces, trying each of them.

    A token of a BPE or a Unigram is produced if the model cuts its own string into that token alone: what wins inside
    a word wins alone. A WordPiece takes the longest match, so its tokens win wherever they match; there a token is
    produced if normalizer and pre-tokenizer let its characters through, and if a continuing one (`##x`) is the last
    token of some word.

    Args:
        tokenizer: The tokenizer.
        pinned: Tokens that are no part of words and are passed over.

    Returns:
        The tokens in the order of their ids.
    """
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    pieces = [piece for piece in sorted(vocabulary, key=vocabulary.__getitem__) if piece not in pinned]
    if type(tokenizer.model).__name__ == "WordPiece":
        return _find_unreachable_wordpieces(tokenizer, pieces, vocabulary)
    return [piece for piece in pieces if _cut(tokenizer, piece) != [vocabulary[piece]]]


def is_continuing(piece: str, prefix: str) -> bool:
    """Tell whether a token of a WordPiece stands inside words only.

    Args:
        piece: The token as it stands in the vocabulary.
        prefix: What marks such tokens; the empty string if nothing does.

    Returns:
        True for a token that begins with the prefix and goes on after it.
    """
    return bool(prefix) and piece.startswith(prefix) and piece != prefix


def _find_unreachable_wordpieces(
    tokenizer: Tokenizer, pieces: Sequence[str], vocabulary: Mapping[str, int]
) -> list[str]:
    """List the tokens of a WordPiece that no word ends in, or is."""
    prefix = tokenizer.model.continuing_subword_prefix
    initial = [piece for piece in pieces if not is_continuing(piece, prefix)]
    beginnings = _find_beginnings(tokenizer, initial)

    def is_reachable(piece: str) -> bool:
        index = vocabulary[piece]
        if not is_continuing(piece, prefix):
            return _is_word(tokenizer, piece) and _cut(tokenizer, piece) == [index]
        words = (beginning + piece.removeprefix(prefix) for beginning in beginnings)
        return any(_is_word(tokenizer, word) and _cut(tokenizer, word)[-1:] == [index] for word in words)

    return [piece for piece in pieces if not is_reachable(piece)]


def _find_beginnings(tokenizer: Tokenizer, initial: Iterable[str]) -> list[str]:
    """Pick the shortest tokens that stay the first of every word they begin, because no token goes on from them."""
    candidates = list(initial)
    begun = {piece[:length] for piece in candidates for length in range(1, len(piece))}
    last = sorted((piece for piece in candidates if piece.isalnum() and piece not in begun), key=len)
    found = (piece for piece in last if _is_word(tokenizer, piece))
    return [piece for piece, _ in zip(found, range(_BEGINNINGS), strict=False)]


def _is_word(tokenizer: Tokenizer, text: str) -> bool:
    """Tell whether normalizer and pre-tokenizer hand a text to the model whole and unchanged."""
    normalized = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return bool(normalized == text)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized)] == [text]


def _cut(tokenizer: Tokenizer, word: str) -> list[int]:
    """List the ids of the tokens that the model cuts a word into."""
    return [token.id for token in tokenizer.model.tokenize(word)]
