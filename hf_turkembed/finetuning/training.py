"""One stage of fine-tuning: the sentence-transformers trainer, told so that processes add up to one, and resumed."""

import dataclasses
import difflib
import logging
import shutil
import time
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate.utils import extract_model_from_parallel
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler, NoDuplicatesBatchSampler
from torch.accelerator import is_available
from torch.utils.data import RandomSampler
from transformers import TrainerState

from hf_turkembed.corpus import check_training_rows
from hf_turkembed.finetuning.divergence import StopAtDivergence, find_nonfinite
from hf_turkembed.finetuning.losses import Task, make_loss
from hf_turkembed.finetuning.trainer_checkpoints import (
    CHECKPOINTS,
    STATE_FILE,
    DigestCheckpoints,
    StageTrainer,
    last_whole_checkpoint,
    load_weights,
    whole_checkpoints,
)
from hf_turkembed.strict_yaml import convert, strip_optional

logger = logging.getLogger(__name__)

# What the trainer must not be told twice, or what would write elsewhere than into the stage's folder.
_RESERVED = (
    "output_dir",
    "seed",
    "push_to_hub",
    "hub_model_id",
    "hub_token",
    "per_device_train_batch_size",
    "batch_sampler",
    "dataloader_drop_last",
    "accelerator_config",
    "logging_nan_inf_filter",
)


@dataclass(frozen=True, kw_only=True)
class FinetuneReport:
    """What a stage did."""

    # Of all tasks, and of each.
    rows: int
    rows_by_task: Mapping[str, int]
    steps: int
    epochs: float
    # Rows of one forward and backward pass over all processes, and of one process: CoSENT and AnglE compare pairs
    # within the latter.
    batch_size: int
    local_batch_size: int
    # Mean over the last logging window.
    final_loss: float
    seconds_per_step: float
    parameters: int
    trained_parameters: int
    matryoshka_dims: tuple[int, ...]


def finetune(
    model: SentenceTransformer,
    tasks: Mapping[str, Task],
    folder: Path,
    *,
    matryoshka_dims: Sequence[int],
    batch_size: int,
    training: Mapping[str, Any],
    seed: int,
) -> FinetuneReport:
    """Train `model` in place; go on from the last checkpoint in `folder`.

    A batch is planned over all processes and then split among them, so that ranking sees the same negatives on any
    number of them, and no text twice. The rows that fill no batch at the end of an epoch are left out of it; where
    many rows share texts, sentence-transformers draws some of them again to fill it.

    Args:
        model: Any sentence-transformers model; parameters that need no gradient stay as they are.
        tasks: By name. Of several, each batch is of one, and their turns are in proportion to their rows.
        folder: Where checkpoints go, below `CHECKPOINTS`; a finished stage has no need of them.
        matryoshka_dims: Widths, largest first.
        batch_size: Rows of a batch over all processes.
        training: Passed verbatim to SentenceTransformerTrainingArguments.
        seed: Seed of the trainer.

    Raises:
        ValueError: If `make_arguments` refuses the settings, the widths do not begin with the model's, a batch is
            larger than a task or cannot be made without a text twice, all scores of a task are the same, or a weight
            or the loss is NaN or infinite.

    References:
        TurkEmbed: https://huggingface.co/papers/2511.08376
        MatryoshkaLoss: https://huggingface.co/papers/2205.13147
    """
    if model.get_embedding_dimension() != matryoshka_dims[0]:
        raise ValueError(
            f"`matryoshka_dims` begins with {matryoshka_dims[0]}; the model gives {model.get_embedding_dimension()}."
        )
    if (broken := find_nonfinite(model)) is not None:
        raise ValueError(f"`{broken}` of the base model holds NaN or infinity; fetch or make it again.")
    arguments = make_arguments(folder, batch_size=batch_size, training=training, seed=seed)
    for name, task in tasks.items():
        check_training_rows(task.rows, batch_size, f"task `{name}`")
    trainer = StageTrainer(
        model=model,
        args=arguments,
        train_dataset=DatasetDict({name: Dataset.from_dict(dict(task.rows)) for name, task in tasks.items()}),
        loss={name: make_loss(model, task, matryoshka_dims) for name, task in tasks.items()},
        callbacks=[StopAtDivergence(), DigestCheckpoints()],
    )
    state, seconds_per_step = _train(trainer, model, folder / CHECKPOINTS)
    _check_steps(state, batch_size)
    if (broken := find_nonfinite(model)) is not None:
        raise ValueError(
            f"`{broken}` holds NaN or infinity after the last step; lower `learning_rate`, and remove the stage's "
            "folder."
        )
    return FinetuneReport(
        rows=sum(task.size for task in tasks.values()),
        rows_by_task={name: task.size for name, task in tasks.items()},
        steps=state.global_step,
        epochs=round(state.epoch or 0.0, 4),
        batch_size=batch_size,
        local_batch_size=batch_size // arguments.world_size,
        final_loss=round(_last_loss(state), 6),
        seconds_per_step=round(seconds_per_step, 4),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        trained_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        matryoshka_dims=tuple(matryoshka_dims),
    )


@contextmanager
def discard_unfinished(folder: Path) -> Iterator[None]:
    """Remove what a stage wrote if it ends with a ValueError before its first checkpoint.

    Such an error asks for another recipe, which is another run and could not go on from what is there; after any
    other, the next run goes on with the negatives that were mined.
    """
    try:
        yield
    except ValueError:
        # Where no batch could be made, the trainer may have written one of step 0.
        if not any(whole_checkpoints(folder / CHECKPOINTS)):
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        raise


def sample_batches(dataset: Dataset, **settings: Any) -> DefaultBatchSampler:
    """Plan the batches of one task: without a text twice where each text is another's negative.

    Args:
        dataset: Rows of the task; those with scores are compared as they stand.
        **settings: What the trainer gives a sampler.
    """
    if "score" in dataset.column_names:
        return DefaultBatchSampler(RandomSampler(dataset, generator=settings["generator"]), **settings)
    return NoDuplicatesBatchSampler(dataset, **settings)


def make_arguments(
    folder: Path, *, batch_size: int, training: Mapping[str, Any], seed: int
) -> SentenceTransformerTrainingArguments:
    """Add to the recipe's settings what makes the batches of several processes those of one.

    Args:
        folder: Where checkpoints will go; nothing is written yet.
        batch_size: Rows of a batch over all processes.
        training: Passed verbatim to SentenceTransformerTrainingArguments.
        seed: Seed of the trainer.

    Raises:
        ValueError: If `training` sets what the step itself decides, asks for evaluation, has an unknown key or a value
            that the trainer does not take, or the processes cannot share a batch equally.
    """
    _check_settings(training)
    decided = {
        "output_dir": str(folder / CHECKPOINTS),
        "seed": seed,
        # The trainer makes batches of this size and accelerate splits them, instead of making one a process.
        "per_device_train_batch_size": batch_size,
        "accelerator_config": {"split_batches": True},
        # Accelerate would fill up the last batch with rows of the first, on several processes only.
        "dataloader_drop_last": True,
        "batch_sampler": sample_batches,
        # A loss that is NaN would be logged as the mean of those before.
        "logging_nan_inf_filter": False,
    }
    # The trainer looks for an accelerator where it is not told that there is none.
    on_processors = {} if is_available() else {"use_cpu": True}
    try:
        arguments = SentenceTransformerTrainingArguments(**{**training, **on_processors, **decided})
    except (TypeError, ValueError) as error:
        raise ValueError(f"`training` is refused by the trainer: {error}") from error
    if arguments.max_steps <= 0 and arguments.num_train_epochs <= 0:
        raise ValueError(f"`training.num_train_epochs` is {arguments.num_train_epochs:g}, expected more than 0.")
    if arguments.eval_strategy != "no":
        raise ValueError("`training.eval_strategy` asks for evaluation, which the step `score` does; take it out.")
    if batch_size % arguments.world_size:
        raise ValueError(f"`batch_size` is {batch_size}; {arguments.world_size} processes cannot share it equally.")
    return arguments


def _check_settings(training: Mapping[str, Any]) -> None:
    """Raise unless the trainer knows every key, and numbers are numbers."""
    if stray := [key for key in _RESERVED if key in training]:
        raise ValueError(f"`training` sets {stray}, which the step decides; take them out.")
    fields = {field.name for field in dataclasses.fields(SentenceTransformerTrainingArguments) if field.init}
    kinds = typing.get_type_hints(SentenceTransformerTrainingArguments)
    for key, value in training.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "the trainer has no such argument."
            raise ValueError(f"unknown key {key!r} in `training`; {hint}")
        # Of other types, which mix names, paths and switches, the trainer itself is the judge.
        if strip_optional(kinds[key]) in (bool, int, float):
            convert(kinds[key], value, "the trainer", f"training.{key}")


def _train(
    trainer: SentenceTransformerTrainer, model: SentenceTransformer, checkpoints: Path
) -> tuple[TrainerState, float]:
    """Train to the end, from the last checkpoint where there is one; return the state and the seconds of a step."""
    last = last_whole_checkpoint(checkpoints)
    before = TrainerState.load_from_json(str(last / STATE_FILE)) if last is not None else TrainerState()
    started = time.monotonic()
    if last is not None:
        logger.info("finetune: going on from step %d of %d", before.global_step, before.max_steps)
    if last is not None and before.global_step >= before.max_steps:
        # Told to go on from its last step, the trainer would take one more.
        load_weights(model, last)
        return before, 0.0
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    # Accelerate leaves its autocast around the forward of a model that was trained in another precision.
    extract_model_from_parallel(model, keep_fp32_wrapper=False)
    return trainer.state, (time.monotonic() - started) / max(1, trainer.state.global_step - before.global_step)


def _check_steps(state: TrainerState, batch_size: int) -> None:
    """Raise if no batch could be made, which the trainer takes for the end; warn if some could not."""
    if state.global_step == 0:
        raise ValueError(f"no batch of {batch_size:,} rows without a text twice can be made; lower `batch_size`.")
    if state.global_step < state.max_steps:
        logger.warning(
            "finetune: %d of %d steps were taken, as the other rows share texts; lower `batch_size`.",
            state.global_step,
            state.max_steps,
        )


def _last_loss(state: TrainerState) -> float:
    """Return the loss of the last logging window, or the stage's mean where it was too short for one."""
    losses = {key: entry[key] for entry in state.log_history for key in ("loss", "train_loss") if key in entry}
    return float(losses.get("loss", losses.get("train_loss", float("nan"))))
