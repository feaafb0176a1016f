"""The datasets of TR-MTEB in their own columns, splits and configs, with a few rows of made-up text each."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_turkembed.scoring.tr_mteb.tasks import TASKS, TaskRow

# What mteb's own four tasks read.
MTEB_DATASETS = {
    "TurkishMovieSentimentClassification": "asparius/Turkish-Movie-Review",
    "TurkishProductSentimentClassification": "asparius/Turkish-Product-Review",
    "XNLI": "mteb/xnli",
    "XQuADRetrieval": "mteb/XQuADRetrieval",
}
# A task of each of three kinds.
FEW = ("SnliTr", "STSbTR", "SciFactTR")
ROWS = {row.name: row for row in TASKS}
_SUBJECTS = ("Takım maçı", "Borsa günü", "Hükümet bütçeyi", "Doktor hastayı")
_VERBS = ("kazandı", "kapattı", "onayladı", "iyileştirdi")

Rows = list[dict[str, Any]]


def sentence(topic: int, number: int) -> str:
    """Write a sentence on one of four topics; the same numbers give the same one."""
    return f"{_SUBJECTS[topic % 4]} {number}. kez {_VERBS[topic % 4]}."


def labelled(rows: int) -> Rows:
    """Write sentences of two topics with the topic as their label."""
    return [{"text": sentence(row % 2, row), "label": row % 2} for row in range(rows)]


def pairs(rows: int, names: Sequence[str]) -> Rows:
    """Write pairs, every other one of the same topic, under the names of two texts and a label."""
    first, second, label = names
    return [
        {first: sentence(row, row), second: sentence(row + row % 2, row + 1), label: 1 - row % 2}
        for row in range(rows)
    ]


def judgements(queries: int, documents: int) -> dict[str, dict[str, Rows]]:
    """Write a retrieval dataset; every query is judged against two documents, the second one of other text."""
    return {
        "default": {
            "test": [
                {"query-id": f"q{query}", "corpus-id": f"d{(query + step) % documents}", "score": 1}
                for query in range(queries)
                for step in (0, 1)
            ]
        },
        "corpus": {
            "corpus": [
                {"_id": f"d{number}", "title": f"Haber {number}", "text": sentence(number, number)}
                for number in range(documents)
            ]
        },
        "queries": {"queries": [{"_id": f"q{query}", "text": sentence(query, query)} for query in range(queries)]},
    }


def contents_of(row: TaskRow) -> dict[str, dict[str, Rows]]:
    """Return the rows of a task's dataset by config and split."""
    if row.name == "XNLI":
        rows = pairs(12, ("premise", "hypothesis", "label"))
        # 0 is entailment, 2 contradiction; neutral pairs are left out.
        rows = [{**entry, "label": 2 * (1 - entry["label"])} for entry in rows]
        rows.append({"premise": "a", "hypothesis": "b", "label": 1})
        return {"tr": {"test": rows, "validation": rows[:8]}}
    if row.name == "XQuADRetrieval":
        found = judgements(6, 8)
        names = {"default": "tr-qrels", "corpus": "tr-corpus", "queries": "tr-queries"}
        return {names[config]: {"validation": rows} for config, splits in found.items() for rows in splits.values()}
    if row.category == "Retrieval":
        return judgements(6, 8)
    if row.category == "Classification":
        return {"default": {"test": labelled(20)} | ({} if row.preparation == "split" else {"train": labelled(24)})}
    if row.category == "Clustering":
        found = labelled(16)
        entry = {"sentences": [e["text"] for e in found], "labels": [e["label"] for e in found]}
        return {"default": {"test": [entry, entry]}}
    if row.category == "PairClassification":
        rows = pairs(12, ("sent1", "sent2", "labels"))
        if row.name == "SnliTr":
            # All pairs in one row, mteb's older form.
            rows = [{name: [entry[name] for entry in rows] for name in rows[0]}]
        return {"default": {split: rows for split in row.splits}}
    names = ("sentence1", "sentence2", "score")
    graded = [{**entry, "score": number * 5 % 12 / 2.4} for number, entry in enumerate(pairs(12, names))]
    return {"default": {"test": graded}}


def write_dataset(folder: Path, contents: Mapping[str, Mapping[str, Rows]]) -> None:
    """Write a dataset repo: JSON lines, and the card that says which file is which config and split."""
    lines = ["---", "configs:"]
    for config, splits in contents.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            path = folder / config / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
            lines += [f"  - split: {split}", f"    path: {config}/{split}.jsonl"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


def write_datasets(folder: Path, names: Sequence[str] = ()) -> None:
    """Write the datasets of tasks as `org/name` below a folder; no names for all 26."""
    for row in TASKS:
        if not names or row.name in names:
            write_dataset(folder / (row.dataset or MTEB_DATASETS[row.name]), contents_of(row))
