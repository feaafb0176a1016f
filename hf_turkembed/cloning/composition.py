"""The rows of a new embedding table: copied by spelling, or composed of the rows of a token's pieces."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from hf_turkembed.checkpoint import StoredTensor, read_blocks
from hf_turkembed.tokenizer.scripts import script_of_letters
from hf_turkembed.tokenizer.selecting import spell_longest_first
from hf_turkembed.tokenizer.unknown import find_unknown_id

Initialization = Literal["mean", "scaled_mean", "weighted_mean", "random"]

_BLOCK_ROWS = 8_192
# Smooth inverse frequency, a / (a + p), over word counts (https://openreview.net/forum?id=SyK00v5xx), with p from the
# token's rank by Zipf's law: ids of all three kinds of tokenizer follow frequency.
_INVERSE_FREQUENCY = 1e-5
_RANK_OFFSET = 2000


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """Where each row of a new table comes from."""

    # Teacher row that each row copies, shape (rows,); -1 for rows that are composed.
    sources: NDArray[np.int64]
    # Teacher rows of the pieces of the composed rows, one after the other, shape (pieces,).
    pieces: NDArray[np.int64]
    # Composed row that each piece belongs to, counted among the composed ones, shape (pieces,), ascending.
    owners: NDArray[np.int64]
    # The tokens of the rows.
    tokens: tuple[str, ...]

    @property
    def composed(self) -> NDArray[np.int64]:
        """List the composed rows."""
        return np.flatnonzero(self.sources < 0)


def plan_rows(teacher: Tokenizer, tokens: Sequence[str], teacher_rows: int) -> RowPlan:
    """Plan a table: a token that the teacher spells the same copies its row, any other is composed of its pieces.

    Args:
        teacher: The teacher's tokenizer.
        tokens: The new vocabulary by id.
        teacher_rows: Rows of the teacher's table; tokens past its end have none.

    Returns:
        The plan.

    Raises:
        ValueError: If the teacher cannot spell a new token.
    """
    vocabulary = teacher.get_vocab(with_added_tokens=True)
    found = np.array([vocabulary.get(token, teacher_rows) for token in tokens], dtype=np.int64)
    sources = np.where(found < teacher_rows, found, -1)
    new = [tokens[row] for row in np.flatnonzero(sources < 0).tolist()]
    pieces = spell_tokens(teacher, new, teacher_rows)
    for token, ids in zip(new, pieces, strict=True):
        if not ids:
            raise ValueError(f"the teacher cannot spell the new token {token!r} with tokens that have rows.")
    return RowPlan(
        sources=sources,
        pieces=np.array([row for ids in pieces for row in ids], dtype=np.int64),
        owners=np.repeat(np.arange(len(pieces), dtype=np.int64), [len(ids) for ids in pieces]),
        tokens=tuple(tokens),
    )


def spell_tokens(teacher: Tokenizer, tokens: Sequence[str], teacher_rows: int) -> list[list[int]]:
    """Spell tokens with a tokenizer's own: not by encoding, which adds special tokens and a word boundary.

    Args:
        teacher: The tokenizer.
        tokens: Tokens to spell.
        teacher_rows: Ids from here on may not be used.

    Returns:
        The ids of the pieces of each token; none where it cannot be spelled.
    """
    unknown = find_unknown_id(teacher)
    if prefix := getattr(teacher.model, "continuing_subword_prefix", None):
        # A WordPiece's model takes any text for a word's beginning; it cuts the inside by the longest match too.
        usable = {token: row for token, row in teacher.get_vocab().items() if row < teacher_rows and row != unknown}
        return [spell_longest_first(token, usable, prefix) or [] for token in tokens]
    spelled = [[piece.id for piece in teacher.model.tokenize(token)] for token in tokens]
    return [ids if ids and max(ids) < teacher_rows and unknown not in ids else [] for ids in spelled]


def compose_table(table: StoredTensor, plan: RowPlan, initialization: Initialization, *, seed: int) -> Tensor:
    """Make a new embedding table from the teacher's, which is read in blocks.

    Args:
        table: The teacher's table, `(teacher_rows, hidden_size)`.
        plan: Where the rows come from.
        initialization: What composed rows are: `mean`, the mean of the rows of their pieces
            (https://huggingface.co/papers/2605.29992); `scaled_mean`, the same with the median norm of the copied rows
            of the same script; `weighted_mean`, a mean in which rare pieces weigh more; `random`, normal with mean
            and standard deviation of the copied rows, by dimension.
        seed: Of `random`.

    Returns:
        The table, `(rows, hidden_size)`, in the type of `table`. Means are taken in float32.

    Raises:
        ValueError: If the teacher's table holds NaN or an infinity, or the initialization is none of these.
    """
    if initialization not in get_args(Initialization):
        raise ValueError(f"`initialization` is {initialization!r}; expected one of {get_args(Initialization)}.")
    weights = _piece_weights(plan, table.shape[0], initialization)
    composed = torch.zeros(len(plan.composed), table.shape[1])
    result: Tensor | None = None
    # Both in the order in which the teacher's rows come by.
    copied = np.argsort(plan.sources, kind="stable")[len(composed) :]
    sources = plan.sources[copied]
    order = np.argsort(plan.pieces, kind="stable")
    pieces = plan.pieces[order]
    for start, block in read_blocks(table, _BLOCK_ROWS):
        if result is None:
            result = torch.empty(len(plan.sources), table.shape[1], dtype=block.dtype)
        rows = _within(copied, sources, start, len(block))
        result[torch.from_numpy(rows)] = block[torch.from_numpy(plan.sources[rows] - start)]
        used = _within(order, pieces, start, len(block))
        parts = block[torch.from_numpy(plan.pieces[used] - start)].float()
        composed.index_add_(0, torch.from_numpy(plan.owners[used]), parts * weights[torch.from_numpy(used), None])
    if result is None:
        raise ValueError(f"{table.file}: `{table.name}` has no rows.")
    # Divided after the sum: a mean of weights that do not sum to exactly 1 would be a little off.
    sums = torch.zeros(len(composed)).index_add_(0, torch.from_numpy(plan.owners), weights)
    composed /= sums.clamp(min=1e-30)[:, None]
    if initialization == "scaled_mean":
        _scale(composed, result, plan)
    elif initialization == "random":
        _draw(composed, result, copied, seed)
    result[torch.from_numpy(plan.composed)] = composed.to(result.dtype)
    return result


def _within(items: NDArray[np.int64], keys: NDArray[np.int64], start: int, length: int) -> NDArray[np.int64]:
    """Return the items whose ascending keys lie in a block."""
    first, last = np.searchsorted(keys, [start, start + length])
    return items[first:last]


def _piece_weights(plan: RowPlan, teacher_rows: int, initialization: Initialization) -> Tensor:
    """Weigh the pieces."""
    weights = np.ones(len(plan.pieces))
    if initialization == "weighted_mean":
        frequencies = 1 / (np.arange(teacher_rows) + _RANK_OFFSET)
        frequencies /= frequencies.sum()
        weights = _INVERSE_FREQUENCY / (_INVERSE_FREQUENCY + frequencies[plan.pieces])
    return torch.from_numpy(weights).float()


def _scale(composed: Tensor, table: Tensor, plan: RowPlan) -> None:
    """Give each composed row the median norm of the copied rows of its script."""
    norms = torch.cat([block.float().norm(dim=1) for block in table.split(_BLOCK_ROWS)]).tolist()
    by_script: dict[str | None, list[float]] = defaultdict(list)
    for row in np.flatnonzero(plan.sources >= 0).tolist():
        by_script[script_of_letters(plan.tokens[row])].append(norms[row])
    medians = {script: statistics.median(values) for script, values in by_script.items()}
    everywhere = statistics.median(value for values in by_script.values() for value in values)
    scripts = [script_of_letters(plan.tokens[row]) for row in plan.composed.tolist()]
    wanted = torch.tensor([medians.get(script, everywhere) for script in scripts])
    composed *= (wanted / composed.norm(dim=1).clamp(min=1e-12))[:, None]


def _draw(composed: Tensor, table: Tensor, copied: NDArray[np.int64], seed: int) -> None:
    """Draw the composed rows with the mean and standard deviation, by dimension, of the copied ones."""
    blocks = [torch.from_numpy(rows) for rows in np.split(copied, range(_BLOCK_ROWS, len(copied), _BLOCK_ROWS))]
    mean = torch.stack([table[rows].double().sum(dim=0) for rows in blocks]).sum(dim=0) / len(copied)
    squares = torch.stack([(table[rows].double() - mean).square().sum(dim=0) for rows in blocks]).sum(dim=0)
    deviation = (squares / (len(copied) - 1)).sqrt()
    generator = torch.Generator().manual_seed(seed)
    composed.normal_(generator=generator).mul_(deviation.float()).add_(mean.float())
