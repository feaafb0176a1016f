"""Means over the tasks and over the categories of TR-MTEB, each with the number of tasks behind it."""

from collections.abc import Mapping, Sequence

from hf_turkembed.scores import BenchmarkMean, Score
from hf_turkembed.scoring.tr_mteb.tasks import TASKS


def average_scores(scores: Sequence[Score]) -> tuple[BenchmarkMean, ...]:
    """Average each model's scores over all tasks, over all categories, and within each category.

    Args:
        scores: Scores on tasks of the benchmark; missing ones are left out and lower the count.
    """
    means = []
    for model in dict.fromkeys(score.model for score in scores):
        own = [score for score in scores if score.model == model]
        values = {score.suite: score.value for score in own if score.value is not None}
        means += average_values(model, values)
    return tuple(means)


def average_values(model: str, values: Mapping[str, float]) -> list[BenchmarkMean]:
    """Average one model's scores by task name."""
    categories: dict[str, list[float]] = {row.category: [] for row in TASKS}
    for row in TASKS:
        if row.name in values:
            categories[row.category].append(values[row.name])
    totals = {category: sum(row.category == category for row in TASKS) for category in categories}
    by_category = [sum(found) / len(found) for found in categories.values() if found]
    return [
        _mean(model, "tasks", [value for found in categories.values() for value in found], len(TASKS)),
        _mean(model, "categories", by_category, len(categories)),
        *(_mean(model, category, found, totals[category]) for category, found in categories.items()),
    ]


def _mean(model: str, over: str, values: Sequence[float], total: int) -> BenchmarkMean:
    """Average values; None has no mean."""
    value = sum(values) / len(values) if values else None
    return BenchmarkMean(model=model, over=over, value=value, count=len(values), total=total)
