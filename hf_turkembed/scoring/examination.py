"""What a score step looks into beside scores: a profile of the widths, and diagnostics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hf_turkembed.findings import Diagnostic, ProfilePoint, Quantization
from hf_turkembed.scores import Resampling, Score
from hf_turkembed.scoring import diagnostics
from hf_turkembed.scoring.diagnostics import TrainedOn
from hf_turkembed.scoring.profile import measure_stored
from hf_turkembed.scoring.resampling import Sample, bootstrap, measure_sample, percentile_interval
from hf_turkembed.scoring.suites import KINDS, Suite, text_columns


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What is looked into."""

    # Whether similarity of spelling alone is scored on graded pairs as well.
    lexical_floor: bool = False
    # Suites that are profiled at every width, and with which forms of storage.
    profiled: tuple[str, ...] = ()
    quantizations: tuple[Quantization, ...] = ()
    # Models that are diagnosed, and what each was trained on.
    trained_on: Mapping[str, TrainedOn] = field(default_factory=dict)
    # Of a model, the one that it was trained from.
    trained_from: Mapping[str, str] = field(default_factory=dict)


def profile_suite(
    model: str,
    suite: Suite,
    embeddings: Sequence[NDArray[np.float32]],
    dims: Sequence[int],
    quantizations: Sequence[Quantization],
) -> list[tuple[ProfilePoint, Sample]]:
    """Measure one model's main metric on one suite at every width and with every form of storage.

    Args:
        model: Role of the model.
        suite: The held-out data.
        embeddings: Of each of its text columns `(rows, embedding_dim)`.
        dims: Widths.
        quantizations: Forms of storage.

    Returns:
        Points without intervals, and the rows behind each.
    """
    return [
        (
            ProfilePoint(
                model=model,
                suite=suite.name,
                metric=KINDS[suite.kind].metrics[0],
                truncate_dim=dim,
                quantization=quantization,
                value=measure_sample(sample)[0],
                interval=None,
                synthetic=suite.dataset.synthetic,
            ),
            sample,
        )
        for dim, quantization, sample in measure_stored(suite, embeddings, dims, quantizations)
    ]


def with_intervals(
    measured: Sequence[tuple[ProfilePoint, Sample]], resampling: Resampling
) -> tuple[ProfilePoint, ...]:
    """Add the intervals to the points of a profile that have a value."""
    drawn: dict[ProfilePoint, NDArray[np.float64]] = {}
    for suite in dict.fromkeys(point.suite for point, _ in measured):
        defined = [pair for pair in measured if pair[0].suite == suite and pair[0].value is not None]
        if defined:
            resampled = bootstrap([sample for _, sample in defined], resampling.resamples, resampling.seed)
            drawn.update(zip([point for point, _ in defined], resampled, strict=True))
    return tuple(
        replace(point, interval=percentile_interval(drawn[point], resampling.confidence)) if point in drawn else point
        for point, _ in measured
    )


def diagnose_embeddings(
    model: str,
    dims: Sequence[int],
    suites: Sequence[Suite],
    encoded: Sequence[Sequence[NDArray[np.float32]]],
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    trained_on: TrainedOn,
) -> list[Diagnostic]:
    """Look at one model's vectors, and at what it was trained on.

    Args:
        model: Role of the model.
        dims: Widths.
        suites: The held-out data; vectors are looked at where a suite shares the prompt of the first.
        encoded: Embeddings of each suite's text columns.
        encode: Texts to embeddings, with the prompt of the first suite.
        trained_on: What the model was trained on.
    """
    vectors: dict[str, NDArray[np.float32]] = {}
    for suite, embeddings in zip(suites, encoded, strict=True):
        if suite.prompt == suites[0].prompt:
            for texts, column in zip(text_columns(suite), embeddings, strict=True):
                vectors.update(zip(texts, column, strict=True))
    distinct = sorted(vectors)
    stacked = np.stack([vectors[text] for text in distinct])
    found = diagnostics.diagnose_vectors(model, distinct, stacked, dims)
    found += diagnostics.diagnose_spelling(model, distinct, encode)
    columns = {suite.name: text_columns(suite) for suite in suites}
    return found + diagnostics.diagnose_leakage(model, columns, trained_on)


def diagnose_scores(
    scores: Sequence[Score],
    resampled: Mapping[tuple[tuple[str, str, int], str], NDArray[np.float64]],
    examination: Examination,
    confidence: float,
) -> list[Diagnostic]:
    """Look at the scores of every diagnosed model: over widths, over correlations, and over training.

    Args:
        scores: All scores of a run, the main metric of each suite first.
        resampled: By (suite, metric, width) and model, the scores on bootstrap resamples.
        examination: Which models are diagnosed, and what they were trained from.
        confidence: Share of the intervals.
    """
    values = {(s.model, s.suite, s.metric, s.truncate_dim): s.value for s in scores if s.value is not None}
    main: dict[str, str] = {}
    for score in scores:
        main.setdefault(score.suite, score.metric)
    correlated = {(score.model, score.suite) for score in scores if score.metric == "pearson_cosine"}
    found = []
    for role, (suite, metric) in ((role, item) for role in examination.trained_on for item in main.items()):
        curve = {key[3]: value for key, value in values.items() if key[:3] == (role, suite, metric)}
        if not curve:
            names = ["narrow_beats_wide", *(["correlation_gap"] if (role, suite) in correlated else [])]
            names += ["forgetting"] if role in examination.trained_from else []
            found += [diagnostics.without_score(name, role, suite) for name in names]
            continue
        drawn = {dim: resampled[(suite, metric, dim), role] for dim in curve}
        found += diagnostics.diagnose_widths(role, suite, curve, drawn, confidence)
        if (pearson := values.get((role, suite, "pearson_cosine", max(curve)))) is not None:
            found += diagnostics.diagnose_correlations(role, suite, curve[max(curve)], pearson)
        before = examination.trained_from.get(role)
        shared = [dim for dim in curve if before is not None and (before, suite, metric, dim) in values]
        if before is not None and not shared:
            found.append(diagnostics.without_score("forgetting", role, suite, before))
        elif before is not None:
            dim = max(shared)
            pair = values[before, suite, metric, dim], curve[dim]
            both = resampled[(suite, metric, dim), before], drawn[dim]
            found += diagnostics.diagnose_forgetting(role, before, suite, pair, both, confidence)
    return found
