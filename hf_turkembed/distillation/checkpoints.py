"""The state of an unfinished run on disk: the last whole checkpoint, and the best weights so far."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, load_model, save_file, save_model

from hf_turkembed.digests import check_digests, write_digests
from hf_turkembed.json_files import read_json, write_json

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# What training reads, and what it says of a batch it cannot go on from; both beside the checkpoints.
ROWS_FOLDER = "rows"
BAD_BATCH_FILE = "bad_batch.json"
_CHECKPOINT = "checkpoint"
_BEST = "best"
_REMOVED = ".removed"
_PROGRESS_FILE = "progress.json"
_TABLE_FILE = "table.safetensors"
_WEIGHTS_FILE = "weights.safetensors"
# What a finished run has no need of, once the trained model is saved.
SCRATCH = (
    f"{_CHECKPOINT}-*",
    _BEST,
    _REMOVED,
    f".{_CHECKPOINT}.tmp",
    f".{_BEST}.tmp",
    ROWS_FOLDER,
    f"{ROWS_FOLDER}.partial",
    BAD_BATCH_FILE,
)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How the student did at some step on what it is not trained on."""

    step: int
    # Mean cosine to the teacher by language, at full width.
    cosine: dict[str, float]
    # Spearman on graded pairs by width.
    spearman: dict[str, float]

    @property
    def mean_cosine(self) -> float:
        """Return the mean over languages."""
        return sum(self.cosine.values()) / len(self.cosine)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come, kept with a checkpoint."""

    step: int
    losses: list[float]
    seconds: float
    evaluations: list[Evaluation]


def save_checkpoint(accelerator: Any, table: Any, folder: Path, progress: Progress) -> None:
    """Write weights and optimizer state under a temporary name, rename, and only then drop the ones before.

    Args:
        accelerator: Holds the model and the optimizer of all but the table.
        table: The embedding table's optimizer.
        folder: Where checkpoints go.
        progress: How far the run has come.
    """
    temporary = folder / f".{_CHECKPOINT}.tmp"
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        before = _checkpoints(folder)
        save_file(table.state_dict(), temporary / _TABLE_FILE)
        write_json(temporary / _PROGRESS_FILE, progress)
        write_digests(temporary, (path for path in temporary.rglob("*") if path.is_file()))
        os.replace(temporary, folder / f"{_CHECKPOINT}-{progress.step}")
        for step, path in before.items():
            if step != progress.step:
                _remove(path)
    accelerator.wait_for_everyone()


def load_checkpoint(accelerator: Any, table: Any, folder: Path) -> Progress:
    """Go back to the last checkpoint, if there is one.

    Raises:
        ValueError: If a file of it is not as it was written.
    """
    found = _checkpoints(folder)
    if not found:
        return Progress(step=0, losses=[], seconds=0.0, evaluations=[])
    last = found[max(found)]
    check_digests(last)
    accelerator.load_state(str(last))
    table.load_state_dict(load_file(last / _TABLE_FILE))
    content = read_json(last / _PROGRESS_FILE)
    return Progress(**{**content, "evaluations": [Evaluation(**entry) for entry in content["evaluations"]]})


def save_best(student: "SentenceTransformer", folder: Path) -> None:
    """Keep the student's weights as the best so far."""
    temporary = folder / f".{_BEST}.tmp"
    # A killed run leaves more than the file that is written now.
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    save_model(student, str(temporary / _WEIGHTS_FILE))
    (folder / _BEST).mkdir(exist_ok=True)
    os.replace(temporary / _WEIGHTS_FILE, folder / _BEST / _WEIGHTS_FILE)
    temporary.rmdir()


def load_best(student: "SentenceTransformer", folder: Path) -> None:
    """Give the student the best weights that were kept."""
    load_model(student, str(folder / _BEST / _WEIGHTS_FILE))


def _remove(path: Path) -> None:
    """Remove a checkpoint, so that one whose removal was cut off is none."""
    removed = path.with_name(_REMOVED)
    shutil.rmtree(removed, ignore_errors=True)
    os.replace(path, removed)
    shutil.rmtree(removed)


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Find whole checkpoints by their step."""
    return {int(path.name.rpartition("-")[2]): path for path in folder.glob(f"{_CHECKPOINT}-*")}
