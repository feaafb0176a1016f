"""Offline distillation: teacher vectors written once, and a student trained towards them."""

from hf_turkembed.distillation.embedding import embed_corpus
from hf_turkembed.distillation.training import DistillReport, Schedule, distill, read_vectors, remove_checkpoints
from hf_turkembed.distillation.vectors import count_rows

__all__ = ["DistillReport", "Schedule", "count_rows", "distill", "embed_corpus", "read_vectors", "remove_checkpoints"]
