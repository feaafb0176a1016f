"""The 26 tasks of TR-MTEB, one row each, as the benchmark's own fork of mteb defines them."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

BENCHMARK = "TR-MTEB"
Category = Literal["BitextMining", "Classification", "Clustering", "PairClassification", "STS", "Retrieval"]
# What is done to a dataset before it is scored: nothing; a stratified fifth of its only split becomes the test split;
# or at most 2,048 of its judgements are drawn and only the documents they name are searched.
Preparation = Literal["none", "split", "sample"]

# The metric that a task of each category is known by; a task's score is its mean over the splits.
MAIN_SCORES: dict[Category, str] = {
    "BitextMining": "f1",
    "Classification": "accuracy",
    "Clustering": "v_measure",
    "PairClassification": "max_ap",
    "STS": "cosine_spearman",
    "Retrieval": "ndcg_at_10",
}
# Means over all tasks: each task alike, or each category.
_ALL = ("tasks", "categories")


@dataclass(frozen=True)
class TaskRow:
    """One task."""

    name: str
    category: Category
    # Hub id; None for a task that mteb itself defines, at a commit of its own.
    dataset: str | None
    splits: tuple[str, ...] = ("test",)
    preparation: Preparation = "none"
    # Documents that have a query's own id are left out of its results.
    skip_own_id: bool = False
    # Turkish part of a task of mteb that has several languages.
    subset: str | None = None


TASKS = (
    TaskRow("WMT16BitextMining", "BitextMining", "trmteb/wmt16_en_tr"),
    TaskRow("TurkishMovieSentimentClassification", "Classification", None),
    TaskRow("TurkishOffensiveLanguageClassification", "Classification", "trmteb/offenseval"),
    TaskRow("TurkishProductSentimentClassification", "Classification", None),
    TaskRow("TurkishNewsCategoryClassification", "Classification", "trmteb/news-cat"),
    TaskRow("Turkish75NewsClassification", "Classification", "trmteb/75haber", preparation="split"),
    TaskRow("TSTimelineNewsCategoryClassification", "Classification", "trmteb/ts_timeline_news_category"),
    TaskRow("THYSentimentClassification", "Classification", "trmteb/thy_sa", preparation="split"),
    TaskRow("TurkishIronyClassification", "Classification", "trmteb/irony-tr", preparation="split"),
    TaskRow("TurkishAbstractCorpusClustering", "Clustering", "trmteb/ts_abstract_corpus_p2p"),
    TaskRow("TurkishColumnWritingClustering", "Clustering", "trmteb/630koseyazisi_p2p"),
    TaskRow("MnliTr", "PairClassification", "trmteb/multinli_tr", splits=("test_matched", "test_mismatched")),
    TaskRow("SnliTr", "PairClassification", "trmteb/snli_tr"),
    TaskRow("XNLI", "PairClassification", None, subset="tr"),
    TaskRow("STSbTR", "STS", "trmteb/stsb-tr"),
    TaskRow("SquadTRRetrieval", "Retrieval", "trmteb/squad-tr"),
    TaskRow("TQuadRetrieval", "Retrieval", "trmteb/tquad"),
    TaskRow("XQuADRetrieval", "Retrieval", None, subset="tr"),
    TaskRow("MSMarcoTRRetrieval", "Retrieval", "trmteb/msmarco-tr", preparation="sample"),
    TaskRow("NFCorpusTR", "Retrieval", "trmteb/nfcorpus-tr", preparation="sample"),
    TaskRow("ArguAnaTR", "Retrieval", "trmteb/arguana-tr", skip_own_id=True),
    TaskRow("CQADupstackGamingRetrievalTR", "Retrieval", "trmteb/cqadupstack-gaming-tr", preparation="sample"),
    TaskRow("FiQA2018TR", "Retrieval", "trmteb/fiqa-tr", preparation="sample", skip_own_id=True),
    TaskRow("QuoraRetrievalTR", "Retrieval", "trmteb/quora-tr", preparation="sample", skip_own_id=True),
    TaskRow("SCIDOCSTR", "Retrieval", "trmteb/scidocs-tr", preparation="sample"),
    TaskRow("SciFactTR", "Retrieval", "trmteb/scifact-tr", preparation="sample"),
)


def select_tasks(names: Sequence[str]) -> tuple[TaskRow, ...]:
    """Return the rows of some tasks, in the order of the table; no names for all of them.

    Raises:
        ValueError: If TR-MTEB has no such task; the message has the nearest name.
    """
    for name in names:
        _check_name(name, "task", [row.name for row in TASKS])
    return tuple(row for row in TASKS if not names or row.name in names)


def tasks_behind(name: str) -> tuple[str, ...]:
    """Return the names of the tasks behind a mean, or behind the score of a task.

    Args:
        name: `tasks` or `categories`, a category, or a task.

    Raises:
        ValueError: If there is no such mean, and no such task; the message has the nearest name.
    """
    _check_name(name, "mean or task", [*_ALL, *MAIN_SCORES, *(row.name for row in TASKS)])
    return tuple(row.name for row in TASKS if name in _ALL or name in (row.category, row.name))


def _check_name(name: str, kind: str, known: Sequence[str]) -> None:
    """Raise unless a name is known."""
    if name not in known:
        nearest = get_close_matches(name, known, n=1, cutoff=0.3)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; it has {', '.join(known)}."
        raise ValueError(f"{BENCHMARK} has no {kind} {name!r}{hint}")
