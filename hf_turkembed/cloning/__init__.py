"""The student: a new embedding table from the teacher's, and the teacher's network around it."""

from hf_turkembed.cloning.composition import Initialization, RowPlan, compose_table, plan_rows
from hf_turkembed.cloning.fidelity import (
    Reconstruction,
    compare_rows,
    measure_agreement,
    measure_reconstruction,
    recompose_rows,
)
from hf_turkembed.cloning.student import CloneReport, clone_model, find_table

__all__ = [
    "CloneReport",
    "Initialization",
    "Reconstruction",
    "RowPlan",
    "clone_model",
    "compare_rows",
    "compose_table",
    "find_table",
    "measure_agreement",
    "measure_reconstruction",
    "plan_rows",
    "recompose_rows",
]
