"""One optimizer step: forward and backward over a batch's share, gradients added up, and the table's rows moved."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from hf_turkembed.distillation.batched_encoder import pad, run_modules
from hf_turkembed.distillation.batching import split_by_tokens
from hf_turkembed.distillation.embedding_table import EmbeddingTable
from hf_turkembed.distillation.objective import Objective
from hf_turkembed.distillation.training_rows import TrainingRows

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Optimisation settings of a distillation run."""

    epochs: int
    # Texts of one optimizer step, over all processes.
    batch_size: int
    # Most tokens of one forward pass of one process, padding included; gradients of several are added up.
    batch_tokens: int
    learning_rate: float
    embedding_learning_rate: float
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    # Steps between checkpoints; the student is evaluated before each.
    checkpoint_steps: int
    # Share of the steps, at the beginning, in which only the rows of new tokens are trained.
    new_rows_ratio: float = 0.0


class Student(nn.Module):
    """Returns the embeddings that the objective names."""

    def __init__(self, model: "SentenceTransformer", names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, features: dict[str, Any]) -> dict[str, Tensor]:
        """Return them in float32, whatever the modules ran in."""
        found = run_modules(self.model, features, self.names)
        return {name: embedding.float() for name, embedding in found.items()}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What every step needs."""

    model: nn.Module
    table: EmbeddingTable
    optimizer: Any
    others: list[nn.Parameter]
    rows: TrainingRows
    accelerator: Accelerator
    schedule: Schedule
    objective: Objective
    pad: int
    # Steps at the beginning in which the table holds back all but the rows of new tokens, and nothing else moves.
    new_rows_steps: int


def take_step(run: Run, batch: NDArray[np.int64], step: int, stop_requested: bool) -> tuple[float, float, bool]:
    """Take one optimizer step, which moves nothing where loss or gradient is no number.

    Returns:
        The batch's mean loss, the norm of its gradient, and whether any process was told to stop.
    """
    accelerator = run.accelerator
    device = run.table.weight.device
    # Each process knows the whole batch, so that all gather the same rows of the table.
    ids = np.concatenate([run.rows.tokens_of(int(row)) for row in batch])
    touched = np.unique(np.append(ids, run.pad))
    leaf = run.table.gather(torch.from_numpy(touched).long().to(device), step + 1)
    share = batch[accelerator.process_index :: accelerator.num_processes]
    groups = list(split_by_tokens(run.rows.lengths[share], run.schedule.batch_tokens))
    total = torch.zeros((), device=device)
    run.model.train()
    for number, group in enumerate(groups):
        last = number == len(groups) - 1
        with nullcontext() if last else accelerator.no_sync(run.model):
            loss = _loss(run, share[group], touched) / len(batch)
            # DDP averages gradients over processes; the mean over the batch's rows is their sum.
            accelerator.backward(loss * accelerator.num_processes)
        total += loss.detach()
    if leaf.grad is not None:
        leaf.grad = accelerator.reduce(leaf.grad, "mean")
    found = accelerator.reduce(torch.stack([total, total.new_tensor(float(stop_requested))]), "sum")
    # The norm is that of what moves, and the same on all processes, as their gradients are.
    run.table.drop_held_gradients(step + 1)
    moving = [leaf] if step < run.new_rows_steps else [leaf, *run.others]
    norm = accelerator.clip_grad_norm_(moving, run.schedule.max_grad_norm)
    mean_loss, stop, gradient_norm = torch.stack([*found, norm]).tolist()
    if np.isfinite([mean_loss, gradient_norm]).all():
        if step >= run.new_rows_steps:
            run.optimizer.step()
        run.table.apply(step + 1)
    run.optimizer.zero_grad()
    return mean_loss, gradient_norm, stop > 0


def _loss(run: Run, rows: NDArray[np.int64], touched: NDArray[np.int32]) -> Tensor:
    """Return the summed loss of some rows; the table holds only the touched ones, in order."""
    device = run.table.weight.device
    # A row's number in the table becomes its place among those that are touched.
    ids = [np.searchsorted(touched, run.rows.tokens_of(int(row))).astype(np.int32) for row in rows]
    features = pad(ids, np.arange(len(rows)), int(np.searchsorted(touched, run.pad)))
    found = run.model({name: value.to(device) for name, value in features.items()})
    targets = {
        name: torch.from_numpy(run.rows.vectors[name][rows].astype(np.float32)).to(device)
        for name in run.objective.names
    }
    return run.objective.loss(found, targets)
