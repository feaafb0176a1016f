"""What a score step leaves: scores with their intervals, comparisons, spread over seeds, and the gate's verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_turkembed.findings import Diagnostic, LongTextPoint, ProfilePoint, SearchCost
from hf_turkembed.json_files import as_plain, read_versioned, write_json

SCORES_SCHEMA_VERSION = 4
SCORES_FILE = "scores.json"


@dataclass(frozen=True, kw_only=True)
class ScoreDataset:
    """The held-out data behind a score."""

    # Hub id or portable name; with its revision or digest as in `record.Input`.
    name: str
    revision: str | None = None
    digest: str | None = None
    config: str | None = None
    split: str | None = None
    # True for text that a program made up: such scores never enter `model-index`.
    synthetic: bool = False


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measured number with all that is needed to measure it again, or the reason why it is missing."""

    # Role of the model within the scoring run, such as `teacher`, and its digest (local, see `record.digest_model`) or
    # revision (Hub).
    model: str
    model_digest: str
    suite: str
    # Task type in the Hub's vocabulary, such as `semantic-similarity`, or where it has no word in mteb's.
    task: str
    dataset: ScoreDataset
    metric: str
    # Finite; None where the score is missing, and then `missing` says why.
    value: float | None
    # Bounds of the interval that `Resampling` describes; None where a resample leaves the metric undefined too often.
    interval: tuple[float, float] | None = None
    truncate_dim: int
    # Full width of the model's embedding.
    embedding_dim: int
    prompt: str | None
    pooling: str
    # Texts were cut to this many tokens; None where the model has no limit.
    max_length: int | None
    precision: str
    # Pairs or triplets behind the value; None where a benchmark's own runner read them.
    rows: int | None
    missing: str | None = None

    def __post_init__(self) -> None:
        """Refuse NaN and half-missing scores, so that no reader has to."""
        where = f"score `{self.suite}`/`{self.metric}` of `{self.model}` at {self.truncate_dim} dimensions"
        if (self.value is None) == (self.missing is None):
            raise ValueError(f"{where} needs either a value or the reason why it is missing, not both or neither.")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{where} is {self.value!r}; a score has to be finite or explicitly missing.")
        _check_interval(self.interval, where)


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How intervals and p-values were computed."""

    # Bootstrap resamples of the rows, the same ones for all models, and as many permutations.
    resamples: int
    seed: int
    # Share of the percentile interval.
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        if not (type(self.resamples) is type(self.seed) is int):
            raise ValueError(
                f"`resampling` has {self.resamples!r} resamples of seed {self.seed!r}, expected integers."
            )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the same rows."""

    suite: str
    metric: str
    truncate_dim: int
    model: str
    baseline: str
    # Score of the model minus that of the baseline, and the paired bootstrap's interval of it.
    difference: float
    interval: tuple[float, float] | None
    # Two-sided paired permutation test, and the same corrected by Holm for all comparisons of the report.
    p_value: float
    p_adjusted: float
    rows: int

    def __post_init__(self) -> None:
        """Refuse what is not finite."""
        where = f"comparison of `{self.model}` and `{self.baseline}` on `{self.suite}`/`{self.metric}`"
        if not math.isfinite(self.difference + self.p_value + self.p_adjusted):
            raise ValueError(f"{where} is not finite.")
        _check_interval(self.interval, where)


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """One score over models that differ by their seed alone."""

    # Name of the group, and the roles of its models.
    group: str
    models: tuple[str, ...]
    suite: str
    metric: str
    truncate_dim: int
    mean: float
    # Sample standard deviation, n - 1 in the denominator.
    std: float


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A bound that scores have to reach before anything is published."""

    # Exactly one of the two: a metric of suites; or of TR-MTEB the mean over `tasks` or `categories`, that of a
    # category by its name, or the score of a task by its name, all at full width and over every task they are of.
    metric: str | None = None
    tr_mteb: str | None = None
    # Exactly one of the two: a number, or the role of a model whose score is the bound.
    min: float | None = None
    at_least: str | None = None
    # Which scores are meant; None for those of every suite, of every width, and of every model but `at_least`.
    suite: str | None = None
    model: str | None = None
    truncate_dim: int | None = None

    def __post_init__(self) -> None:
        """Refuse a requirement on nothing or on two things, without a bound, or with two."""
        if (self.metric is None) == (self.tr_mteb is None):
            raise ValueError("a requirement needs either `metric` or `tr_mteb`, and not both.")
        if self.tr_mteb is not None and (self.suite is not None or self.truncate_dim is not None):
            raise ValueError(
                f"the requirement on {self.subject} takes no `suite` or `truncate_dim`: TR-MTEB is at full width."
            )
        if (self.min is None) == (self.at_least is None):
            raise ValueError(f"the requirement on {self.subject} needs either `min` or `at_least`, and not both.")
        if self.model is not None and self.model == self.at_least:
            raise ValueError(f"the requirement on {self.subject} sets `{self.model}` against itself.")

    @property
    def subject(self) -> str:
        """What the bound is on."""
        return f"`{self.metric}`" if self.tr_mteb is None else f"TR-MTEB's `{self.tr_mteb}`"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether one score meets a requirement."""

    requirement: Requirement
    # The score; no model, and a requirement that is not met, where it is about no score at all. No suite and no width
    # where it is on TR-MTEB.
    suite: str | None
    model: str | None
    truncate_dim: int | None
    # The score, and the bound; None where one is missing, and then the requirement is not met.
    value: float | None
    bound: float | None
    passed: bool
    # Why a score of TR-MTEB or its bound is missing, such as the tasks that a mean lacks.
    missing: str | None = None

    def describe(self) -> str:
        """Say in one line what was found and what was required."""
        if self.model is None:
            wanted = {key: value for key, value in as_plain(self.requirement).items() if value is not None}
            return f"the requirement {wanted} is about no score that was measured"
        of = "" if self.requirement.at_least is None else f" of `{self.requirement.at_least}`"
        value, bound = ("missing" if number is None else f"{number:.4f}" for number in (self.value, self.bound))
        where = "" if self.suite is None else f" on `{self.suite}` at {self.truncate_dim} dimensions"
        why = "" if self.missing is None else f" ({self.missing})"
        return f"{self.requirement.subject} of `{self.model}`{where} is {value}, required at least {bound}{of}{why}"


@dataclass(frozen=True, kw_only=True)
class BenchmarkMean:
    """A model's mean over tasks of a benchmark that have a score; tasks without one are not counted as zero."""

    model: str
    # `tasks` (all of them alike), `categories` (each of them alike), or the name of one category.
    over: str
    # None where no task has a score.
    value: float | None
    # How many tasks are behind it, that over categories as well, and how many there would be.
    count: int
    total: int


@dataclass(frozen=True, kw_only=True)
class BenchmarkReport:
    """Scores on the tasks of a benchmark, as its own runner measures them, at each model's full width."""

    name: str
    # The program that ran it, with its version.
    runner: str
    # `suite` is the name of the task, `task` its category.
    scores: tuple[Score, ...]
    means: tuple[BenchmarkMean, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedScores:
    """A model's scores on a benchmark as somebody else published them; nothing of it was measured here."""

    model: str
    # By what they are over, see `BenchmarkMean.over`; at least that of `tasks`.
    means: Mapping[str, float]
    # Scores by task; empty where only the mean is known.
    tasks: Mapping[str, float]
    # Address of the table.
    source: str


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """The content of scores.json."""

    scores: tuple[Score, ...]
    # The command that measures the scores again.
    command: str | None = None
    resampling: Resampling | None = None
    comparisons: tuple[Comparison, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    benchmark: BenchmarkReport | None = None
    profile: tuple[ProfilePoint, ...] = ()
    # Seen on one machine: two runs of one recipe differ here and nowhere else.
    observed_search: tuple[SearchCost, ...] = ()
    long_text: tuple[LongTextPoint, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    # Whether a diagnostic that warns stops publishing as well.
    strict: bool = False

    @property
    def all_scores(self) -> tuple[Score, ...]:
        """Scores on suites, then those on the benchmark's tasks."""
        return (*self.scores, *(() if self.benchmark is None else self.benchmark.scores))

    def check_gate(self) -> None:
        """Raise if a requirement is not met, or if the run is strict and a diagnostic warns.

        Raises:
            ValueError: Naming every score that misses its bound, or every diagnostic.
        """
        failed = [verdict.describe() for verdict in self.verdicts if not verdict.passed]
        if failed:
            raise ValueError(
                f"{len(failed)} of {len(self.verdicts)} scores miss what the recipe requires, so nothing is "
                "published:\n  " + "\n  ".join(failed)
            )
        flagged = [diagnostic.describe() for diagnostic in self.diagnostics if diagnostic.flagged]
        if self.strict and flagged:
            raise ValueError(
                f"{len(flagged)} of {len(self.diagnostics)} diagnostics warn and the recipe is `strict`, so nothing "
                "is published:\n  " + "\n  ".join(flagged)
            )


def write_scores(folder: Path, report: ScoreReport) -> None:
    """Write scores.json into `folder`.

    Raises:
        ValueError: If a number is not finite.
    """
    write_json(folder / SCORES_FILE, {"schema_version": SCORES_SCHEMA_VERSION, **as_plain(report)})


def read_scores(path: Path) -> ScoreReport:
    """Read a scores.json.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If it was written in another schema version, or is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; run the step `score` first, or name the folder that it wrote.")
    content = read_versioned(path, SCORES_SCHEMA_VERSION)
    try:
        return ScoreReport(
            command=content["command"],
            resampling=None if content["resampling"] is None else Resampling(**content["resampling"]),
            scores=_read_entries(content["scores"]),
            comparisons=tuple(Comparison(**_with_interval(entry)) for entry in content["comparisons"]),
            seeds=tuple(SeedSpread(**{**entry, "models": tuple(entry["models"])}) for entry in content["seeds"]),
            verdicts=tuple(
                Verdict(**{**entry, "requirement": Requirement(**entry["requirement"])})
                for entry in content["verdicts"]
            ),
            benchmark=_read_benchmark(content["benchmark"]),
            profile=tuple(ProfilePoint(**_with_interval(entry)) for entry in content["profile"]),
            observed_search=tuple(SearchCost(**entry) for entry in content["observed_search"]),
            long_text=tuple(LongTextPoint(**_with_interval(entry)) for entry in content["long_text"]),
            diagnostics=tuple(Diagnostic(**_with_interval(entry)) for entry in content["diagnostics"]),
            strict=content["strict"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); run the score step again.") from error


def _read_entries(entries: Sequence[Mapping[str, Any]]) -> tuple[Score, ...]:
    """Build scores from their JSON form."""
    return tuple(Score(**{**_with_interval(entry), "dataset": ScoreDataset(**entry["dataset"])}) for entry in entries)


def _read_benchmark(content: Mapping[str, Any] | None) -> BenchmarkReport | None:
    """Build the report of a benchmark from its JSON form."""
    if content is None:
        return None
    means = tuple(BenchmarkMean(**entry) for entry in content["means"])
    return BenchmarkReport(
        name=content["name"], runner=content["runner"], scores=_read_entries(content["scores"]), means=means
    )


def _with_interval(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry whose interval is a tuple, as the dataclasses have it."""
    interval = entry["interval"]
    return {**entry, "interval": None if interval is None else tuple(interval)}


def _check_interval(interval: tuple[float, float] | None, where: str) -> None:
    """Raise unless an interval has finite bounds in order."""
    if interval is not None and not (math.isfinite(sum(interval)) and interval[0] <= interval[1]):
        raise ValueError(f"{where} has the interval {interval}; expected finite bounds, the lower one first.")
