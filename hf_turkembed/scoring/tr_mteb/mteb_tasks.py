"""The tasks as mteb knows them: classes made from the table, registered with mteb, and the benchmark they form."""

from collections.abc import Sequence
from typing import Any

import mteb
from datasets import Dataset, load_dataset
from mteb.abstasks import (
    AbsTask,
    AbsTaskBitextMining,
    AbsTaskClassification,
    AbsTaskClusteringLegacy,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.get_tasks import _TASKS_REGISTRY

from hf_turkembed.scoring.tr_mteb.tasks import BENCHMARK, MAIN_SCORES, TASKS, TaskRow, select_tasks

_TURKISH = "tur-Latn"
_MAX_JUDGEMENTS = 2048
_SAMPLE_SEED = 42


class ClassificationOfOneSplit(AbsTaskClassification):  # type: ignore[misc]
    """Classification of a dataset without a training split: a stratified fifth of it is held out."""

    dataset: Any

    def dataset_transform(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Split the rows with the seed that all tasks of mteb have."""
        rows = self.dataset["test"].class_encode_column("label")
        self.dataset = rows.train_test_split(test_size=0.2, seed=self.seed, stratify_by_column="label")


class SampledRetrieval(AbsTaskRetrieval):  # type: ignore[misc]
    """Retrieval among the documents of at most 2,048 judgements drawn at random.

    As in the fork, a query that several of them are about keeps the last one alone, so that its other relevant
    documents count as wrong, and titles are left out.
    """

    dataset: Any
    data_loaded: bool

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Load what is drawn of every split."""
        if self.data_loaded:
            return
        path, revision = self.metadata.dataset["path"], self.metadata.dataset["revision"]
        self.dataset = {"default": {split: sample_judgements(path, revision, split) for split in self.eval_splits}}
        self.data_loaded = True


def sample_judgements(path: str, revision: str, split: str) -> dict[str, Any]:
    """Draw judgements of a split, with their queries and documents, in the form of mteb's retrieval data.

    Raises:
        KeyError: If a column is missing.
    """
    judgements = load_dataset(path, split=split, revision=revision).shuffle(seed=_SAMPLE_SEED)
    judgements = judgements.select(range(min(_MAX_JUDGEMENTS, len(judgements))))
    queries, documents = map(str, judgements["query-id"]), list(map(str, judgements["corpus-id"]))
    relevant = {query: {document: 1} for query, document in zip(queries, documents, strict=True)}
    corpus = _rows_with_ids(load_dataset(path, "corpus", split="corpus", revision=revision), set(documents))
    return {
        "corpus": corpus.add_column("title", [""] * len(corpus)),
        "queries": _rows_with_ids(load_dataset(path, "queries", split="queries", revision=revision), set(relevant)),
        "relevant_docs": relevant,
        "top_ranked": None,
    }


def _rows_with_ids(table: Dataset, ids: set[str]) -> Dataset:
    """Return ids and texts of some rows, in the order of the table."""
    names = list(map(str, table["_id"]))
    kept = table.select([row for row, name in enumerate(names) if name in ids])
    return Dataset.from_dict({"id": [name for name in names if name in ids], "text": list(kept["text"])})


# By category and preparation: the class of mteb, and what it is told of the dataset's columns.
_CLASSES: dict[tuple[str, str], tuple[type[AbsTask], dict[str, Any]]] = {
    ("BitextMining", "none"): (AbsTaskBitextMining, {}),
    ("Classification", "none"): (AbsTaskClassification, {}),
    ("Classification", "split"): (ClassificationOfOneSplit, {}),
    ("Clustering", "none"): (AbsTaskClusteringLegacy, {}),
    ("PairClassification", "none"): (
        AbsTaskPairClassification,
        {"input1_column_name": "sent1", "input2_column_name": "sent2"},
    ),
    ("STS", "none"): (AbsTaskSTS, {}),
    ("Retrieval", "none"): (AbsTaskRetrieval, {}),
    ("Retrieval", "sample"): (SampledRetrieval, {}),
}


def _define(row: TaskRow) -> type[AbsTask]:
    """Make the class of one task; mteb and the readers of its results look a task up by its class."""
    base, attributes = _CLASSES[row.category, row.preparation]
    metadata = TaskMetadata(
        name=row.name,
        description=f"{row.name} of {BENCHMARK}, from {row.dataset}.",
        reference="https://aclanthology.org/2025.findings-emnlp.471",
        dataset={"path": row.dataset, "revision": "main"},
        type=row.category,
        category="t2c" if row.category in ("Classification", "Clustering") else "t2t",
        eval_splits=list(row.splits),
        eval_langs=["eng-Latn", _TURKISH] if row.category == "BitextMining" else [_TURKISH],
        main_score=MAIN_SCORES[row.category],
    )
    if row.category == "Retrieval":
        attributes = {**attributes, "ignore_identical_ids": row.skip_own_id}
    return type(row.name, (base,), {**attributes, "metadata": metadata, "__doc__": metadata.description})


# mteb has no public way to add a task; without one its tables and `TaskResult.task` fail on results of these tasks.
_TASKS_REGISTRY.update({row.name: _define(row) for row in TASKS if row.dataset is not None})


def build_tasks(names: Sequence[str] = ()) -> list[AbsTask]:
    """Make the tasks of TR-MTEB ready to run.

    Args:
        names: Which ones; none for all 26.

    Raises:
        ValueError: If there is no such task.
    """
    return [mteb.get_task(row.name, hf_subsets=row.subset and [row.subset]) for row in select_tasks(names)]


def build_benchmark() -> mteb.Benchmark:
    """Make the benchmark object of all 26 tasks, for mteb's own functions and tables."""
    return mteb.Benchmark(
        name=BENCHMARK,
        tasks=build_tasks(),
        description="26 Turkish tasks of bitext mining, classification, clustering, NLI, retrieval and STS.",
        reference="https://aclanthology.org/2025.findings-emnlp.471",
    )
