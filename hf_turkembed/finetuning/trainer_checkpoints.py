"""Checkpoints of the trainer: which of them are whole, and going on from one with the bits that were trained."""

import json
import shutil
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_turkembed.digests import check_digests, write_digests

CHECKPOINTS = "checkpoints"
STATE_FILE = "trainer_state.json"


class StageTrainer(SentenceTransformerTrainer):
    """The trainer, going on from a checkpoint in the precision of the model that is trained."""

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:  # type: ignore[override]
        """Give the model the weights of a checkpoint."""
        # Before the trainer wraps or compiles it.
        load_weights(self.model, Path(checkpoint_path))


class DigestCheckpoints(TrainerCallback):
    """Writes digests of a checkpoint's files into it; killed before that, the next run takes it as it is."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write them on the main process; the others may still be writing the states of their generators."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir or "", f"checkpoint-{state.global_step}")
            names = ("*.safetensors", "*.pt", "rng_state.pth", STATE_FILE)
            write_digests(folder, (path for name in names for path in folder.rglob(name)))


def load_weights(model: SentenceTransformer, checkpoint: Path) -> None:
    """Give a model the weights of a checkpoint.

    That of an adapter leads to its base, in whose own precision, 16 bits perhaps, the adapter would be loaded as well.
    """
    saved = SentenceTransformer(str(checkpoint), device="cpu", model_kwargs={"dtype": model.dtype})
    model.load_state_dict(saved.state_dict())


def last_whole_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end, and remove those that were not.

    Raises:
        ValueError: If a file of it is not as it was written.
    """
    whole = whole_checkpoints(folder)
    for path in set(folder.glob("checkpoint-*")) - set(whole.values()):
        # Every process does so, each perhaps with files that another one was quicker to remove.
        shutil.rmtree(path, ignore_errors=True)
    if not whole:
        return None
    last = whole[max(whole)]
    check_digests(last)
    return last


def whole_checkpoints(folder: Path) -> dict[int, Path]:
    """Return the checkpoints that were written to their end, by step."""
    # The trainer writes its state last, and not at once.
    states = (path for path in folder.glob(f"checkpoint-*/{STATE_FILE}") if _is_json(path))
    return {int(path.parent.name.rpartition("-")[2]): path.parent for path in states}


def _is_json(path: Path) -> bool:
    """Tell whether a file was written to its end."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
