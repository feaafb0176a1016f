"""Trains a student towards stored teacher vectors, on any number of processes."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from hf_turkembed.distillation.batched_encoder import BatchedEncoder
from hf_turkembed.distillation.batching import plan_batches
from hf_turkembed.distillation.checkpoints import (
    BAD_BATCH_FILE,
    ROWS_FOLDER,
    Evaluation,
    Progress,
    load_checkpoint,
    save_best,
    save_checkpoint,
)
from hf_turkembed.distillation.embedding_table import EmbeddingTable
from hf_turkembed.distillation.held_out import HeldOut, compare_by_width, evaluate
from hf_turkembed.distillation.objective import Objective
from hf_turkembed.distillation.optimizer_step import Run, Schedule, Student, take_step
from hf_turkembed.distillation.training_rows import TrainingRows, locate_rows, open_training_rows, write_training_rows
from hf_turkembed.json_files import write_json

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

# The loss that is reported is a mean over this many last steps.
_LOSS_STEPS = 50
# Where no bar is drawn, the log says how far a run is after so many seconds, and at checkpoints.
_LOG_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class DistillReport:
    """What a distillation run did."""

    rows: int
    epochs: int
    steps: int
    # Of the student's tokenizer, special ones included, over all epochs.
    tokens: int
    # Mean of the loss over the last steps.
    final_loss: float
    seconds_per_step: float
    parameters: int
    matryoshka_dims: tuple[int, ...]
    # With the teacher on rows kept from training, before any step: see `compare_by_width`.
    untrained_cosine: dict[str, dict[str, dict[str, float]]]
    evaluations: tuple[Evaluation, ...]
    # The step of the evaluation with the highest mean cosine; none without evaluations.
    best_step: int | None


class Interrupted(Exception):
    """The run was told to stop, and has saved how far it came."""


def distill(
    student: "SentenceTransformer",
    vectors: Path,
    accelerator: Accelerator,
    folder: Path,
    *,
    schedule: Schedule,
    objective: Objective,
    max_length: int,
    seed: int,
    sts: Mapping[str, Sequence[Any]] | None = None,
    compared_dims: Sequence[int] = (),
    new_rows: Sequence[int] = (),
    price_per_hour: float | None = None,
) -> DistillReport:
    """Train `student` in place towards the stored vectors.

    Two processes take the same steps as one: the batches are the same, each process takes its share of the rows,
    and the loss is weighed by rows, not by processes; only `similarity_weight` compares rows within a process.
    Training goes on from the last checkpoint in `folder`.

    Args:
        student: Gives `sentence_embedding`, `(batch_size, embedding_dim)`; its weights are float32.
        vectors: The store of teacher vectors.
        accelerator: The process group and its mixed precision.
        folder: Where checkpoints go; the last one holds the end of training.
        schedule: Optimisation settings.
        objective: Terms of the loss.
        max_length: Texts are cut to this many of the student's tokens.
        seed: Decides the order of the rows.
        sts: Graded pairs for the evaluations, or none.
        compared_dims: Widths at which the student is compared with the teacher before any step, and with the grades.
        new_rows: Rows of the table that belong to new tokens; needed for `new_rows_ratio`.
        price_per_hour: Of the machine, for the cost that is shown.

    Raises:
        ValueError: If student and vectors differ in width, a row is empty, or loss or gradient become NaN or infinite;
            the batch is then described in `bad_batch.json`.
        Interrupted: If the process, or what launched it, got SIGTERM; a checkpoint was saved.

    References:
        Offline distillation: https://huggingface.co/papers/2605.29992
    """
    if schedule.new_rows_ratio and not len(new_rows):
        raise ValueError("`new_rows_ratio` asks for a stage that trains new rows only, but there are none.")
    rows = _prepare_rows(student, vectors, accelerator, folder / ROWS_FOLDER, objective, max_length)
    _check_widths(student, rows, objective)
    batches = _all_batches(rows, schedule, seed)
    if (smallest := min(map(len, batches))) < accelerator.num_processes:
        raise ValueError(
            f"a batch has {smallest} rows for {accelerator.num_processes} processes; raise `batch_size` or add rows."
        )
    rates = [_rate(step, len(batches), schedule) for step in range(len(batches))]
    run = _start_run(student, accelerator, rows, rates, schedule, objective, new_rows)
    encoder = BatchedEncoder(student, max_length=max_length, batch_tokens=schedule.batch_tokens, extend_window=True)
    untrained = compare_by_width(encoder, vectors, compared_dims) if accelerator.is_main_process else {}
    accelerator.wait_for_everyone()
    progress = load_checkpoint(accelerator, run.table, folder)
    held_out = HeldOut(encoder=encoder, vectors=vectors, sts=sts, compared_dims=tuple(compared_dims))
    progress = _go_through(run, batches, rates, progress, folder, held_out, price_per_hour)
    run.table.release()
    return DistillReport(
        rows=len(rows),
        epochs=schedule.epochs,
        steps=len(batches),
        tokens=int(rows.starts[-1]) * schedule.epochs,
        final_loss=round(float(np.mean(progress.losses)), 6),
        seconds_per_step=round(progress.seconds / len(batches), 4),
        parameters=sum(parameter.numel() for parameter in student.parameters()),
        matryoshka_dims=objective.matryoshka_dims,
        untrained_cosine=untrained,
        evaluations=tuple(progress.evaluations),
        best_step=_best_step(progress.evaluations),
    )


def _start_run(
    student: "SentenceTransformer",
    accelerator: Accelerator,
    rows: TrainingRows,
    rates: Sequence[float],
    schedule: Schedule,
    objective: Objective,
    new_rows: Sequence[int],
) -> Run:
    """Give the table an optimizer of its own, the rest another, and both to the process group."""
    backbone: Any = student[0]
    table = EmbeddingTable(
        backbone.model.get_input_embeddings(),
        [schedule.embedding_learning_rate * rate for rate in rates],
        schedule.weight_decay,
    )
    # A stage that is asked for has a step, however short the run is.
    new_rows_steps = max(1, round(schedule.new_rows_ratio * len(rates))) if schedule.new_rows_ratio else 0
    if new_rows_steps:
        table.hold_back(_flag_others(new_rows, table.weight), new_rows_steps)
    others = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(others, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True)
    model, optimizer = accelerator.prepare(Student(student, objective.names), optimizer)
    return Run(
        model=model,
        table=table,
        optimizer=optimizer,
        others=others,
        rows=rows,
        accelerator=accelerator,
        schedule=schedule,
        objective=objective,
        pad=student.tokenizer.pad_token_id or 0,
        new_rows_steps=new_rows_steps,
    )


def _go_through(
    run: Run,
    batches: Sequence[NDArray[np.int64]],
    rates: Sequence[float],
    progress: Progress,
    folder: Path,
    held_out: HeldOut,
    price_per_hour: float | None,
) -> Progress:
    """Take all steps that are left, with a checkpoint and an evaluation every so often."""
    began, before = time.monotonic(), progress.seconds
    showing = _showing(run, len(batches), progress, price_per_hour)
    with showing as show, _stop_requests() as stop_requested:
        for step in range(progress.step, len(batches)):
            for group in run.optimizer.param_groups:
                group["lr"] = run.schedule.learning_rate * rates[step]
            loss, norm, stop = take_step(run, batches[step], step, stop_requested())
            for what, value in (("loss", loss), ("gradient", norm)):
                if not np.isfinite(value):
                    _report_bad_batch(run, held_out.vectors, folder, step, batches[step], f"the {what} is {value}")
            seconds = time.monotonic() - began
            losses = [*progress.losses[1 - _LOSS_STEPS :], loss]
            progress = replace(progress, step=step + 1, seconds=before + seconds, losses=losses)
            due = (step + 1) % run.schedule.checkpoint_steps == 0 or step + 1 == len(batches)
            show(progress, int(run.rows.lengths[batches[step]].sum()), due)
            if due:
                run.table.finish(step + 1)
                progress = _evaluate(run, progress, folder, held_out)
            if due or stop:
                # Told to stop, rows of the table stay as they are, so that rounding is that of a run which was not.
                save_checkpoint(run.accelerator, run.table, folder, progress)
            if stop:
                raise Interrupted(f"stopped by SIGTERM after step {step + 1} of {len(batches)}; run again to go on.")
    return progress


def _prepare_rows(
    student: "SentenceTransformer",
    vectors: Path,
    accelerator: Accelerator,
    folder: Path,
    objective: Objective,
    max_length: int,
) -> TrainingRows:
    """Tokenise once, on one process, and open the result on all."""
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            tokenizer: Any = student.tokenizer
            write_training_rows(
                vectors, tokenizer.backend_tokenizer, folder, max_length=max_length, names=objective.names
            )
    rows = open_training_rows(folder)
    if len(empty := np.flatnonzero(rows.lengths == 0)):
        raise ValueError(f"{locate_rows(vectors, [int(empty[0])])[0]} has no tokens for the student; leave it out.")
    return rows


def _check_widths(student: "SentenceTransformer", rows: TrainingRows, objective: Objective) -> None:
    """Raise unless student, vectors and loss have the same width."""
    width = rows.vectors["embedding"].shape[1]
    if not width == student.get_embedding_dimension() == objective.matryoshka_dims[0]:
        raise ValueError(
            f"the vectors have {width} dimensions, the student {student.get_embedding_dimension()}, `matryoshka_dims` "
            f"begins with {objective.matryoshka_dims[0]}; all three must be the same."
        )


def _all_batches(rows: TrainingRows, schedule: Schedule, seed: int) -> list[NDArray[np.int64]]:
    """Plan the batches of all epochs."""
    lengths = rows.lengths
    epochs: Iterator[list[NDArray[np.int64]]] = (
        plan_batches(lengths, schedule.batch_size, seed=seed, epoch=epoch) for epoch in range(schedule.epochs)
    )
    return [batch for batches in epochs for batch in batches]


def _rate(step: int, steps: int, schedule: Schedule) -> float:
    """Rise linearly over the warm-up, then fall linearly to zero: a function of the step, with no state to resume."""
    warmup = max(1, round(steps * schedule.warmup_ratio))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def _flag_others(rows: Sequence[int], weight: Tensor) -> Tensor:
    """Mark all rows of the table but some."""
    flags = torch.ones(len(weight), dtype=torch.bool)
    flags[torch.tensor(list(rows), dtype=torch.long)] = False
    return flags.to(weight.device)


def _evaluate(
    run: Run,
    progress: Progress,
    folder: Path,
    held_out: HeldOut,
) -> Progress:
    """Evaluate on the main process, and keep the weights if they are the best so far."""
    if run.accelerator.is_main_process:
        found = evaluate(held_out, progress.step)
        if found.cosine or found.spearman:
            progress = replace(progress, evaluations=[*progress.evaluations, found])
            logger.info("distill: %s", _describe(found))
        if _best_step(progress.evaluations) == progress.step:
            save_best(held_out.encoder.model, folder)
    run.accelerator.wait_for_everyone()
    return progress


def _best_step(evaluations: Sequence[Evaluation]) -> int | None:
    """Return the step with the highest mean cosine, the first of equals."""
    with_cosine = [entry for entry in evaluations if entry.cosine]
    return max(with_cosine, key=lambda entry: entry.mean_cosine).step if with_cosine else None


def _describe(found: Evaluation) -> str:
    """Say in a line how an evaluation went."""
    parts = [f"step {found.step}"]
    if found.cosine:
        worst = min(found.cosine, key=found.cosine.__getitem__)
        parts.append(f"cosine to the teacher {found.mean_cosine:.4f} (lowest {worst} {found.cosine[worst]:.4f})")
    if found.spearman:
        parts.append("Spearman " + ", ".join(f"{value:.4f} at {width}" for width, value in found.spearman.items()))
    return "; ".join(parts)


def _report_bad_batch(run: Run, vectors: Path, folder: Path, step: int, batch: NDArray[np.int64], fault: str) -> None:
    """Save which rows the batch had, and stop."""
    path = folder / BAD_BATCH_FILE
    if run.accelerator.is_main_process:
        write_json(path, {"step": step + 1, "rows": locate_rows(vectors, batch.tolist())})
    raise ValueError(
        f"{fault} at step {step + 1}; its {len(batch)} rows are listed in {path}. Nothing was changed since the step "
        "before, but the same run meets the same again. Lower the learning rate, or train in float32; as that is "
        f"another run, remove {folder} first, or use another output_dir."
    )


@contextmanager
def _showing(
    run: Run, steps: int, start: Progress, price_per_hour: float | None
) -> Iterator[Callable[[Progress, int, bool], None]]:
    """Draw a bar where there is a terminal, and elsewhere write to the log; called with a step's tokens after each."""
    main = run.accelerator.is_main_process
    bar = tqdm(total=steps, initial=start.step, desc="distill", unit="step", disable=None if main else True)
    tokens, told = 0, start.seconds

    def show(progress: Progress, step_tokens: int, due: bool) -> None:
        nonlocal tokens, told
        tokens += step_tokens
        shown = {
            "loss": f"{progress.losses[-1]:.4f}",
            "tokens/s": f"{tokens / (progress.seconds - start.seconds):,.0f}",
        }
        step_seconds = progress.seconds / progress.step
        if price_per_hour is not None:
            shown["cost"] = f"{step_seconds * steps / 3600 * price_per_hour:.2f}"
        bar.set_postfix(shown, refresh=False)
        bar.update()
        if main and bar.disable and (due or progress.seconds - told >= _LOG_SECONDS):
            told = progress.seconds
            left = tqdm.format_interval(step_seconds * (steps - progress.step))
            cost = f", cost {shown['cost']} in all" if "cost" in shown else ""
            line = "distill: step %d of %d; loss %s, %s tokens/s, %s left%s"
            logger.info(line, progress.step, steps, shown["loss"], shown["tokens/s"], left, cost)

    with bar:
        yield show


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Note SIGTERM instead of dying of it, so that the step under way can end and be saved.

    `accelerate launch` of one process dies of it without passing it on; that its launcher is gone counts as well.
    """
    launcher = os.getppid() if "ACCELERATE_MIXED_PRECISION" in os.environ else None
    requested: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        requested.append(number)

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield lambda: bool(requested) or (launcher is not None and os.getppid() != launcher)
    finally:
        signal.signal(signal.SIGTERM, before)
