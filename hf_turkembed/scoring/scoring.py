"""Scores models on suites: values, intervals, comparisons with a baseline, spread over seeds, and what else shows."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from hf_turkembed.findings import Diagnostic, ProfilePoint
from hf_turkembed.scores import Comparison, Resampling, Score, ScoreReport, SeedSpread
from hf_turkembed.scoring.examination import (
    Examination,
    diagnose_embeddings,
    diagnose_scores,
    profile_suite,
    with_intervals,
)
from hf_turkembed.scoring.lexical_floor import score_lexical_floor
from hf_turkembed.scoring.resampling import (
    Sample,
    bootstrap,
    holm,
    measure_sample,
    percentile_interval,
    permutation_p_value,
)
from hf_turkembed.scoring.suites import KINDS, Suite, encode_suites, encode_texts, measure_suite, pooling_mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

# (suite, metric, width): what two models are compared on.
Key = tuple[str, str, int]


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """One model of a scoring run."""

    role: str
    # Digest (local, see `record.digest_model`) or revision (Hub) of the model.
    digest: str
    # Loads it; models are loaded one after the other, so that memory holds one.
    load: "Callable[[], SentenceTransformer]"
    truncate_dims: tuple[int, ...]
    # Precision of the forward pass, for the record.
    precision: str


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What one model's embeddings gave, without intervals yet."""

    scores: list[tuple[Score, Sample]]
    profile: list[tuple[ProfilePoint, Sample]]
    diagnostics: list[Diagnostic]


def score_models(
    models: Sequence[ScoredModel],
    suites: Sequence[Suite],
    accelerator: Accelerator,
    *,
    batch_size: int,
    resampling: Resampling,
    baseline: str | None = None,
    seed_groups: Mapping[str, Sequence[str]] | None = None,
    examination: Examination | None = None,
) -> ScoreReport:
    """Score models on suites at every width.

    Args:
        models: The models.
        suites: The held-out data.
        accelerator: Each process encodes its share; all of them return the same report.
        batch_size: Texts of one forward pass.
        resampling: How intervals and p-values are computed.
        baseline: Role of the model that the others are compared with; None for no comparisons.
        seed_groups: Roles of models that differ by their seed alone, by name of the group.
        examination: What is looked into beside; None for nothing.

    Raises:
        ValueError: If a width is wider than the embedding, a model has no such prompt, or an embedding is not
            finite. A metric that is undefined is no error but an explicitly missing score.
    """
    examination = examination or Examination()
    measured = [_score_model(model, suites, accelerator, batch_size, examination) for model in models]
    of_models = [pair for one in measured for pair in one.scores]
    floor = []
    if examination.lexical_floor:
        dims = sorted({dim for model in models for dim in model.truncate_dims}, reverse=True)
        floor = score_lexical_floor(suites, dims)
    scores = [score for score, _ in (*of_models, *floor)]
    samples: dict[Key, dict[str, Sample]] = {}
    for score, sample in (pair for pair in (*of_models, *floor) if pair[0].value is not None):
        samples.setdefault((score.suite, score.metric, score.truncate_dim), {})[score.model] = sample
    resampled = _resample(suites, samples, resampling)
    return ScoreReport(
        scores=tuple(_with_interval(score, resampled, resampling) for score in scores),
        resampling=resampling,
        comparisons=() if baseline is None else _compare(baseline, scores, samples, resampled, resampling),
        seeds=_spread(scores, seed_groups or {}),
        profile=with_intervals([pair for one in measured for pair in one.profile], resampling),
        diagnostics=(
            *(found for one in measured for found in one.diagnostics),
            *diagnose_scores([score for score, _ in of_models], resampled, examination, resampling.confidence),
        ),
    )


def _score_model(
    model: ScoredModel, suites: Sequence[Suite], accelerator: Accelerator, batch_size: int, examination: Examination
) -> _Measured:
    """Score one model on all suites, and look at its embeddings."""
    encoder = model.load()
    width = encoder.get_embedding_dimension()
    if width is not None and (too_wide := [dim for dim in model.truncate_dims if dim > width]):
        raise ValueError(f"`{model.role}` gives embeddings of {width} dimensions; it has no width {too_wide}.")
    logger.info("score: %s on %s", model.role, ", ".join(suite.name for suite in suites))
    encoded = encode_suites(encoder, suites, accelerator, batch_size)
    measured = _Measured(scores=[], profile=[], diagnostics=[])
    for suite, embeddings in zip(suites, encoded, strict=True):
        measured.scores.extend(_score_suite(model, encoder, suite, embeddings))
        if suite.name in examination.profiled:
            dims = model.truncate_dims
            measured.profile.extend(profile_suite(model.role, suite, embeddings, dims, examination.quantizations))
    if (trained_on := examination.trained_on.get(model.role)) is not None:
        encode = partial(
            encode_texts, encoder, prompt=suites[0].prompt, batch_size=batch_size, accelerator=accelerator
        )
        measured.diagnostics.extend(
            diagnose_embeddings(model.role, model.truncate_dims, suites, encoded, encode, trained_on)
        )
    return measured


def _score_suite(
    model: ScoredModel, encoder: "SentenceTransformer", suite: Suite, embeddings: Sequence[NDArray[np.float32]]
) -> list[tuple[Score, Sample]]:
    """Score one model on one suite at every width."""
    found = []
    for dim in model.truncate_dims:
        for metric, sample in measure_suite(suite, embeddings, dim).items():
            value, missing = measure_sample(sample)
            score = Score(
                model=model.role,
                model_digest=model.digest,
                suite=suite.name,
                task=KINDS[suite.kind].task,
                dataset=suite.dataset,
                metric=metric,
                value=value,
                truncate_dim=dim,
                embedding_dim=embeddings[0].shape[1],
                prompt=suite.prompt,
                pooling=pooling_mode(encoder),
                max_length=encoder.max_seq_length,
                precision=model.precision,
                rows=len(sample.values),
                missing=missing,
            )
            found.append((score, sample))
    return found


def _resample(
    suites: Sequence[Suite], samples: Mapping[Key, Mapping[str, Sample]], resampling: Resampling
) -> dict[tuple[Key, str], NDArray[np.float64]]:
    """Bootstrap every metric of every model; within a suite all of them see the same resamples."""
    resampled: dict[tuple[Key, str], NDArray[np.float64]] = {}
    for suite in suites:
        keys = [(key, role) for key in samples if key[0] == suite.name for role in samples[key]]
        if keys:
            rows = [samples[key][role] for key, role in keys]
            resampled.update(zip(keys, bootstrap(rows, resampling.resamples, resampling.seed), strict=True))
    return resampled


def _with_interval(
    score: Score, resampled: Mapping[tuple[Key, str], NDArray[np.float64]], resampling: Resampling
) -> Score:
    """Add the interval to a score that has a value."""
    if score.value is None:
        return score
    drawn = resampled[(score.suite, score.metric, score.truncate_dim), score.model]
    return replace(score, interval=percentile_interval(drawn, resampling.confidence))


def _compare(
    baseline: str,
    scores: Sequence[Score],
    samples: Mapping[Key, Mapping[str, Sample]],
    resampled: Mapping[tuple[Key, str], NDArray[np.float64]],
    resampling: Resampling,
) -> tuple[Comparison, ...]:
    """Compare every other model with the baseline wherever both have a score."""
    values = {((s.suite, s.metric, s.truncate_dim), s.model): s.value for s in scores if s.value is not None}
    found = []
    for (key, role), value in values.items():
        if role == baseline or (key, baseline) not in values:
            continue
        differences = resampled[key, role] - resampled[key, baseline]
        sample, other = samples[key][role], samples[key][baseline]
        p_value = permutation_p_value(sample, other, resampling.resamples, resampling.seed)
        found.append((key, role, value - values[key, baseline], differences, p_value))
    adjusted = holm([p_value for *_, p_value in found])
    return tuple(
        Comparison(
            suite=key[0],
            metric=key[1],
            truncate_dim=key[2],
            model=role,
            baseline=baseline,
            difference=difference,
            interval=percentile_interval(differences, resampling.confidence),
            p_value=p_value,
            p_adjusted=p_adjusted,
            rows=len(samples[key][role].values),
        )
        for (key, role, difference, differences, p_value), p_adjusted in zip(found, adjusted, strict=True)
    )


def _spread(scores: Sequence[Score], seed_groups: Mapping[str, Sequence[str]]) -> tuple[SeedSpread, ...]:
    """Compute mean and standard deviation over seeds of every score that all models of a group have."""
    spreads = []
    for group, roles in seed_groups.items():
        values: dict[Key, list[float]] = {}
        for score in scores:
            if score.model in roles and score.value is not None:
                values.setdefault((score.suite, score.metric, score.truncate_dim), []).append(score.value)
        spreads += [
            SeedSpread(
                group=group,
                models=tuple(roles),
                suite=suite,
                metric=metric,
                truncate_dim=dim,
                mean=float(np.mean(found)),
                std=float(np.std(found, ddof=1)),
            )
            for (suite, metric, dim), found in values.items()
            if len(found) == len(roles)
        ]
    return tuple(spreads)
