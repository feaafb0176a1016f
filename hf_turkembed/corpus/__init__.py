"""Readers of plain and of labelled text that check what they read."""

from hf_turkembed.corpus.hub_dataset import HubDataset
from hf_turkembed.corpus.labelled import (
    PAIR_COLUMNS,
    TRIPLET_COLUMNS,
    check_classes,
    check_row_count,
    check_training_rows,
    read_bitext,
    read_classes,
    read_labelled_pairs,
    read_pairs,
    read_triplets,
)
from hf_turkembed.corpus.leakage import Leakage, find_leakage, fold_text
from hf_turkembed.corpus.texts import (
    TextColumn,
    TextRow,
    TextSource,
    check_text_sources,
    find_text_files,
    read_rows,
    read_texts,
    sample_rows,
    strip_text,
)

__all__ = [
    "PAIR_COLUMNS",
    "TRIPLET_COLUMNS",
    "HubDataset",
    "Leakage",
    "TextColumn",
    "TextRow",
    "TextSource",
    "check_classes",
    "check_row_count",
    "check_text_sources",
    "check_training_rows",
    "find_leakage",
    "find_text_files",
    "fold_text",
    "read_bitext",
    "read_classes",
    "read_labelled_pairs",
    "read_pairs",
    "read_rows",
    "read_texts",
    "read_triplets",
    "sample_rows",
    "strip_text",
]
