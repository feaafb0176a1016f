"""Which rows go together in an optimizer step, the same on any number of processes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Texts of similar length are looked for among this many batches; more would make batches less random.
_WINDOW_BATCHES = 64


def plan_batches(lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
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
