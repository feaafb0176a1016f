"""A report of scores as Markdown: scores side by side, comparisons, spread over seeds, requirements."""

from collections.abc import Sequence

from hf_turkembed import finding_tables
from hf_turkembed.benchmark_tables import format_benchmark
from hf_turkembed.markdown import escape, format_code, format_source, format_table
from hf_turkembed.scores import Comparison, PublishedScores, Resampling, Score, ScoreReport, SeedSpread, Verdict


def format_report(report: ScoreReport, published: Sequence[PublishedScores] = ()) -> str:
    """Write a whole report, with the command that measures it again.

    Args:
        report: What a score step leaves.
        published: Scores of others on its benchmark.
    """
    sections = [("Scores", format_scores(report.scores))] if report.scores else []
    if report.benchmark is not None:
        sections.append((report.benchmark.name, format_benchmark(report.benchmark, published)))
    conditions = [f"- {condition}" for condition in format_conditions(report.all_scores)]
    if report.resampling is not None:
        conditions.append(f"- {describe_resampling(report.resampling)}")
    sections.append(("How they were taken", "\n".join(conditions)))
    if report.comparisons:
        count = f"The last column corrects for all {len(report.comparisons)} comparisons above (Holm)."
        sections.append(("Comparisons, row by row", f"{format_comparisons(report.comparisons)}\n\n{count}"))
    if report.seeds:
        sections.append(("Over seeds", format_seeds(report.seeds)))
    if report.verdicts:
        sections.append(("Requirements", format_verdicts(report.verdicts)))
    sections += finding_tables.format_findings(
        report.profile, report.observed_search, report.long_text, report.diagnostics
    )
    if report.command is not None:
        sections.append(("To measure them again", f"    {report.command}"))
    return "\n\n".join(f"## {title}\n\n{body}" for title, body in sections) + "\n"


def own_roles(scores: Sequence[Score], digest: str) -> list[str]:
    """List the roles under which a run scored the folder with this digest."""
    return list(dict.fromkeys(score.model for score in scores if score.model_digest == digest))


def own_scores(scores: Sequence[Score], digest: str) -> list[Score]:
    """List a folder's own scores: those of the first role under which a run scored the folder with this digest."""
    role = own_roles(scores, digest)[:1]
    return [score for score in scores if score.model in role]


def format_scores(scores: Sequence[Score], digest: str | None = None) -> str:
    """Lay out scores with one column for each model of the run.

    Args:
        scores: Scores of one run, in the order in which they are shown.
        digest: Digest of a published folder, whose column is marked; None to mark none.

    Returns:
        A table, and below it one line for each missing score.
    """
    roles = list(dict.fromkeys(score.model for score in scores))
    own = [] if digest is None else own_roles(scores, digest)
    table: dict[tuple[str, ...], dict[str, Score]] = {}
    for score in scores:
        key = (
            escape(score.suite),
            format_code(score.metric),
            escape(str(score.truncate_dim)),
            "" if score.rows is None else f"{score.rows:,}",
            _format_dataset(score),
        )
        table.setdefault(key, {})[score.model] = score
    header = [
        "suite",
        "metric",
        "width",
        *(f"**{escape(r)} (this model)**" if r in own else escape(r) for r in roles),
        "rows",
        "data",
    ]
    rows = [
        [*key[:3], *(_format_score(line[role]) if role in line else "" for role in roles), *key[3:]]
        for key, line in table.items()
    ]
    missing = [
        f"- Missing: {format_code(score.metric)} of {escape(score.model)} on {escape(score.suite)} at "
        f"{escape(str(score.truncate_dim))}: {escape(score.missing)}"
        for score in scores
        if score.missing is not None
    ]
    return "\n".join([format_table(header, rows), *([""] if missing else []), *missing])


def format_conditions(scores: Sequence[Score]) -> list[str]:
    """Say for each model how its scores were taken: prompt, pooling, length, precision."""
    return list(
        dict.fromkeys(
            f"{escape(score.model)}: "
            f"{'no prompt' if score.prompt is None else f'prompt {format_code(score.prompt)}'}, "
            f"pooling {format_code(score.pooling)}, "
            f"{'texts of any length' if score.max_length is None else f'texts cut to {score.max_length:,} tokens'}, "
            f"{escape(score.precision)}, full width {escape(str(score.embedding_dim))}"
            for score in scores
        )
    )


def describe_resampling(resampling: Resampling) -> str:
    """Say how intervals and p-values were computed."""
    return (
        f"Brackets hold {100 * resampling.confidence:g} % percentile intervals of {resampling.resamples:,} bootstrap "
        f"resamples of the rows, the same for all models; p-values are of as many paired permutations (seed "
        f"{resampling.seed}). They speak of other rows of the same kind, taken as independent, not of training again "
        "with another seed."
    )


def format_comparisons(comparisons: Sequence[Comparison]) -> str:
    """Lay out differences between models with their intervals and p-values."""
    rows = [
        [
            escape(comparison.suite),
            format_code(comparison.metric),
            escape(str(comparison.truncate_dim)),
            f"{escape(comparison.model)} - {escape(comparison.baseline)}",
            f"{comparison.difference:+.4f}{_format_interval(comparison.interval, '+.4f')}",
            _format_p(comparison.p_value),
            _format_p(comparison.p_adjusted),
        ]
        for comparison in comparisons
    ]
    return format_table(["suite", "metric", "width", "models", "difference", "p", "p, corrected"], rows)


def format_seeds(seeds: Sequence[SeedSpread]) -> str:
    """Lay out mean and standard deviation over seeds."""
    rows = [
        [
            escape(s.suite),
            format_code(s.metric),
            escape(str(s.truncate_dim)),
            escape(s.group),
            str(len(s.models)),
            f"{s.mean:.4f}",
            f"{s.std:.4f}",
        ]
        for s in seeds
    ]
    return format_table(["suite", "metric", "width", "models", "seeds", "mean", "standard deviation"], rows)


def format_verdicts(verdicts: Sequence[Verdict]) -> str:
    """List what was required of the scores, and whether they reach it."""
    return "\n".join(f"- {'met' if verdict.passed else '**not met**'}: {verdict.describe()}" for verdict in verdicts)


def teacher_statement(scores: Sequence[Score]) -> str | None:
    """State the teacher's own scores at its full width, the ceiling of what its vectors can teach."""
    full = [score for score in scores if score.model == "teacher" and score.truncate_dim == score.embedding_dim]
    values = [
        f"{score.value:.4f} {format_code(score.metric)} on {escape(score.suite)}"
        for score in full
        if score.value is not None
    ]
    if not values:
        return None
    return f"The teacher itself reaches {', '.join(values)}; what it gets wrong, its vectors teach."


def _format_score(score: Score) -> str:
    """Write a score with four decimals and its interval."""
    return "missing" if score.value is None else f"{score.value:.4f}{_format_interval(score.interval, '.4f')}"


def _format_interval(interval: tuple[float, float] | None, form: str) -> str:
    """Write an interval in brackets, or nothing."""
    return "" if interval is None else f" [{interval[0]:{form}}, {interval[1]:{form}}]"


def _format_p(p_value: float) -> str:
    """Write a p-value."""
    return f"{p_value:.4f}" if p_value >= 0.0001 else "< 0.0001"


def _format_dataset(score: Score) -> str:
    """Name the held-out data with revision or digest, config and split."""
    parts = [escape(part) for part in (score.dataset.config, score.dataset.split) if part is not None]
    return ", ".join([format_source(score.dataset), *parts])
