"""Matryoshka fine-tuning on the sentence-transformers trainer, one stage at a time."""

from hf_turkembed.finetuning.adapters import ADAPTER_FOLDER, add_adapter, merge_adapter
from hf_turkembed.finetuning.hard_negatives import HardNegatives, mine_negatives
from hf_turkembed.finetuning.losses import Loss, Task, make_loss
from hf_turkembed.finetuning.training import (
    FinetuneReport,
    discard_unfinished,
    finetune,
    make_arguments,
)

__all__ = [
    "ADAPTER_FOLDER",
    "FinetuneReport",
    "HardNegatives",
    "Loss",
    "Task",
    "add_adapter",
    "discard_unfinished",
    "finetune",
    "make_arguments",
    "make_loss",
    "merge_adapter",
    "mine_negatives",
]
