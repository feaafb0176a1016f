"""Bootstrap intervals and paired permutation tests, vectorised over resamples.

A bootstrap resample of n rows is a vector of n counts that says how often each row was drawn. Every statistic here is
a function of such counts, so nothing is copied, sorted or ranked again for each resample: the rows are sorted once,
and ranks follow from cumulated counts, ties included, exactly as if the resample had been written out and ranked.
Counts stand in columns, `(rows, resamples)`, so that every operation runs along contiguous memory, in blocks that fit
into a cache; what depends on the targets alone is computed once for all models and widths.

The percentile interval and the paired bootstrap are those of Efron and Tibshirani (1993). The permutation test swaps
the two models' values within a row (Dror et al., 2018), standardised first: similarities of two models share no
scale.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hf_turkembed.scoring import metrics

Values = NDArray[np.float64]
Counts = NDArray[np.float32]
# Entries of one block of counts: it and its like stay in a processor's cache.
_BLOCK_ENTRIES = 100_000
# An interval is given where at least this share of the resamples has a defined statistic.
_LEAST_DEFINED = 0.99
# Variances and differences below this are zero but for rounding, on the scale of standardised values.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Statistic:
    """A metric of per-row values, in the three forms that scoring needs."""

    # (values, targets) -> the metric itself; raises where it is undefined.
    measure: Callable[[Values, Values], float]
    # (values of several models, targets) -> a function of counts, which returns `(models, resamples)`, NaN where the
    # metric is undefined; what needs no counts, such as sorting, is done once.
    resampler: Callable[[Sequence[Values], Values], Callable[[Counts], Values]]
    # (values, other values, targets, swaps) -> the difference of the metric for every permutation.
    permute: Callable[[Values, Values, Values, Counts], Values]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The rows behind one metric of one model."""

    statistic: Statistic
    # `(rows,)`: similarities, or 1 and 0 for right and wrong.
    values: Values
    # `(rows,)`: graded scores or labels; zeros where the metric has none.
    targets: Values


def measure_sample(sample: Sample) -> tuple[float | None, str | None]:
    """Compute the metric of a sample; or return None, and the reason why it does not exist."""
    try:
        return sample.statistic.measure(sample.values, sample.targets), None
    except ValueError as error:
        return None, str(error)


def bootstrap(samples: Sequence[Sample], resamples: int, seed: int) -> Values:
    """Compute the statistics of samples with the same rows on the same bootstrap resamples.

    Args:
        samples: Samples of `n` rows each, row by row of the same texts.
        resamples: Number of resamples.
        seed: Seed of the resamples.

    Returns:
        `(samples, resamples)`; NaN where a resample leaves a statistic undefined.
    """
    rows = len(samples[0].values)
    alike: dict[tuple[Statistic, bytes], list[int]] = {}
    for index, sample in enumerate(samples):
        alike.setdefault((sample.statistic, sample.targets.tobytes()), []).append(index)
    resamplers = [
        (members, statistic.resampler([samples[i].values for i in members], samples[members[0]].targets))
        for (statistic, _), members in alike.items()
    ]
    resampled = np.empty((len(samples), resamples))
    # The products are small: threads of the matrix library would wait for one another longer than they work.
    with threadpool_limits(1, "blas"):
        generator, start = np.random.default_rng(seed), 0
        for size in _block_sizes(rows, resamples):
            counts = _draw_counts(rows, size, generator)
            for members, resampler in resamplers:
                resampled[members, start : start + size] = resampler(counts)
            start += size
    return resampled


def percentile_interval(resampled: Values, confidence: float) -> tuple[float, float] | None:
    """Return the central interval that holds a share of the resampled statistics.

    Args:
        resampled: `(resamples,)`, NaN where undefined.
        confidence: The share, such as 0.95.

    Returns:
        Lower and upper bound; None where more than one resample in a hundred is undefined.
    """
    defined = resampled[np.isfinite(resampled)]
    if len(defined) < _LEAST_DEFINED * len(resampled):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def permutation_p_value(sample: Sample, baseline: Sample, permutations: int, seed: int) -> float:
    """Test whether two models' statistics differ, by swapping their values within rows.

    Args:
        sample: Rows of one model.
        baseline: The same rows of the other.
        permutations: Number of random permutations.
        seed: Seed of the permutations.

    Returns:
        Two-sided p-value, at least `1 / (permutations + 1)`.
    """
    rows = len(sample.values)
    permute, targets = sample.statistic.permute, sample.targets
    observed = abs(permute(sample.values, baseline.values, targets, np.zeros((rows, 1), dtype=np.float32))[0])
    generator = np.random.default_rng(seed)
    extreme = 0
    with threadpool_limits(1, "blas"):
        for size in _block_sizes(rows, permutations):
            bits = np.frombuffer(generator.bytes((rows * size + 7) // 8), dtype=np.uint8)
            swaps = np.unpackbits(bits, count=rows * size).reshape(rows, size).astype(np.float32)
            differences = permute(sample.values, baseline.values, targets, swaps)
            # Equal up to rounding counts as being as extreme.
            extreme += int(np.count_nonzero(np.abs(differences) >= observed - 1e-6))
    return (extreme + 1) / (permutations + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for the number of tests (Holm, 1979); valid whatever the tests have in common."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for position, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - position) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _draw_counts(rows: int, resamples: int, generator: np.random.Generator) -> Counts:
    """Return counts `(rows, resamples)`: each column says how often each row was drawn in `rows` draws."""
    drawn = generator.integers(0, rows, size=(rows, resamples))
    drawn *= resamples
    drawn += np.arange(resamples)
    counted = np.bincount(drawn.ravel(), minlength=rows * resamples)
    return counted.reshape(rows, resamples).astype(np.float32)


def _block_sizes(rows: int, total: int) -> Iterator[int]:
    """Yield sizes of blocks that together hold `total` resamples."""
    size = max(1, _BLOCK_ENTRIES // rows)
    for start in range(0, total, size):
        yield min(size, total - start)


def _spearman_resampler(models: Sequence[Values], targets: Values) -> Callable[[Counts], Values]:
    """Pearson correlation of the ranks.

    A row's rank in a resample lies midway between the number of draws before its group of equal values and the number
    up to the group's end. Over n draws, ranks vary by `(n^3 - sum of t^3) / 12` where t runs over the sizes of the
    groups. The ranks of the targets are centred, so those of the models need not be.
    """
    rows = len(targets)
    target_order, models_in_order = _Order(targets), [_Order(values) for values in models]

    def resample(counts: Counts) -> Values:
        target_ranks, target_spread = target_order.ranks_and_spread(counts)
        # What a row adds to the product, but for its own rank: the rank of its target, as often as it was drawn.
        weights = np.empty_like(counts)
        weights[target_order.order] = target_ranks - rows / 2
        weights *= counts
        correlations = np.empty((len(models), counts.shape[1]))
        for index, model in enumerate(models_in_order):
            ranks, spread = model.ranks_and_spread(counts)
            product = np.einsum("rb,rb->b", ranks, weights[model.order], dtype=np.float64)
            correlations[index] = _divide(product, np.sqrt(spread * target_spread))
        return correlations

    return resample


class _Order:
    """Rows in the order of their values, and the groups of equal values in it."""

    def __init__(self, values: Values) -> None:
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        self.starts = np.flatnonzero(first)
        self.ends = np.append(self.starts[1:], len(values))
        # Of every row in order: its group.
        self.group = np.cumsum(first) - 1

    def cumulate(self, weights: Counts) -> Counts:
        """Return `(rows + 1, resamples)`: the sum of the first k rows in order, for every k."""
        sums = np.zeros((len(weights) + 1, weights.shape[1]), dtype=weights.dtype)
        np.cumsum(weights[self.order], axis=0, out=sums[1:])
        return sums

    def ranks_and_spread(self, counts: Counts) -> tuple[Counts, Values]:
        """Return the rank, from 0, of every row in order, ties at their middle; and how much the ranks vary."""
        drawn = self.cumulate(counts)
        before, until = drawn[self.starts], drawn[self.ends]
        middle = (before + until) / 2
        sizes = np.subtract(until, before, out=until)
        spread = (len(counts) ** 3 - np.einsum("gb,gb,gb->b", sizes, sizes, sizes, dtype=np.float64)) / 12
        return middle if len(middle) == len(counts) else middle[self.group], spread


def _pearson_resampler(models: Sequence[Values], targets: Values) -> Callable[[Counts], Values]:
    """Pearson correlation from weighted moments; standardised first, so that no digits cancel."""
    left, right = np.stack([_standardise(values) for values in models]), _standardise(targets)
    moments = np.concatenate([left, left * left, left * right, [right, right * right]])

    def resample(counts: Counts) -> Values:
        # In float64: a resample of equal values has to be told from one of nearly equal ones.
        means = moments @ (counts.astype(np.float64) / len(targets))
        x, xx, xy = means[:-2].reshape(3, len(models), -1)
        y, yy = means[-2:]
        spread = np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0)
        return _divide(xy - x * y, np.sqrt(np.where(spread > _ROUNDING**2, spread, 0)))

    return resample


def _mean_resampler(models: Sequence[Values], targets: Values) -> Callable[[Counts], Values]:
    """Mean weighted by counts."""
    values = np.stack(models).astype(np.float32)

    def resample(counts: Counts) -> Values:
        sums: Counts = values @ counts
        return sums.astype(np.float64) / len(targets)

    return resample


def _average_precision_resampler(models: Sequence[Values], targets: Values) -> Callable[[Counts], Values]:
    """Average precision, the copies of a row and equal values being found together."""
    labels = targets.astype(np.float32)[:, None]
    orders = [_Order(-values) for values in models]

    def resample(counts: Counts) -> Values:
        labelled = counts * labels
        return np.stack(
            [
                _average_precision(order.cumulate(labelled)[order.ends], order.cumulate(counts)[order.ends])
                for order in orders
            ]
        )

    return resample


def _average_precision(found_right: Counts, found: Counts) -> Values:
    """Average precision of a ranking, threshold by threshold: of all `found` so far, so many are right."""
    precision = np.divide(found_right, found, out=np.zeros_like(found), where=found > 0)
    product = np.einsum("rb,rb->b", np.diff(found_right, axis=0, prepend=0), precision)
    # Undefined where all that was drawn has the same label.
    return _divide(product, np.where(found_right[-1] < found[-1], found_right[-1], 0))


def _permute_correlation(left: Values, right: Values, targets: Values, swaps: Counts) -> Values:
    """Difference of Pearson correlations with the targets, after values were swapped within rows.

    With the half sum m and the half difference d of two rows' values, swapping turns `m + d` and `m - d` into one
    another, so every moment is linear in the signs of the swaps: one matrix product for all permutations.
    """
    x, y, z = _standardise(left), _standardise(right), _standardise(targets)
    middle, half = (x + y) / 2, (x - y) / 2
    signs = 1 - 2 * swaps
    linear = (np.stack([half, half * z, middle * half]).astype(np.float32) @ signs).astype(np.float64) / len(x)
    total, product, cross = linear
    fixed_product, fixed_square = np.mean(middle * z), np.mean(middle**2 + half**2)
    # Standardised columns have the mean zero, so `middle` has; only the swapped half moves the mean.
    first = _divide(fixed_product + product, np.sqrt(np.maximum(fixed_square + 2 * cross - total**2, 0)))
    second = _divide(fixed_product - product, np.sqrt(np.maximum(fixed_square - 2 * cross - total**2, 0)))
    return first - second


def _permute_spearman(left: Values, right: Values, targets: Values, swaps: Counts) -> Values:
    """Difference of rank correlations; ranks are swapped and not ranked again, which leaves the test exact."""
    from scipy.stats import rankdata

    return _permute_correlation(rankdata(left), rankdata(right), rankdata(targets), swaps)


def _permute_mean(left: Values, right: Values, targets: Values, swaps: Counts) -> Values:
    """Difference of means."""
    differences = ((left - right) / len(left)).astype(np.float32)
    return (differences @ (1 - 2 * swaps)).astype(np.float64)


def _permute_average_precision(left: Values, right: Values, targets: Values, swaps: Counts) -> Values:
    """Difference of average precisions when rows swap their ranks in the two models' rankings.

    Every row stands in a ranking twice, at its rank by the one model and by the other, and one of the two is counted.
    """
    from scipy.stats import rankdata

    counted = np.concatenate([1 - swaps, swaps])
    labelled = counted * np.concatenate([targets, targets]).astype(np.float32)[:, None]
    ranks = rankdata(-left), rankdata(-right)

    def precision(own: Values, other: Values) -> Values:
        order = _Order(np.concatenate([own, other]))
        return _average_precision(order.cumulate(labelled)[order.ends], order.cumulate(counted)[order.ends])

    return precision(*ranks) - precision(*reversed(ranks))


def _standardise(values: Values) -> Values:
    """Shift and scale to mean 0 and standard deviation 1; constant values become 0."""
    centred: Values = values - values.mean()
    deviation = float(centred.std())
    return centred / deviation if deviation > 0 else centred


def _divide(numerator: NDArray[np.floating], denominator: NDArray[np.floating]) -> Values:
    """Divide in float64, with NaN where the denominator is zero."""
    quotients: Values = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=quotients, where=denominator > 0)
    return quotients


SPEARMAN = Statistic(metrics.spearman, _spearman_resampler, _permute_spearman)
PEARSON = Statistic(metrics.pearson, _pearson_resampler, _permute_correlation)
AVERAGE_PRECISION = Statistic(metrics.average_precision, _average_precision_resampler, _permute_average_precision)
MEAN = Statistic(metrics.mean, _mean_resampler, _permute_mean)
