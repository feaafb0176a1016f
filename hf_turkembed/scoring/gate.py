"""The gate: bounds that scores have to reach before a run may publish."""

from collections.abc import Mapping, Sequence

from hf_turkembed.scores import Requirement, Score, Verdict
from hf_turkembed.scoring.suites import KINDS, SuiteKind


def check_requirements(requirements: Sequence[Requirement], kinds: Mapping[str, SuiteKind]) -> None:
    """Check, before any work, that every requirement speaks of a metric that will be measured.

    Args:
        requirements: The requirements.
        kinds: Kind of every suite, by name.

    Raises:
        ValueError: If a metric is not one of the suites that it is required on.
    """
    for requirement in requirements:
        suites = kinds if requirement.suite is None else {requirement.suite: kinds[requirement.suite]}
        measured = {metric for kind in suites.values() for metric in KINDS[kind].metrics}
        if requirement.metric not in measured:
            raise ValueError(
                f"`require` names the metric {requirement.metric!r}; the suites measure {', '.join(sorted(measured))}."
            )


def judge(requirements: Sequence[Requirement], scores: Sequence[Score]) -> tuple[Verdict, ...]:
    """Hold scores against requirements.

    Args:
        requirements: The requirements.
        scores: All scores of a run.

    Returns:
        One verdict for each score that a requirement is about. A missing score does not pass, nor does one whose
        bound is missing, nor a requirement that is about no score.
    """
    values = {(score.model, score.suite, score.metric, score.truncate_dim): score.value for score in scores}
    verdicts = []
    for requirement in requirements:
        about = [key for key in values if _is_about(requirement, *key)]
        if not about:
            verdicts.append(_verdict(requirement, None, None))
        for key in about:
            bound = requirement.min
            if requirement.at_least is not None:
                bound = values.get((requirement.at_least, *key[1:]))
            verdicts.append(_verdict(requirement, values[key], bound, key))
    return tuple(verdicts)


def _verdict(
    requirement: Requirement, value: float | None, bound: float | None, key: tuple[str, str, str, int] | None = None
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
