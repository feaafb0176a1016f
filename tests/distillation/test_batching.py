"""Batches: every row once, near the size asked for, similar lengths together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hf_turkembed.distillation.batching import padding_share, plan_batches, split_by_tokens

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=300)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5))
def test_every_row_is_in_exactly_one_batch_and_no_batch_is_too_large(lengths, batch_size, epoch):
    batches = plan_batches(lengths, batch_size, seed=3, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(0 < len(batch) <= batch_size for batch in batches)


def test_the_plan_is_the_same_for_the_same_seed_and_epoch_only():
    plans = [plan_batches(range(100), 8, seed=s, epoch=e) for s, e in ((1, 0), (1, 0), (1, 1), (2, 0))]
    flat = [np.concatenate(plan).tolist() for plan in plans]
    assert flat[0] == flat[1] and len({tuple(order) for order in flat}) == 3


def test_rows_of_similar_length_go_together():
    lengths = np.random.default_rng(0).integers(1, 200, size=4096)
    batches = plan_batches(lengths, 32, seed=0, epoch=0)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.05 * lengths.sum()


def test_batches_do_not_come_in_order_of_length():
    batches = plan_batches(list(range(512)), 8, seed=0, epoch=0)
    means = [batch.mean() for batch in batches]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.4


@given(LENGTHS, st.integers(1, 2000), st.sampled_from([0.0, 0.05, 1.0]))
def test_every_row_is_in_one_group_that_fits_longest_first(lengths, most_tokens, most_padding):
    groups = list(split_by_tokens(lengths, most_tokens, most_padding=most_padding))
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    for group in groups:
        own = [lengths[place] for place in group]
        assert own == sorted(own, reverse=True)
        assert len(own) == 1 or own[0] * len(own) <= most_tokens
        assert len(own) == 1 or 1 - sum(own) / (own[0] * len(own)) <= most_padding + 1e-9
    longest = [lengths[group[0]] for group in groups]
    assert longest == sorted(longest, reverse=True)


def test_padding_stays_under_the_share_that_is_allowed():
    lengths = np.random.default_rng(0).lognormal(3.3, 0.8, size=950).astype(int) + 2
    assert padding_share(lengths, 8192) > 0.1
    assert padding_share(lengths, 8192, most_padding=0.05) < 0.05
    assert padding_share([], 10) == 0 == padding_share([7, 7], 100)
