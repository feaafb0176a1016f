"""The table's optimizer: AdamW on every row, though it walks only those that a batch touches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hf_turkembed.distillation.embedding_table import EmbeddingTable

ROWS, WIDTH = 30, 6


def embeddings(padding_idx=0):
    torch.manual_seed(0)
    pair = [nn.Embedding(ROWS, WIDTH, padding_idx=padding_idx) for _ in range(2)]
    pair[1].load_state_dict(pair[0].state_dict())
    return pair


def rates(steps, peak=0.05):
    return [peak * min((step + 1) / 5, (steps - step) / steps) for step in range(steps)]


def loss(module, places, ids):
    target = torch.sin(torch.arange(WIDTH) + ids[:, None].float())
    return (module(places) - target).square().sum()


def train_densely(module, batches, learning_rates, weight_decay):
    optimizer = torch.optim.AdamW(module.parameters(), lr=1, weight_decay=weight_decay)
    for ids, rate in zip(batches, learning_rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        loss(module, ids, ids).backward()
        optimizer.step()
        optimizer.zero_grad()


def train_by_rows(table, module, batches, first=0):
    for step, ids in enumerate(batches[first:], first + 1):
        touched, places = ids.unique(return_inverse=True)
        table.gather(touched, step)
        loss(module, places, ids).backward()
        table.apply(step)


def assert_same(sparse, dense):
    """Nearly all numbers agree closely; where a gradient is next to nothing, epsilon makes a difference of 0.0006."""
    difference = (sparse.weight - dense.weight).detach().abs()
    assert (difference <= 2e-5 + 1e-4 * dense.weight.detach().abs()).float().mean() > 0.99
    # Steps are up to 0.05 long.
    assert difference.max() < 2e-3


def draw(steps, size, seed):
    generator = np.random.default_rng(seed)
    return [torch.from_numpy(generator.integers(1, ROWS, size)) for _ in range(steps)]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 80), st.integers(1, 8), st.sampled_from([0.0, 0.01, 0.3]), st.integers(0, 99))
def test_the_result_is_that_of_adamw_over_the_whole_table(steps, size, weight_decay, seed):
    dense, sparse = embeddings()
    batches, learning_rates = draw(steps, size, seed), rates(steps)
    train_densely(dense, batches, learning_rates, weight_decay)
    table = EmbeddingTable(sparse, learning_rates, weight_decay)
    train_by_rows(table, sparse, batches)
    table.finish(steps)
    table.release()
    assert_same(sparse, dense)
    assert sparse.padding_idx == 0 and sparse.weight.requires_grad


def test_reading_the_table_between_steps_changes_nothing():
    dense, sparse = embeddings()
    batches, learning_rates = draw(40, 4, 3), rates(40)
    train_densely(dense, batches, learning_rates, 0.1)
    table = EmbeddingTable(sparse, learning_rates, 0.1)
    for step in range(40):
        train_by_rows(table, sparse, batches[: step + 1], first=step)
        table.finish(step + 1)
    assert_same(sparse, dense)


def test_it_goes_on_from_its_state_bit_for_bit():
    batches, learning_rates = draw(30, 4, 1), rates(30)
    whole, cut = embeddings()
    undisturbed = EmbeddingTable(whole, learning_rates, 0.01)
    train_by_rows(undisturbed, whole, batches)
    first = EmbeddingTable(cut, learning_rates, 0.01)
    train_by_rows(first, cut, batches[:17])
    state = {name: value.clone() for name, value in first.state_dict().items()}
    again = nn.Embedding(ROWS, WIDTH, padding_idx=0)
    again.weight.data.copy_(cut.weight)
    second = EmbeddingTable(again, learning_rates, 0.01)
    second.load_state_dict(state)
    train_by_rows(second, again, batches, first=17)
    for table in (undisturbed, second):
        table.finish(30)
    assert torch.equal(whole.weight, again.weight)


def test_while_a_step_is_under_way_the_module_holds_the_touched_rows_alone():
    module, _ = embeddings()
    before = module.weight.clone()
    table = EmbeddingTable(module, rates(3), 0.0)
    leaf = table.gather(torch.tensor([2, 5]), 1)
    assert module.weight is leaf and torch.equal(leaf, before[[2, 5]])
    module(torch.tensor([0, 1, 1])).sum().backward()
    assert leaf.grad.tolist() == [[1.0] * WIDTH, [2.0] * WIDTH]
    table.apply(1)
    moved = (module.weight != before).any(dim=1).nonzero().flatten().tolist()
    assert module.weight.shape == (ROWS, WIDTH) and moved == [2, 5]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 60), st.sampled_from([0.0, 0.3]), st.integers(0, 99))
def test_rows_that_are_held_back_stay_bit_for_bit_and_are_then_those_of_adamw(held, later, cut, weight_decay, seed):
    """The reference walks the whole table; while they are held, it has no gradient of theirs and puts them back."""
    dense, sparse = embeddings()
    before, steps, old = sparse.weight.clone(), held + later, torch.arange(ROWS) % 3 > 0
    batches, learning_rates = draw(steps, 6, seed), rates(steps)
    optimizer = torch.optim.AdamW(dense.parameters(), lr=1, weight_decay=weight_decay)
    for step, (ids, rate) in enumerate(zip(batches, learning_rates, strict=True)):
        optimizer.param_groups[0]["lr"] = rate
        loss(dense, ids, ids).backward()
        if step < held:
            dense.weight.grad[old] = 0.0
        optimizer.step()
        if step < held:
            dense.weight.data[old] = before[old]
        optimizer.zero_grad()
    table = EmbeddingTable(sparse, learning_rates, weight_decay)
    table.hold_back(old, held)
    for step in range(steps):
        train_by_rows(table, sparse, batches[: step + 1], first=step)
        if step == cut % steps:
            # Brought up to date and read from a checkpoint in between, in either stage.
            table.finish(step + 1)
            state = {name: value.clone() for name, value in table.state_dict().items()}
            table = EmbeddingTable(sparse, learning_rates, weight_decay)
            table.hold_back(old, held)
            table.load_state_dict(state)
        if step < held:
            assert torch.equal(sparse.weight[old], before[old])
    table.finish(steps)
    assert torch.equal(sparse.weight[old], before[old]) or later
    assert_same(sparse, dense)


def test_a_step_that_was_not_begun_cannot_end():
    module, _ = embeddings()
    with pytest.raises(RuntimeError, match="without `gather`"):
        EmbeddingTable(module, rates(3), 0.0).apply(1)
