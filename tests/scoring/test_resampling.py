"""Resampling: counts give what written-out resamples give, intervals cover, permutation tests hold their level."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hf_turkembed.scoring import resampling
from hf_turkembed.scoring.resampling import AVERAGE_PRECISION, MEAN, PEARSON, SPEARMAN, Sample

STATISTICS = {"spearman": SPEARMAN, "pearson": PEARSON, "average_precision": AVERAGE_PRECISION, "mean": MEAN}


def draw(name, rows, generator, noise=1.0):
    """Draw a sample with ties, and a second model on the same rows."""
    targets = np.round(generator.normal(size=rows), 1)
    models = [np.round(targets + noise * generator.normal(size=rows), 1) for _ in range(2)]
    if name == "average_precision":
        targets = (targets > 0.3).astype(np.float64)
        targets[:2] = (0, 1)
    if name == "mean":
        models = [(model > 0).astype(np.float64) for model in models]
    return [Sample(statistic=STATISTICS[name], values=model, targets=targets) for model in models]


@pytest.mark.parametrize("name", STATISTICS)
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(min_value=4, max_value=60), seed=st.integers(min_value=0, max_value=2**32 - 1))
def test_a_resample_by_counts_equals_the_resample_written_out(name, rows, seed):
    generator = np.random.default_rng(seed)
    sample = draw(name, rows, generator)[0]
    drawn = generator.integers(0, rows, size=(6, rows))
    counts = np.stack([np.bincount(row, minlength=rows) for row in drawn], axis=1).astype(np.float32)
    found = sample.statistic.resampler([sample.values], sample.targets)(counts)[0]
    for value, row in zip(found, drawn, strict=True):
        try:
            expected = sample.statistic.measure(sample.values[row], sample.targets[row])
        except ValueError:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(expected, abs=2e-5)


def test_the_interval_is_that_of_scipy():
    sample = draw("spearman", 200, np.random.default_rng(2))[0]

    def spearman(left, right, axis=-1):
        return stats.pearsonr(stats.rankdata(left, axis=axis), stats.rankdata(right, axis=axis), axis=axis).statistic

    expected = stats.bootstrap(
        (sample.values, sample.targets), spearman, n_resamples=20_000, paired=True, method="percentile", rng=3
    ).confidence_interval
    found = resampling.percentile_interval(resampling.bootstrap([sample], 20_000, seed=3)[0], 0.95)
    # Two sets of random resamples: the bounds agree to a twentieth of the interval's length.
    np.testing.assert_allclose(found, expected, atol=0.05 * (expected.high - expected.low))


def test_models_on_the_same_rows_see_the_same_resamples():
    left, right = draw("spearman", 100, np.random.default_rng(4))
    together = resampling.bootstrap([left, right], 1000, seed=5)
    np.testing.assert_array_equal(together[0], resampling.bootstrap([left], 1000, seed=5)[0])
    paired = np.std(together[0] - resampling.bootstrap([left, left], 1000, seed=5)[1])
    assert paired == 0 < np.std(together[0] - resampling.bootstrap([right], 1000, seed=6)[0])


def test_the_seed_decides_the_interval():
    sample = draw("pearson", 50, np.random.default_rng(6))[0]
    first, again, other = (resampling.bootstrap([sample], 1000, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_statistic_that_is_often_undefined_has_no_interval():
    constant = Sample(statistic=SPEARMAN, values=np.array([0.1, 0.2, 0.3]), targets=np.array([1.0, 1.0, 2.0]))
    drawn = resampling.bootstrap([constant], 1000, seed=1)[0]
    assert 0.2 < np.mean(np.isnan(drawn)) < 0.5
    assert resampling.percentile_interval(drawn, 0.95) is None


@pytest.mark.parametrize("name", STATISTICS)
def test_the_difference_without_swaps_is_the_difference_of_the_metrics(name):
    sample, baseline = draw(name, 300, np.random.default_rng(7))
    observed = sample.statistic.permute(
        sample.values, baseline.values, sample.targets, np.zeros((300, 1), dtype=np.float32)
    )[0]
    expected = [one.statistic.measure(one.values, one.targets) for one in (sample, baseline)]
    assert observed == pytest.approx(expected[0] - expected[1], abs=1e-5)


@pytest.mark.parametrize("name", STATISTICS)
def test_swapping_every_row_turns_the_difference_around(name):
    sample, baseline = draw(name, 200, np.random.default_rng(9))
    swaps = np.stack([np.zeros(200), np.ones(200)], axis=1).astype(np.float32)
    there, back = sample.statistic.permute(sample.values, baseline.values, sample.targets, swaps)
    assert there == pytest.approx(-back, abs=1e-5) and abs(there) > 1e-3


@pytest.mark.parametrize("name", ["pearson", "mean"])
def test_a_p_value_is_that_of_all_permutations_where_they_can_be_counted(name):
    sample, baseline = draw(name, 10, np.random.default_rng(10), noise=1.5)
    swaps = np.array(list(itertools.product([0, 1], repeat=10)), dtype=np.float32).T
    if name == "pearson":
        # As the test defines it: standardised values are swapped.
        models = [(one.values - one.values.mean()) / one.values.std() for one in (sample, baseline)]
        swapped = [np.where(swaps.T == side, *models) for side in (0, 1)]
        exact = np.array([[np.corrcoef(row, sample.targets)[0, 1] for row in side] for side in swapped])
    else:
        exact = np.array([np.where(swaps.T == side, sample.values, baseline.values).mean(axis=1) for side in (0, 1)])
    differences = exact[0] - exact[1]
    expected = np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9)
    found = resampling.permutation_p_value(sample, baseline, 20_000, seed=11)
    assert found == pytest.approx(expected, abs=0.015)
    found = sample.statistic.permute(sample.values, baseline.values, sample.targets, swaps)
    np.testing.assert_allclose(found, differences, atol=1e-5)


def test_a_swapped_ranking_is_that_of_the_swapped_values():
    sample = draw("average_precision", 40, np.random.default_rng(12))[0]
    left, right = (np.random.default_rng(seed).permutation(40).astype(np.float64) for seed in (13, 14))
    swaps = np.random.default_rng(15).integers(0, 2, size=(40, 5)).astype(np.float32)
    found = AVERAGE_PRECISION.permute(left, right, sample.targets, swaps)
    for value, swap in zip(found, swaps.T, strict=True):
        models = np.where(swap == 0, left, right), np.where(swap == 0, right, left)
        expected = [AVERAGE_PRECISION.measure(model, sample.targets) for model in models]
        assert value == pytest.approx(expected[0] - expected[1], abs=1e-5)


def test_the_order_of_tied_rows_does_not_matter():
    targets = np.repeat([1.0, 0.0], 100)
    generator = np.random.default_rng(19)
    models = [np.round(generator.normal(size=200) + 0.2 * targets, 0) for _ in range(2)]
    order = generator.permutation(200)
    p_values = [
        resampling.permutation_p_value(
            *(Sample(statistic=AVERAGE_PRECISION, values=m[rows], targets=targets[rows]) for m in models), 2000, seed=1
        )
        for rows in (np.arange(200), order)
    ]
    assert p_values[0] == pytest.approx(p_values[1], abs=0.05)


def test_a_clear_difference_is_significant_and_none_is_not():
    generator = np.random.default_rng(16)
    targets = generator.normal(size=500)
    good, poor = (targets + noise * generator.normal(size=500) for noise in (0.5, 2.0))
    samples = [Sample(statistic=SPEARMAN, values=values, targets=targets) for values in (good, poor, good * 2 + 1)]
    assert resampling.permutation_p_value(samples[0], samples[1], 2000, seed=1) < 0.001
    # A change of scale changes no rank: every permutation is as extreme.
    assert resampling.permutation_p_value(samples[0], samples[2], 2000, seed=1) == 1.0


def test_holm_corrects_for_the_number_of_tests():
    assert resampling.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert resampling.holm([0.5, 0.9]) == [1.0, 1.0]
    assert resampling.holm([]) == []


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "correlation"), [(200, 0.3), (200, 0.8), (1379, 0.7)])
def test_intervals_cover_the_true_correlation(rows, correlation):
    """95 % +- 2 of the intervals hold the correlation that the normal pairs were drawn with."""
    generator = np.random.default_rng(17)
    truth = {PEARSON: correlation, SPEARMAN: 6 / np.pi * np.arcsin(correlation / 2)}
    trials, covered = 2000 if rows < 1000 else 1000, dict.fromkeys(truth, 0)
    for trial in range(trials):
        left = generator.normal(size=rows)
        right = correlation * left + np.sqrt(1 - correlation**2) * generator.normal(size=rows)
        samples = [Sample(statistic=statistic, values=left, targets=right) for statistic in truth]
        drawn = resampling.bootstrap(samples, 1000, seed=trial)
        for statistic, resampled in zip(truth, drawn, strict=True):
            low, high = resampling.percentile_interval(resampled, 0.95)
            covered[statistic] += low <= truth[statistic] <= high
    for statistic, count in covered.items():
        assert abs(count / trials - 0.95) <= 0.02, (statistic, count / trials)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATISTICS)
def test_a_permutation_test_of_equal_models_errs_as_often_as_it_says(name):
    generator = np.random.default_rng(18)
    p_values = [
        resampling.permutation_p_value(*draw(name, 150, generator), permutations=999, seed=trial)
        for trial in range(1000)
    ]
    assert abs(np.mean(np.array(p_values) <= 0.05) - 0.05) <= 0.02
