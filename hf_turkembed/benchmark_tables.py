"""Scores on a benchmark as Markdown: means, tasks, what is missing, and what others published."""

from collections.abc import Sequence

from hf_turkembed.markdown import escape, format_code, format_source, format_table
from hf_turkembed.scores import BenchmarkMean, BenchmarkReport, PublishedScores, Score


def format_benchmark(
    report: BenchmarkReport, published: Sequence[PublishedScores] = (), digest: str | None = None
) -> str:
    """Lay out a benchmark with one column for each model, and one for each published model with scores by task.

    Args:
        report: Scores and means of a run.
        published: Scores of others, marked as such.
        digest: Digest of a published folder, whose column is marked; None to mark none.
    """
    beside = [other for other in published if other.tasks]
    roles = list(dict.fromkeys(score.model for score in report.scores))
    own = {score.model for score in report.scores if score.model_digest == digest}
    header = [f"**{escape(role)} (this model)**" if role in own else escape(role) for role in roles]
    header += [f"{other.model} (published)" for other in beside]
    parts = [f"Run by {report.runner}, each model at its full width."]
    parts.append(format_table(["mean over", *header], _mean_rows(report, roles, beside)))
    if any(mean.count < mean.total for mean in report.means):
        parts.append("Means over fewer tasks than the benchmark has cannot be compared with others.")
    parts.append(format_table(["task", "metric", "data", *header], _task_rows(report, roles, beside)))
    absent = [(score, score.missing) for score in report.scores if score.missing is not None]
    if absent:
        lines = [f"- Missing: {s.suite} of {escape(s.model)}: {escape(reason)}" for s, reason in absent]
        parts.append("\n".join(lines))
    if published:
        parts.append(_describe_published(published))
    return "\n\n".join(parts)


def _mean_rows(report: BenchmarkReport, roles: Sequence[str], beside: Sequence[PublishedScores]) -> list[list[str]]:
    """Write one row for each kind of mean."""
    means = {(mean.over, mean.model): mean for mean in report.means}
    return [
        [
            over,
            *(_format_mean(means[over, role]) for role in roles),
            *(_format_value(other.means.get(over)) for other in beside),
        ]
        for over in dict.fromkeys(mean.over for mean in report.means)
    ]


def _task_rows(report: BenchmarkReport, roles: Sequence[str], beside: Sequence[PublishedScores]) -> list[list[str]]:
    """Write one row for each task."""
    lines: dict[str, dict[str, Score]] = {}
    for score in report.scores:
        lines.setdefault(score.suite, {})[score.model] = score
    rows = []
    for task, line in lines.items():
        # Only a score that is there knows which version of the data it was taken on.
        shown = max(line.values(), key=lambda score: score.value is not None)
        own = [_format_value(line[role].value) if role in line else "" for role in roles]
        others = [_format_value(other.tasks.get(task)) for other in beside]
        data = f"{format_source(shown.dataset)}, {shown.dataset.split}"
        rows.append([task, format_code(shown.metric), data, *own, *others])
    return rows


def _describe_published(published: Sequence[PublishedScores]) -> str:
    """List published means with their sources, best first."""
    lines = ["Published, not measured here, by other versions of the benchmark's program; mean over all tasks:", ""]
    for source in dict.fromkeys(other.source for other in published):
        ranked = sorted((o for o in published if o.source == source), key=lambda o: -o.means["tasks"])
        means = "; ".join(f"{other.model} {other.means['tasks']:.4f}" for other in ranked)
        lines.append(f"- {means} ({source})")
    return "\n".join(lines)


def _format_mean(mean: BenchmarkMean) -> str:
    """Write a mean, with the number of tasks or categories behind it where that is not all of them."""
    count = "" if mean.count == mean.total else f" ({mean.count} of {mean.total})"
    return f"{_format_value(mean.value)}{count}"


def _format_value(value: float | None) -> str:
    """Write a score with four decimals."""
    return "missing" if value is None else f"{value:.4f}"
