"""What a loaded dataset must hold for the score on it to say something; mteb itself would score far less."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset
from mteb.abstasks import AbsTask

logger = logging.getLogger(__name__)

_COLUMNS = {
    "BitextMining": ("sentence1", "sentence2"),
    "Classification": ("text", "label"),
    "Clustering": ("sentences", "labels"),
    "PairClassification": ("sent1", "sent2", "labels"),
    "STS": ("sentence1", "sentence2", "score"),
}
_LABELS = {"Classification": "label", "Clustering": "labels", "PairClassification": "labels"}


def check_data(task: AbsTask) -> None:
    """Check that loaded data has the columns and rows that the task reads.

    Raises:
        ValueError: If a column is missing or has gaps, or nothing is there to be found.
    """
    category = task.metadata.type
    splits = [*task.eval_splits, *(["train"] if category == "Classification" else [])]
    for split in splits:
        if category == "Retrieval":
            _check_retrieval(task.dataset[task.hf_subsets[0]][split], task.metadata.name, split)
        # XNLI's rows have been through mteb's own preparation, which needs all of its columns.
        elif not task.metadata.is_multilingual:
            found = task.dataset[split].column_names
            if lacking := [name for name in _COLUMNS[category] if name not in found]:
                raise ValueError(f"the split `{split}` lacks the columns {lacking}; it has {found}")
            _check_filled(task.dataset[split], _COLUMNS[category], split)
            if category in _LABELS:
                _check_labels(task.dataset[split], _LABELS[category], split)


def _check_labels(rows: Dataset, column: str, split: str) -> None:
    """Check that some rows are told apart: labels that competitions hide are all -1, and would give a score as well.

    Raises:
        ValueError: If there is one label alone, or one in each of several sets.
    """
    labels = rows[column]
    sets = labels if isinstance(labels[0], list) else [labels]
    if all(len(set(some)) == 1 for some in sets):
        raise ValueError(f"the column `{column}` of the split `{split}` has one label alone, such as {sets[0][0]!r}")


def _check_retrieval(data: Mapping[str, Any], name: str, split: str) -> None:
    """Check that a split for retrieval has queries, and documents that they are judged against."""
    for part in ("corpus", "queries"):
        if not {"id", "text"} <= set(data[part].column_names):
            raise ValueError(f"`{part}` of the split `{split}` has the columns {data[part].column_names}")
        _check_filled(data[part], ("id", "text"), f"{split}, {part}")
    relevant = data["relevant_docs"].values()
    judged = {document for documents in relevant for document, grade in documents.items() if grade > 0}
    if judged.isdisjoint(data["corpus"]["id"]) or set(data["relevant_docs"]).isdisjoint(data["queries"]["id"]):
        raise ValueError(
            f"the judgements of the split `{split}` name none of its queries, or none of its documents as relevant"
        )
    if lost := set(data["relevant_docs"]) - set(data["queries"]["id"]):
        logger.warning(
            "%s: %d of %d judged queries of the split `%s` have no text; the score is over the others.",
            name,
            len(lost),
            len(data["relevant_docs"]),
            split,
        )


def _check_filled(rows: Dataset, columns: Sequence[str], split: str) -> None:
    """Check that every row has a value in some columns."""
    for name in columns:
        if empty := sum(value is None for value in rows[name]):
            raise ValueError(f"the column `{name}` of the split `{split}` is empty in {empty:,} of {len(rows):,} rows")
