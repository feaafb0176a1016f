"""How a byte-pair encoding builds each of its tokens: the last merge, and so the two tokens it is made of."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_NO_MERGE = 2**62


@dataclass(frozen=True, kw_only=True)
class Derivations:
    """What every token of a vocabulary is made of."""

    # Ids of the left and the right part, shape (tokens, 2); -1 where a token has no parts.
    parents: NDArray[np.int32]
    # Ids of the tokens that no text can produce, ascending, shape (unreachable,).
    unreachable: NDArray[np.int32]


def rank_merges(merges: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Number the merges in the order in which they are tried.

    Args:
        merges: Pairs of tokens.

    Returns:
        The rank of each pair; of a repeated pair the first one.
    """
    ranks: dict[tuple[str, str], int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault(pair, rank)
    return ranks


def segment(text: str, ranks: Mapping[tuple[str, str], int]) -> tuple[list[str], tuple[str, str] | None]:
    """Apply ranked byte-pair encoding to a string, lowest rank first and leftmost among equals.

    Args:
        text: The string, with spaces already written as `▁`.
        ranks: The rank of each merge.

    Returns:
        The tokens, and the last merge that was made (None if none was).
    """
    parts = list(text)
    found = [ranks.get(pair, _NO_MERGE) for pair in pairwise(parts)]
    last = None
    while found:
        best = min(found)
        if best == _NO_MERGE:
            break
        index = found.index(best)
        last = (parts[index], parts[index + 1])
        parts[index : index + 2] = [last[0] + last[1]]
        del found[index]
        if index:
            found[index - 1] = ranks.get((parts[index - 1], parts[index]), _NO_MERGE)
        if index < len(found):
            found[index] = ranks.get((parts[index], parts[index + 1]), _NO_MERGE)
    return parts, last


def find_derivations(
    pieces: Sequence[str], ranks: Mapping[tuple[str, str], int], pinned: AbstractSet[str]
) -> Derivations:
    """Find the parts of every token by running the encoding on its own string.

    The merges made inside either part are exactly those made when that part stands alone, so the parts of a reachable
    token are reachable, and a vocabulary that keeps the parts of each of its tokens keeps every one of them reachable.

    Args:
        pieces: The tokens by id.
        ranks: The rank of each merge.
        pinned: Tokens that do not come from merges (added tokens, bytes) and so never count as unreachable.

    Returns:
        The parts of each token, and the tokens that are unreachable.
    """
    ids = {piece: index for index, piece in enumerate(pieces)}
    parents = np.full((len(pieces), 2), -1, dtype=np.int32)
    unreachable = []
    for index, piece in enumerate(pieces):
        parts, last = segment(piece, ranks)
        if len(parts) > 1:
            if piece not in pinned:
                unreachable.append(index)
        elif last is not None:
            parents[index] = ids[last[0]], ids[last[1]]
    return Derivations(parents=parents, unreachable=np.array(unreachable, dtype=np.int32))
