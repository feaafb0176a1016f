"""Means over the tasks and over the categories of TR-MTEB, each with the number of tasks behind it."""

from collections.abc import Mapping, Sequence

from hf_turkembed.scores import BenchmarkMean, Score
from hf_turkembed.scoring.tr_mteb.tasks import TASKS, tasks_behind


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
    everything = [value for found in categories.values() for value in found]
    by_category = [sum(found) / len(found) for found in categories.values() if found]
    # A mean over categories is as incomplete as the least complete of them: tasks are counted in it too.
    averaged = {"tasks": (everything, everything), "categories": (by_category, everything)}
    averaged |= {category: (found, found) for category, found in categories.items()}
    return [
        BenchmarkMean(
            model=model,
            over=over,
            value=sum(found) / len(found) if found else None,
            count=len(behind),
            total=len(tasks_behind(over)),
        )
        for over, (found, behind) in averaged.items()
    ]
