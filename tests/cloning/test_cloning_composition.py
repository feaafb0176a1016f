"""Rows of a new table: copied by spelling, or composed of the rows of a token's pieces."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tokenizers import Tokenizer, models

from hf_turkembed.checkpoint import list_tensors
from hf_turkembed.cloning import composition
from hf_turkembed.cloning.composition import compose_table, plan_rows, spell_tokens

PIECES = ["<pad>", "<unk>", "a", "b", "c", "ab", "д", "е", "де"]


def bpe(pieces):
    """A BPE of these pieces, each pair of which that makes another being a merge."""
    merges = [[x, y] for x in pieces for y in pieces if x + y in pieces]
    model = {"type": "BPE", "unk_token": "<unk>", "vocab": {p: i for i, p in enumerate(pieces)}, "merges": merges}
    return Tokenizer.from_str(json.dumps({"model": model, "added_tokens": []}))


@pytest.fixture
def store(tmp_path):
    def write(rows):
        save_file({"table": rows}, tmp_path / "model.safetensors")
        return list_tensors(tmp_path)["table"]

    return write


def compose(table, tokens, initialization="mean", seed=0, teacher=None):
    plan = plan_rows(teacher or bpe(PIECES), tokens, table.shape[0])
    return compose_table(table, plan, initialization, seed=seed)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["c", "ab", "abc", "cab", "дед", "a", "ccc", "<pad>", "bb"]), unique=True, min_size=1),
    st.sampled_from(["float32", "bfloat16", "float16"]),
    st.integers(1, 10),
)
def test_rows_are_those_of_a_loop_in_float32(tmp_path_factory, tokens, dtype, block_rows):
    rows = torch.randn(len(PIECES), 3, generator=torch.Generator().manual_seed(1)).to(getattr(torch, dtype))
    folder = tmp_path_factory.mktemp("table")
    save_file({"table": rows}, folder / "model.safetensors")
    teacher = bpe(PIECES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "_BLOCK_ROWS", block_rows)
        made = compose(list_tensors(folder)["table"], tokens, teacher=teacher)
    assert made.dtype == rows.dtype
    for row, token in enumerate(tokens):
        ids = [PIECES.index(token)] if token in PIECES else [piece.id for piece in teacher.model.tokenize(token)]
        expected = rows[ids].float().mean(dim=0).to(rows.dtype)
        torch.testing.assert_close(made[row], expected, atol=1e-6 if dtype == "float32" else 1e-2, rtol=0)


def test_a_shared_token_copies_its_row_bit_for_bit(store):
    rows = torch.randn(len(PIECES), 4).to(torch.bfloat16)
    made = compose(store(rows), ["де", "a", "abc"])
    assert torch.equal(made[:2], rows[[PIECES.index("де"), 2]])


def test_a_scaled_mean_has_the_median_norm_of_the_rows_of_its_script(store):
    rows = torch.zeros(len(PIECES), 2)
    rows[2:6, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    rows[6:9, 1] = torch.tensor([10.0, 20.0, 40.0])
    made = compose(store(rows), [*PIECES, "ca", "дед"], "scaled_mean")
    torch.testing.assert_close(made[-2:], torch.tensor([[2.5, 0.0], [0.0, 20.0]]))


def test_rare_pieces_weigh_more_in_a_weighted_mean(store):
    rows = torch.eye(len(PIECES))
    mean, weighted = (compose(store(rows), ["cab"], how)[0] for how in ("mean", "weighted_mean"))
    frequent, rare = PIECES.index("c"), PIECES.index("ab")
    assert mean[frequent] == mean[rare] == 0.5
    assert weighted[frequent] < 0.5 < weighted[rare] and weighted.sum() == pytest.approx(1)


def test_random_rows_have_mean_and_deviation_of_the_copied_and_follow_the_seed(store):
    rows = torch.randn(len(PIECES), 2) * torch.tensor([1.0, 5.0]) + 3
    table, new = store(rows), ["a" * n for n in range(2, 2002)]
    made = compose(table, [*PIECES, *new], "random", seed=3)
    assert torch.equal(made, compose(table, [*PIECES, *new], "random", seed=3))
    assert not torch.equal(made, compose(table, [*PIECES, *new], "random", seed=4))
    drawn = made[len(PIECES) :]
    torch.testing.assert_close(drawn.mean(dim=0), rows.mean(dim=0), atol=0.5, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), rows.std(dim=0), atol=0.5, rtol=0.1)


@pytest.mark.parametrize("tokens", [["x"], ["ax"]])
def test_a_token_the_teacher_cannot_spell_is_refused(store, tokens):
    with pytest.raises(ValueError, match=f"cannot spell the new token '{tokens[0]}'"):
        compose(store(torch.zeros(len(PIECES), 1)), tokens)


def test_tokens_past_the_end_of_the_table_have_no_row(store):
    table = store(torch.arange(6.0)[:, None])
    assert compose(table, ["ab", "a"]).flatten().tolist() == [5.0, 2.0]
    with pytest.raises(ValueError, match="cannot spell the new token 'де'"):
        compose(table, ["де"])


def test_pieces_inside_a_word_of_a_wordpiece_are_spelled_by_pieces_inside_words():
    vocab = {"[UNK]": 0, "ev": 1, "##ler": 2, "#": 3, "##l": 4, "##er": 5, "###": 6, "##in": 7}
    teacher = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    assert spell_tokens(teacher, ["evler", "##er", "##lerler", "##in", "ler"], 7) == [[1, 2], [5], [2, 2], [], []]


def test_a_plan_lists_pieces_in_order(store):
    plan = plan_rows(bpe(PIECES), ["cab", "a", "bb"], len(PIECES))
    assert plan.sources.tolist() == [-1, 2, -1] and plan.composed.tolist() == [0, 2]
    assert plan.pieces.tolist() == [4, 5, 3, 3] and plan.owners.tolist() == [0, 0, 1, 1]
    assert isinstance(plan.sources, np.ndarray)
