"""Trains a student towards stored teacher vectors, on any number of processes."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from hf_turkembed.distillation.batching import plan_batches
from hf_turkembed.distillation.vectors import shard_files
from hf_turkembed.json_files import read_json
from hf_turkembed.record import write_json

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

_CHECKPOINT = "checkpoint"
_PROGRESS_FILE = "progress.json"
# The loss that is reported is a mean over this many last steps.
_LOSS_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class DistillReport:
    """What a distillation run did."""

    rows: int
    epochs: int
    steps: int
    # Mean over the widths of 1 - cosine to the teacher, over the last steps.
    final_loss: float
    seconds_per_step: float
    parameters: int
    matryoshka_dims: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Progress:
    """How far a run has come, kept with a checkpoint."""

    step: int
    losses: list[float]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Optimisation settings of a distillation run."""

    epochs: int
    # Texts of one optimizer step, over all processes.
    batch_size: int
    learning_rate: float
    embedding_learning_rate: float
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    checkpoint_steps: int


def read_vectors(folder: Path) -> Dataset:
    """Open the shards of teacher vectors, memory-mapped.

    Returns:
        Rows with `text` and `embedding`, the latter `(embedding_dim,)` float16 of unit norm.

    Raises:
        FileNotFoundError: If the folder holds no shard.
    """
    files = [str(path) for path in shard_files(folder)]
    return Dataset.from_parquet(files, columns=["text", "embedding"])


def distill(
    student: "SentenceTransformer",
    vectors: Dataset,
    accelerator: Accelerator,
    folder: Path,
    *,
    schedule: Schedule,
    matryoshka_dims: Sequence[int],
    seed: int,
) -> DistillReport:
    """Train `student` in place by cosine to the stored vectors at every width.

    Two processes take the same steps as one: the batches are the same, each process takes its share of the rows,
    and the loss is weighed by rows, not by processes. Training goes on from the last checkpoint in `folder`.

    Args:
        student: Gives `sentence_embedding`, `(batch_size, embedding_dim)`; its weights are float32.
        vectors: What `read_vectors` returned.
        accelerator: The process group and its mixed precision.
        folder: Where checkpoints go; the last one holds the end of training until `remove_checkpoints`.
        schedule: Optimisation settings.
        matryoshka_dims: Widths of the loss, largest first; the largest is the width of student and vectors.
        seed: Decides the order of the rows.

    Raises:
        ValueError: If student and vectors differ in width.

    References:
        Offline distillation: https://huggingface.co/papers/2605.29992
    """
    width = len(vectors[0]["embedding"])
    if not width == student.get_embedding_dimension() == matryoshka_dims[0]:
        raise ValueError(
            f"the vectors have {width} dimensions, the student {student.get_embedding_dimension()}, `matryoshka_dims` "
            f"begins with {matryoshka_dims[0]}; all three must be the same."
        )
    parameters = sum(parameter.numel() for parameter in student.parameters())
    optimizer = torch.optim.AdamW(_parameter_groups(student, schedule), weight_decay=schedule.weight_decay, fused=True)
    model, optimizer = accelerator.prepare(student, optimizer)
    batches = _all_batches(vectors, schedule, seed)
    progress = _load_checkpoint(accelerator, folder)
    losses, first = progress.losses, progress.step
    started = time.monotonic() - progress.seconds
    model.train()
    bar = tqdm(range(first, len(batches)), desc="distill", disable=None if accelerator.is_main_process else True)
    for step in bar:
        _set_learning_rates(optimizer, step, len(batches), schedule)
        rows = batches[step]
        share = vectors[rows[accelerator.process_index :: accelerator.num_processes]]
        loss = _backward(model, student, share, len(rows), accelerator, matryoshka_dims)
        accelerator.clip_grad_norm_(model.parameters(), schedule.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses = [*losses[1 - _LOSS_STEPS :], float(accelerator.reduce(loss, "sum"))]
        bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        if (step + 1) % schedule.checkpoint_steps == 0 or step + 1 == len(batches):
            seconds = time.monotonic() - started
            _save_checkpoint(accelerator, folder, _Progress(step=step + 1, losses=losses, seconds=seconds))
    return DistillReport(
        rows=len(vectors),
        epochs=schedule.epochs,
        steps=len(batches),
        final_loss=round(float(np.mean(losses)), 6),
        seconds_per_step=round((time.monotonic() - started) / len(batches), 4),
        parameters=parameters,
        matryoshka_dims=tuple(matryoshka_dims),
    )


def remove_checkpoints(folder: Path) -> None:
    """Remove what only an unfinished run needs; called once the trained model is saved."""
    for path in (*_checkpoints(folder).values(), folder / f".{_CHECKPOINT}.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def matryoshka_cosine_loss(student: Tensor, teacher: Tensor, matryoshka_dims: Sequence[int]) -> Tensor:
    """Return the mean over widths of 1 - cosine, summed over rows.

    Args:
        student: `(rows, embedding_dim)`, any norm.
        teacher: `(rows, embedding_dim)`, any norm.
        matryoshka_dims: Widths of the prefixes that are compared.
    """
    per_width = [
        1 - torch.nn.functional.cosine_similarity(student[:, :dim], teacher[:, :dim], dim=-1)
        for dim in matryoshka_dims
    ]
    return torch.stack(per_width).mean(dim=0).sum()


def _backward(
    model: torch.nn.Module,
    student: "SentenceTransformer",
    share: dict[str, Any],
    batch_rows: int,
    accelerator: Accelerator,
    matryoshka_dims: Sequence[int],
) -> Tensor:
    """Run one batch's share forward and backward; return its part of the batch's mean loss."""
    device = accelerator.device
    features = {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in student.preprocess(share["text"]).items()
    }
    embedding = model(features)["sentence_embedding"].float()
    target = torch.as_tensor(np.asarray(share["embedding"], dtype=np.float32), device=device)
    loss = matryoshka_cosine_loss(embedding, target, matryoshka_dims) / batch_rows
    # DDP averages gradients over processes; the mean over the batch's rows is their sum.
    accelerator.backward(loss * accelerator.num_processes)
    return loss.detach()


def _all_batches(vectors: Dataset, schedule: Schedule, seed: int) -> list[NDArray[np.int64]]:
    """Plan the batches of all epochs."""
    lengths = [len(text) for text in vectors["text"]]
    epochs: Iterator[list[NDArray[np.int64]]] = (
        plan_batches(lengths, schedule.batch_size, seed=seed, epoch=epoch) for epoch in range(schedule.epochs)
    )
    return [batch for batches in epochs for batch in batches]


def _parameter_groups(student: "SentenceTransformer", schedule: Schedule) -> list[dict[str, Any]]:
    """Give the embedding table, whose rows are touched rarely, a learning rate of its own."""
    backbone: Any = student[0]
    table = backbone.model.get_input_embeddings().weight
    rest = [parameter for parameter in student.parameters() if parameter is not table]
    return [
        {"params": [table], "lr": schedule.embedding_learning_rate, "peak": schedule.embedding_learning_rate},
        {"params": rest, "lr": schedule.learning_rate, "peak": schedule.learning_rate},
    ]


def _set_learning_rates(optimizer: Any, step: int, steps: int, schedule: Schedule) -> None:
    """Rise linearly over the warm-up, then fall linearly to zero: a function of the step, with no state to resume."""
    warmup = max(1, round(steps * schedule.warmup_ratio))
    scale = min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * scale


def _save_checkpoint(accelerator: Accelerator, folder: Path, progress: _Progress) -> None:
    """Write weights and optimizer state under a temporary name, rename, and only then drop the ones before."""
    temporary = folder / f".{_CHECKPOINT}.tmp"
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        before = _checkpoints(folder)
        write_json(temporary / _PROGRESS_FILE, progress)
        os.replace(temporary, folder / f"{_CHECKPOINT}-{progress.step}")
        for path in before.values():
            shutil.rmtree(path)
    accelerator.wait_for_everyone()


def _load_checkpoint(accelerator: Accelerator, folder: Path) -> _Progress:
    """Go back to the last checkpoint, if there is one."""
    found = _checkpoints(folder)
    if not found:
        return _Progress(step=0, losses=[], seconds=0.0)
    last = found[max(found)]
    accelerator.load_state(str(last))
    logger.info("distill: going on from step %d", max(found))
    return _Progress(**read_json(last / _PROGRESS_FILE))


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Find whole checkpoints by their step."""
    return {int(path.name.rpartition("-")[2]): path for path in folder.glob(f"{_CHECKPOINT}-*")}
