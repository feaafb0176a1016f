"""The scores of a run as card sections: the published model beside the others, made-up text apart from real."""

from collections.abc import Sequence

from hf_turkembed.publishing.markdown import format_source, format_table
from hf_turkembed.record import Score


def own_roles(scores: Sequence[Score], digest: str) -> list[str]:
    """List the roles under which a run scored the folder with this digest."""
    return list(dict.fromkeys(score.model for score in scores if score.model_digest == digest))


def format_scores(scores: Sequence[Score], digest: str) -> str:
    """Lay out scores with one column for each model of the run.

    Args:
        scores: Scores of one run, in the order in which they are shown.
        digest: Digest of the published folder, whose column is marked.

    Returns:
        A table, and below it one line for each missing score.
    """
    roles = list(dict.fromkeys(score.model for score in scores))
    own = own_roles(scores, digest)
    table: dict[tuple[str, ...], dict[str, Score]] = {}
    for score in scores:
        key = (
            score.suite,
            f"`{score.metric}`",
            str(score.truncate_dim),
            f"{score.rows:,}",
            _format_dataset(score),
        )
        table.setdefault(key, {})[score.model] = score
    header = ["suite", "metric", "width", *(f"**{r} (this model)**" if r in own else r for r in roles), "rows", "data"]
    rows = [
        [*key[:3], *(_format_score(line[role]) if role in line else "" for role in roles), *key[3:]]
        for key, line in table.items()
    ]
    missing = [
        f"- Missing: `{score.metric}` of {score.model} on {score.suite} at {score.truncate_dim}: {score.missing}"
        for score in scores
        if score.missing is not None
    ]
    return "\n".join([format_table(header, rows), *([""] if missing else []), *missing])


def format_conditions(scores: Sequence[Score]) -> list[str]:
    """Say for each model how its scores were taken: prompt, pooling, precision."""
    return list(
        dict.fromkeys(
            f"{score.model}: {'no prompt' if score.prompt is None else f'prompt `{score.prompt}`'}, "
            f"pooling `{score.pooling}`, {score.precision}, full width {score.embedding_dim}"
            for score in scores
        )
    )


def teacher_statement(scores: Sequence[Score]) -> str | None:
    """State the teacher's own scores at its full width, the ceiling of what its vectors can teach."""
    full = [score for score in scores if score.model == "teacher" and score.truncate_dim == score.embedding_dim]
    values = [f"{score.value:.4f} `{score.metric}` on {score.suite}" for score in full if score.value is not None]
    if not values:
        return None
    return f"The teacher itself reaches {', '.join(values)}; what it gets wrong, its vectors teach."


def _format_score(score: Score) -> str:
    """Write a score with four decimals and its interval."""
    if score.value is None:
        return "missing"
    interval = "" if score.interval is None else f" [{score.interval[0]:.4f}, {score.interval[1]:.4f}]"
    return f"{score.value:.4f}{interval}"


def _format_dataset(score: Score) -> str:
    """Name the held-out data with revision or digest, config and split."""
    parts = [part for part in (score.dataset.config, score.dataset.split) if part is not None]
    return ", ".join([format_source(score.dataset), *parts])
