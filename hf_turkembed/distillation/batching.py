"""Which rows go together: in an optimizer step, and in a forward pass."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# Texts of similar length are looked for among this many batches; more would make batches less random.
_WINDOW_BATCHES = 64
# Of what is embedded without training, where small groups cost little and padding is all that is lost.
MOST_PADDING = 0.05


def plan_batches(
    lengths: Sequence[int] | NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Put rows of similar length into batches, in random order.

    The plan depends on its arguments alone: a resumed run and a run on more processes see the same batches.

    Args:
        lengths: Length of each row, in any unit.
        batch_size: Most rows of a batch, over all processes; all batches are of this size or one less, the last
            of an epoch included, as far as the number of rows allows.
        seed: Seed of the run.
        epoch: Number of the epoch, from 0.

    Returns:
        Row numbers of each batch; each row is in exactly one.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    length = np.asarray(lengths)
    windows = [
        window[np.argsort(length[window], kind="stable")]
        for window in np.array_split(order, max(1, len(order) // (batch_size * _WINDOW_BATCHES)))
    ]
    batches = [batch for window in windows for batch in np.array_split(window, max(1, -(-len(window) // batch_size)))]
    return [batches[i] for i in generator.permutation(len(batches))]


def split_by_tokens(
    lengths: Sequence[int] | NDArray[np.int64], most_tokens: int, *, most_padding: float = 1.0
) -> Iterator[NDArray[np.int64]]:
    """Split rows into groups that fit a forward pass, longest first, so that memory runs out at once or never.

    Args:
        lengths: Tokens of each row.
        most_tokens: Most tokens of a group with all rows padded to its longest; a row that is longer is alone.
        most_padding: Share of a group that may be padding.

    Yields:
        Positions in `lengths`; each is in exactly one group.
    """
    length = np.asarray(lengths)
    order = np.argsort(-length, kind="stable")
    start = 0
    while start < len(order):
        longest = int(length[order[start]])
        end = min(start + max(1, most_tokens // max(1, longest)), len(order))
        if most_padding < 1:
            real = np.cumsum(length[order[start:end]])
            share = 1 - real / (longest * np.arange(1, end - start + 1))
            # Rows get shorter, so that the share only rises.
            end = start + max(1, int(np.searchsorted(share, most_padding, side="right")))
        yield order[start:end]
        start = end


def padding_share(lengths: Sequence[int] | NDArray[np.int64], most_tokens: int, *, most_padding: float = 1.0) -> float:
    """Return the share of the tokens of padded groups that is padding."""
    length = np.asarray(lengths)
    groups = split_by_tokens(length, most_tokens, most_padding=most_padding)
    padded = sum(int(length[group[0]]) * len(group) for group in groups)
    return 1 - int(length.sum()) / padded if padded else 0.0
