"""What a score step found beside scores, as Markdown: the profile of widths, the probe of long texts, diagnostics."""

from collections.abc import Sequence

from hf_turkembed.findings import DIAGNOSTICS, Diagnostic, LongTextPoint, ProfilePoint, SearchCost, bytes_per_vector
from hf_turkembed.markdown import escape, format_code, format_table

_SURROUNDINGS = {"none": "the answer alone", "shared": "the same in all", "own": "each its own"}


def format_findings(
    profile: Sequence[ProfilePoint],
    costs: Sequence[SearchCost],
    long_text: Sequence[LongTextPoint],
    diagnostics: Sequence[Diagnostic],
) -> list[tuple[str, str]]:
    """Write title and body of a section for each kind of finding that there is."""
    sections = []
    if profile:
        conditions = f"\n\n{describe_search(costs)}" if costs else ""
        sections.append(("Widths and storage", f"{format_profile(profile, costs)}{conditions}"))
    if long_text:
        sections.append(("Long texts", f"{format_long_text(long_text)}\n\n{describe_long_text(long_text)}"))
    if diagnostics:
        sections.append(("Signs of failure", format_diagnostics(diagnostics)))
    return sections


def format_profile(points: Sequence[ProfilePoint], costs: Sequence[SearchCost]) -> str:
    """Lay out a profile, one line for each width and form of storage, one column for each model and suite."""
    models = list(dict.fromkeys(point.model for point in points))
    columns = list(dict.fromkeys((point.model, point.suite, point.metric) for point in points))
    values = {(p.truncate_dim, p.quantization, p.model, p.suite): p for p in points}
    cost_of = {(cost.truncate_dim, cost.quantization): cost for cost in costs}
    rows = []
    for dim, form in dict.fromkeys((point.truncate_dim, point.quantization) for point in points):
        cost = cost_of.get((dim, form))
        found = [values.get((dim, form, model, suite)) for model, suite, _ in columns]
        time = "" if cost is None else f"{cost.search_ms:.2f} ms"
        rows.append([str(dim), form, f"{bytes_per_vector(dim, form):,} MB", time, *map(_format_point, found)])
    header = ["width", "stored as", "a million vectors", "one search"]
    header += [
        f"{escape(model)}: " * (len(models) > 1) + f"{format_code(metric)} on {escape(suite)}"
        for model, suite, metric in columns
    ]
    return format_table(header, rows)


def describe_search(costs: Sequence[SearchCost]) -> str:
    """Say how storage and search were taken."""
    return (
        f"Search is exact, one query at a time on one thread, for the ten nearest of {costs[0].vectors:,} vectors; "
        "the time is a median on one machine and depends on width and storage alone; meanwhile the load average was "
        f"{max(cost.load for cost in costs):.1f} at most. Both sides are stored alike, and nothing is looked up again "
        "in full precision: int8 keeps 255 steps, binary the sign."
    )


def format_long_text(points: Sequence[LongTextPoint]) -> str:
    """Lay out the probe of long texts, one line for each length and kind of surroundings, one column a model."""
    models = list(dict.fromkeys(point.model for point in points))
    values = {(point.length, point.surroundings, point.model): point for point in points}
    rows = []
    for length, surroundings in dict.fromkeys((point.length, point.surroundings) for point in points):
        found = [values.get((length, surroundings, model)) for model in models]
        cells = ["" if point is None else _format_accuracy(point) for point in found]
        rows.append([f"{length:,}" if length else "-", _SURROUNDINGS[surroundings], *cells])
    return format_table(["tokens", "surroundings", *map(escape, models)], rows)


def describe_long_text(points: Sequence[LongTextPoint]) -> str:
    """Say what the probe of long texts asks, and where each model cuts."""
    first = points[0]
    windows = dict.fromkeys(
        f"{escape(p.model)} reads {'texts of any length' if p.max_length is None else f'{p.max_length:,} tokens'}"
        for p in points
    )
    made_up = " The text is made up." if first.synthetic else ""
    return (
        f"Each of {escape(str(first.queries))} queries is answered by a sentence in the last third of one of "
        f"{first.candidates} documents, which are no longer than so many tokens in any model's tokenizer; chance is "
        f"{1 / first.candidates:.3f}. "
        "Where the surroundings are the same in all, nothing but that sentence tells the documents apart. In "
        f"parentheses: the token behind which the first of these sentences stands. {'; '.join(windows)}.{made_up}"
    )


def format_diagnostics(diagnostics: Sequence[Diagnostic]) -> str:
    """Lay out diagnostics; those that warn are in bold, and below the table stands what they mean."""
    several = len({diagnostic.model for diagnostic in diagnostics}) > 1
    rows = []
    for found in diagnostics:
        value = "missing" if found.value is None else f"{found.value:.4f}{_format_interval(found.interval)}"
        rows.append(
            [
                f"`{found.name}`",
                *([escape(found.model)] if several else []),
                escape(found.suite or ""),
                f"**{value}**" if found.flagged else value,
                f"{found.threshold:g}",
                escape(found.missing or found.detail),
            ]
        )
    header = ["sign of failure", *(["model"] if several else []), "suite", "value", "warns above", "seen"]
    names = dict.fromkeys(found.name for found in diagnostics)
    warnings = [
        f"- **Warning**: `{found.name}`"
        + (f" of {escape(found.model)}" if several else "")
        + ("" if found.suite is None else f" on {escape(found.suite)}")
        + f": {DIAGNOSTICS[found.name].meaning}."
        for found in diagnostics
        if found.flagged
    ]
    meanings = [f"- `{name}`: {DIAGNOSTICS[name].measures}." for name in names]
    return "\n".join([format_table(header, rows), "", *meanings, *([""] if warnings else []), *warnings])


def _format_point(point: ProfilePoint | None) -> str:
    """Write a point of a profile."""
    if point is None:
        return ""
    return "missing" if point.value is None else f"{point.value:.4f}{_format_interval(point.interval)}"


def _format_accuracy(point: LongTextPoint) -> str:
    """Write a share with its interval, and the token from which on a document decides."""
    start = f" (from {point.decided_from:,})" if point.length else ""
    return f"{point.accuracy:.3f}{_format_interval(point.interval, '.3f')}{start}"


def _format_interval(interval: tuple[float, float] | None, form: str = ".4f") -> str:
    """Write an interval in brackets, or nothing."""
    return "" if interval is None else f" [{interval[0]:{form}}, {interval[1]:{form}}]"
