"""Offline distillation: teacher vectors written once, and a student trained towards them."""

from hf_turkembed.distillation.batched_encoder import BatchedEncoder, compile_network
from hf_turkembed.distillation.batching import MOST_PADDING, padding_share
from hf_turkembed.distillation.checkpoints import Evaluation, load_best
from hf_turkembed.distillation.embedding import check_vectors, embed_corpus
from hf_turkembed.distillation.held_out import compare_by_width
from hf_turkembed.distillation.objective import Objective
from hf_turkembed.distillation.optimizer_step import Schedule
from hf_turkembed.distillation.training import DistillReport, Interrupted, distill
from hf_turkembed.distillation.vectors import check_checksums, count_rows

__all__ = [
    "MOST_PADDING",
    "BatchedEncoder",
    "DistillReport",
    "Evaluation",
    "Interrupted",
    "Objective",
    "Schedule",
    "check_checksums",
    "check_vectors",
    "compare_by_width",
    "compile_network",
    "count_rows",
    "distill",
    "embed_corpus",
    "load_best",
    "padding_share",
]
