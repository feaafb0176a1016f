"""Scores on a benchmark as Markdown: means, tasks, what is missing, and what others published."""

from collections.abc import Mapping, Sequence

from hf_turkembed.markdown import escape, format_code, format_source, format_table
from hf_turkembed.scores import BenchmarkMean, BenchmarkReport, PublishedScores, Score


def format_benchmark(
    report: BenchmarkReport, published: Sequence[PublishedScores] = (), digest: str | None = None
) -> str:
    """Lay out a benchmark with one column for each model, and one for the range of what others published by task.

    Args:
        report: Scores and means of a run.
        published: Scores of others, marked as such.
        digest: Digest of a published folder, whose column is marked; None to mark none.
    """
    own = {score.model for score in report.scores if score.model_digest == digest}
    shown = {
        role: f"**{escape(role)} (this model)**" if role in own else escape(role)
        for role in dict.fromkeys(score.model for score in report.scores)
    }
    sources = list(dict.fromkeys(other.source for other in published))
    parts = [
        f"Run by {escape(report.runner)}, each model at its full width.",
        _format_means(report, shown, published, sources),
    ]
    if any(mean.count < mean.total for mean in report.means):
        parts.append("Means over fewer tasks than the benchmark has cannot be compared with others.")
    if published:
        parts.append("Published means were not measured here, and by other versions of the benchmark's program:")
        parts.append("\n".join(f"- ({number}) {source}" for number, source in enumerate(sources, start=1)))
    beside = [other for other in published if other.tasks]
    header = ["task", "metric", "data", *shown.values()]
    header += [f"published, lowest to highest of {len(beside)}"] if beside else []
    parts.append(format_table(header, _task_rows(report, list(shown), beside)))
    absent = [(score, score.missing) for score in report.scores if score.missing is not None]
    if absent:
        lines = [f"- Missing: {escape(s.suite)} of {escape(s.model)}: {escape(reason)}" for s, reason in absent]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _format_means(
    report: BenchmarkReport, shown: Mapping[str, str], published: Sequence[PublishedScores], sources: Sequence[str]
) -> str:
    """Lay out means with one row for each model: those of the run, then published ones, the best first."""
    kinds = list(dict.fromkeys(mean.over for mean in report.means))
    means = {(mean.model, mean.over): mean for mean in report.means}
    rows = [[name, *(_format_mean(means[role, kind]) for kind in kinds)] for role, name in shown.items()]
    for other in sorted(published, key=lambda other: -other.means["tasks"]):
        values = (other.means.get(kind) for kind in kinds)
        cells = ["" if value is None else _format_value(value) for value in values]
        rows.append([f"{other.model}, published ({sources.index(other.source) + 1})", *cells])
    return format_table(["mean over", *map(escape, kinds)], rows)


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
        data = f"{format_source(shown.dataset)}, {escape(str(shown.dataset.split))}"
        others = [other.tasks[task] for other in beside if task in other.tasks]
        span = [f"{_format_value(min(others))} to {_format_value(max(others))}" if others else ""] if beside else []
        rows.append([escape(task), format_code(shown.metric), data, *own, *span])
    return rows


def _format_mean(mean: BenchmarkMean) -> str:
    """Write a mean, with the number of tasks behind it where that is not all of them."""
    count = "" if mean.count == mean.total else f" ({escape(str(mean.count))} of {escape(str(mean.total))})"
    return f"{_format_value(mean.value)}{count}"


def _format_value(value: float | None) -> str:
    """Write a score with four decimals."""
    return "missing" if value is None else f"{value:.4f}"
