"""Scores on TR-MTEB that others published, shown beside those of a run."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from hf_turkembed.scores import PublishedScores
from hf_turkembed.scoring.tr_mteb.means import average_values


def read_published() -> tuple[PublishedScores, ...]:
    """Read the tables that ship with the package; figures of 0 to 100 become 0 to 1."""
    text = resources.files(__package__).joinpath("published_scores.json").read_text(encoding="utf-8")
    return tuple(
        _read_model(model, entry, table["source"])
        for table in json.loads(text)["tables"]
        for model, entry in table["models"].items()
    )


def _read_model(model: str, entry: Mapping[str, Any], source: str) -> PublishedScores:
    """Read one model; means by category follow from its tasks, where they are known."""
    tasks = {task: value / 100 for task, value in entry.get("tasks", {}).items()}
    means = {mean.over: mean.value for mean in average_values(model, tasks) if mean.value is not None}
    return PublishedScores(model=model, means={"tasks": entry["mean"] / 100, **means}, tasks=tasks, source=source)
