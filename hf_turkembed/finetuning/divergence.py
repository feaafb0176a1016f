"""Numbers that are none: a loss or a weight that is NaN or infinite ends a stage."""

import math
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class StopAtDivergence(TrainerCallback):
    """Raises at the first logged loss that is not finite, which the trainer itself would pass over."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Look at the mean loss since the last entry of the log.

        Raises:
            ValueError: If it is NaN or infinite.
        """
        logs = given["logs"]
        for key in ("loss", "train_loss"):
            if key in logs and not math.isfinite(float(logs[key])):
                raise ValueError(
                    f"the loss is {logs[key]} at step {state.global_step} of {state.max_steps}, or was in a step "
                    "since the entry of the log before: training diverged. Lower `learning_rate`, give "
                    "`max_grad_norm` or a longer warm-up, and remove the stage's folder."
                )


def find_nonfinite(model: "SentenceTransformer") -> str | None:
    """Return the name of the first weight that holds NaN or infinity, or None."""
    return next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
