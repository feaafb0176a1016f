"""The gate: bounds that scores have to reach before a run may publish."""

from collections.abc import Mapping, Sequence

from hf_turkembed.scores import BenchmarkReport, Requirement, Score, Verdict
from hf_turkembed.scoring.suites import KINDS, SuiteKind
from hf_turkembed.scoring.tr_mteb.tasks import tasks_behind


def check_requirements(
    requirements: Sequence[Requirement], kinds: Mapping[str, SuiteKind], tasks: Sequence[str]
) -> None:
    """Check, before any work, that every requirement speaks of what will be measured.

    Args:
        requirements: The requirements.
        kinds: Kind of every suite, by name.
        tasks: Tasks of TR-MTEB that are run; none for all.

    Raises:
        ValueError: If a metric is not one of the suites that it is required on, TR-MTEB has no such mean or task, or
            a mean is over tasks that are not run.
    """
    for requirement in requirements:
        if requirement.tr_mteb is not None:
            _check_tasks(requirement.tr_mteb, tasks)
            continue
        suites = kinds if requirement.suite is None else {requirement.suite: kinds[requirement.suite]}
        measured = {metric for kind in suites.values() for metric in KINDS[kind].metrics}
        if requirement.metric not in measured:
            raise ValueError(
                f"`require` names the metric {requirement.metric!r}; the suites measure {', '.join(sorted(measured))}."
            )


def _check_tasks(name: str, tasks: Sequence[str]) -> None:
    """Check that the tasks behind a mean or a task of TR-MTEB are run."""
    needed = tasks_behind(name)
    if lacking := [name for name in needed if tasks and name not in tasks]:
        raise ValueError(
            f"`require` names TR-MTEB's `{name}`, which needs {len(needed)} of its tasks; `tr_mteb.tasks` leaves out "
            f"{', '.join(lacking)}. Add them, or require what is run, such as a task by its name."
        )


def judge(
    requirements: Sequence[Requirement], scores: Sequence[Score], benchmark: BenchmarkReport | None = None
) -> tuple[Verdict, ...]:
    """Hold scores against requirements.

    Args:
        requirements: The requirements.
        scores: All scores of a run on suites.
        benchmark: Its scores on TR-MTEB, if there are any.

    Returns:
        One verdict for each score that a requirement is about. A missing score does not pass, nor does one whose
        bound is missing, a mean that lacks a task, or a requirement that is about no score.
    """
    values = {(score.model, score.suite, score.metric, score.truncate_dim): score.value for score in scores}
    verdicts = []
    for requirement in requirements:
        if requirement.tr_mteb is not None:
            found = {} if benchmark is None else _find_scores(benchmark, requirement.tr_mteb)
            verdicts += _judge_benchmark(requirement, found)
            continue
        about = [key for key in values if _is_about(requirement, *key)]
        if not about:
            verdicts.append(_verdict(requirement, None, None))
        for key in about:
            bound = requirement.min
            if requirement.at_least is not None:
                bound = values.get((requirement.at_least, *key[1:]))
            verdicts.append(_verdict(requirement, values[key], bound, key))
    return tuple(verdicts)


def _judge_benchmark(requirement: Requirement, found: Mapping[str, tuple[float | None, str | None]]) -> list[Verdict]:
    """Hold what was found of TR-MTEB, by model, against a bound."""
    about = [m for m in found if m != requirement.at_least and requirement.model in (None, m)]
    if not about:
        return [_verdict(requirement, None, None)]
    bound, no_bound = requirement.min, None
    if requirement.at_least is not None:
        bound, no_bound = found.get(requirement.at_least, (None, None))
    verdicts = []
    for model in about:
        value, missing = found[model]
        reasons = [missing, None if no_bound is None else f"`{requirement.at_least}`: {no_bound}"]
        verdicts.append(
            Verdict(
                requirement=requirement,
                suite=None,
                model=model,
                truncate_dim=None,
                value=value,
                bound=bound,
                passed=value is not None and bound is not None and value >= bound,
                missing="; ".join(filter(None, reasons)) or None,
            )
        )
    return verdicts


def _find_scores(benchmark: BenchmarkReport, name: str) -> dict[str, tuple[float | None, str | None]]:
    """Return by model a mean over all of its tasks, or a task's score; or None, and why it is missing."""
    found: dict[str, tuple[float | None, str | None]] = {}
    for score in benchmark.scores:
        if score.suite == name:
            found[score.model] = score.value, score.missing
    for mean in benchmark.means:
        if mean.over == name:
            needed = tasks_behind(name)
            there = {s.suite for s in benchmark.scores if s.model == mean.model and s.value is not None}
            lacking = [task for task in needed if task not in there]
            reason = f"{len(needed) - len(lacking)} of {len(needed)} tasks have a score; missing: {', '.join(lacking)}"
            found[mean.model] = (None, reason) if lacking else (mean.value, None)
    return found


def _verdict(
    requirement: Requirement,
    value: float | None,
    bound: float | None,
    key: tuple[str, str, str, int] | None = None,
) -> Verdict:
    """Hold one score, named by model, suite, metric and width, against its bound."""
    model, suite, _, dim = key or (None, None, None, None)
    return Verdict(
        requirement=requirement,
        suite=suite,
        model=model,
        truncate_dim=dim,
        value=value,
        bound=bound,
        passed=value is not None and bound is not None and value >= bound,
    )


def _is_about(requirement: Requirement, model: str, suite: str, metric: str, dim: int) -> bool:
    """Tell whether a requirement is about a score."""
    wanted = (requirement.suite, requirement.metric, requirement.truncate_dim)
    if any(want not in (None, found) for want, found in zip(wanted, (suite, metric, dim), strict=True)):
        return False
    return model != requirement.at_least and requirement.model in (None, model)
