"""Matryoshka fine-tuning on the sentence-transformers trainer, one stage at a time."""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import (
    CoSENTLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)
from transformers import TrainerState

logger = logging.getLogger(__name__)

_CHECKPOINTS = "checkpoints"
# What the trainer must not be told twice, or what would write elsewhere than into the stage's folder.
_RESERVED = ("output_dir", "seed", "push_to_hub", "hub_model_id", "hub_token")


@dataclass(frozen=True, kw_only=True)
class FinetuneReport:
    """What a stage did."""

    rows: int
    steps: int
    epochs: float
    # Mean over the last logging window.
    final_loss: float
    seconds_per_step: float
    parameters: int
    matryoshka_dims: tuple[int, ...]


def finetune(
    model: SentenceTransformer,
    train: Mapping[str, Sequence[Any]],
    folder: Path,
    *,
    loss: Literal["multiple_negatives_ranking", "cosent"],
    matryoshka_dims: Sequence[int],
    training: Mapping[str, Any],
    seed: int,
) -> FinetuneReport:
    """Train `model` in place; go on from the last checkpoint in `folder`.

    Args:
        model: Any sentence-transformers model.
        train: Columns `anchor`, `positive`, `negative` for the ranking loss, whose other positives of a batch are
            negatives too; `sentence1`, `sentence2`, `score` (0 to 1) for CoSENT.
        folder: Where checkpoints go, until `remove_checkpoints`.
        loss: Applied at each width inside MatryoshkaLoss.
        matryoshka_dims: Widths, largest first.
        training: Passed verbatim to SentenceTransformerTrainingArguments.
        seed: Seed of the trainer.

    Raises:
        ValueError: If `training` sets what the step itself decides, or the widths do not begin with the model's.

    References:
        TurkEmbed: https://huggingface.co/papers/2511.08376
        MatryoshkaLoss: https://huggingface.co/papers/2205.13147
    """
    if stray := [key for key in _RESERVED if key in training]:
        raise ValueError(f"`training` sets {stray}, which the step decides; take them out.")
    if model.get_embedding_dimension() != matryoshka_dims[0]:
        raise ValueError(
            f"`matryoshka_dims` begins with {matryoshka_dims[0]}; the model gives {model.get_embedding_dimension()}."
        )
    inner = MultipleNegativesRankingLoss(model) if loss == "multiple_negatives_ranking" else CoSENTLoss(model)
    checkpoints = folder / _CHECKPOINTS
    arguments = SentenceTransformerTrainingArguments(**{**training, "output_dir": str(checkpoints), "seed": seed})
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(dict(train)),
        loss=MatryoshkaLoss(model, inner, matryoshka_dims=list(matryoshka_dims)),
    )
    last = _last_whole_checkpoint(checkpoints)
    before = TrainerState.load_from_json(str(Path(last, "trainer_state.json"))) if last is not None else TrainerState()
    started = time.monotonic()
    if last is not None:
        logger.info("finetune: going on from step %d of %d", before.global_step, before.max_steps)
    if last is not None and before.global_step >= before.max_steps:
        # Told to go on from its last step, the trainer would take one more.
        model.load_state_dict(SentenceTransformer(last, device="cpu").state_dict())
        state = before
    else:
        trainer.train(resume_from_checkpoint=last)
        state = trainer.state
    return FinetuneReport(
        rows=len(next(iter(train.values()))),
        steps=state.global_step,
        epochs=float(arguments.num_train_epochs),
        final_loss=round(_last_loss(state), 6),
        seconds_per_step=round((time.monotonic() - started) / max(1, state.global_step - before.global_step), 4),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        matryoshka_dims=tuple(matryoshka_dims),
    )


def remove_checkpoints(folder: Path) -> None:
    """Remove what only an unfinished stage needs; called once the trained model is saved."""
    shutil.rmtree(folder / _CHECKPOINTS, ignore_errors=True)


def _last_loss(state: TrainerState) -> float:
    """Return the loss of the last logging window, or the stage's mean where it was too short for one."""
    losses = {key: entry[key] for entry in state.log_history for key in ("loss", "train_loss") if key in entry}
    return float(losses.get("loss", losses.get("train_loss", float("nan"))))


def _last_whole_checkpoint(folder: Path) -> str | None:
    """Return the newest checkpoint that was written to its end, and remove those that were not."""
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        # The trainer writes its state last.
        if (path / "trainer_state.json").is_file():
            whole[int(path.name.rpartition("-")[2])] = path
        else:
            shutil.rmtree(path)
    return str(whole[max(whole)]) if whole else None
