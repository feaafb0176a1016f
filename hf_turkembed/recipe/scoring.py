"""Section of the step `score`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hf_turkembed.findings import Quantization
from hf_turkembed.recipe.data import CorpusConfig, DatasetConfig
from hf_turkembed.recipe.sources import DataSource, ModelSource, is_local
from hf_turkembed.scores import Requirement


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """One held-out dataset and how it is scored."""

    # Graded pairs, triplets, pairs labelled 1 or 0, aligned sentences of two languages, or queries with a passage.
    kind: Literal["sts", "triplets", "pairs", "bitext", "retrieval"]
    data: DatasetConfig
    prompt: str | None = None

    def __post_init__(self) -> None:
        """Check that the columns fit the kind."""
        expected = 2 if self.kind in ("bitext", "retrieval") else 3
        if len(self.data.columns) != expected:
            raise ValueError(f"a suite of the kind `{self.kind}` reads {expected} columns, not {self.data.columns}.")
        if not is_local(self.data.source) and self.data.split is None:
            raise ValueError(f"`data` names {self.data.source!r} on the Hub, but no `split`; name the held-out one.")
        if (self.kind == "pairs") != bool(self.data.labels):
            raise ValueError("`labels` belongs to a suite of the kind `pairs`, which needs it, and to no other.")


@dataclass(frozen=True, kw_only=True)
class TrMtebConfig:
    """Models that TR-MTEB scores as well, at their full width; needs the extra `mteb`."""

    # Roles of the section's `models`.
    models: tuple[str, ...]
    # Names of tasks; none for all 26.
    tasks: tuple[str, ...] = ()
    # Whether texts get those of a model's prompts that mteb finds for a task; none otherwise.
    prompts: bool = False
    # Local folder with copies of the datasets as org/name, for machines without a network; None for the Hub.
    datasets: DataSource | None = None

    def __post_init__(self) -> None:
        """Check that there is a model, and that copies of datasets are local."""
        if not self.models:
            raise ValueError("`tr_mteb.models` is empty; name the models to score.")
        if self.datasets is not None and not is_local(self.datasets):
            raise ValueError(
                f"`tr_mteb.datasets` is {self.datasets!r}, which is no local folder; leave it out for the Hub's."
            )


@dataclass(frozen=True, kw_only=True)
class ProfileConfig:
    """What every width and form of storage keeps of some suites' main metrics, and what search in it costs."""

    suites: tuple[str, ...]
    quantizations: tuple[Quantization, ...] = ("float32", "int8", "binary")
    # Search is timed among so many vectors.
    vectors: int = 100_000

    def __post_init__(self) -> None:
        """Check that there is something to profile."""
        if not self.suites or not self.quantizations or self.vectors < 100:
            raise ValueError("a profile needs `suites`, `quantizations` and at least 100 `vectors`.")


@dataclass(frozen=True, kw_only=True)
class LongTextConfig:
    """Documents of several lengths, of which one sentence far from the beginning answers a query."""

    # Pairs of a query and its answer, of which whole groups of `candidates` are used.
    pairs: DatasetConfig
    # Sentences in one language that documents are made of.
    corpus: CorpusConfig
    # Most tokens of a document, in the tokenizer that needs most of them.
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096, 8192)
    # Documents that compete for a query.
    candidates: int = 16
    # Models that are probed; None for all.
    models: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check what needs no files."""
        if len(self.pairs.columns) != 2 or self.pairs.labels:
            raise ValueError(f"`pairs` reads two columns, query and answer, and no labels, not {self.pairs.columns}.")
        if not self.lengths or len(set(self.lengths)) < len(self.lengths) or min(self.lengths) < 1:
            raise ValueError(f"`lengths` is {list(self.lengths)}; expected numbers of tokens, each once.")
        if self.candidates < 2 or len(self.corpus.languages) != 1:
            raise ValueError("`candidates` has to be at least 2, and `corpus` to be of one language.")


@dataclass(frozen=True, kw_only=True)
class DiagnosticsConfig:
    """Signs of failure that are looked for; `findings.DIAGNOSTICS` says what each means."""

    # Models that are diagnosed; None for all.
    models: tuple[str, ...] | None = None
    # Of a model, the one it was trained from: where it does worse than that, it has forgotten.
    trained_from: Mapping[str, str] = field(default_factory=dict)
    # Whether a warning stops publishing.
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Models, by role, and the suites each of them is scored on at every width."""

    models: Mapping[str, ModelSource]
    suites: Mapping[str, SuiteConfig]
    truncate_dims: tuple[int, ...]
    batch_size: int
    precision: Literal["float32", "bfloat16"] = "float32"
    # Model that the others are compared with, row by row; None for no comparisons.
    baseline: str | None = None
    # Models that differ by their seed alone, by a name for the group: their mean and spread are reported.
    seeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # What the scores have to reach; where one does not, the step fails and nothing is published.
    require: tuple[Requirement, ...] = ()
    # Bootstrap resamples for the intervals, and permutations for the comparisons. With 2,000 chance moves a bound by
    # a fifteenth of the score's standard error; more cost little beside encoding with a full-size model.
    resamples: int = 2000
    # Score similarity of spelling as well, below which an encoder has learnt little.
    lexical_floor: bool = False
    tr_mteb: TrMtebConfig | None = None
    profile: ProfileConfig | None = None
    long_text: LongTextConfig | None = None
    diagnostics: DiagnosticsConfig | None = None

    def __post_init__(self) -> None:
        """Check that only models and suites of this recipe are named."""
        for role in self._named_models():
            if role not in self.models:
                raise ValueError(f"there is no model {role!r} among `models`, which has {', '.join(self.models)}.")
        for section, name in self._named_suites():
            if name not in self.suites:
                raise ValueError(f"`{section}` names {name!r}; the suites are {', '.join(self.suites)}.")
        for entry in self.require:
            self._check_requirement(entry)
        if self.diagnostics is not None and not self.suites:
            raise ValueError(
                "`diagnostics` look at the texts of `suites`, of which there are none; name at least one."
            )
        if small := [group for group, roles in self.seeds.items() if len(set(roles)) < max(2, len(roles))]:
            raise ValueError(f"`seeds.{small[0]}` needs at least two models, each once; one has no spread.")
        self._check_widths()
        if self.resamples < 1000:
            raise ValueError(f"`resamples` is {self.resamples}; a 95 % interval needs at least 1,000.")

    def _check_widths(self) -> None:
        """Check that there are widths, each once."""
        dims = self.truncate_dims
        if not dims or min(dims) < 1 or len(set(dims)) < len(dims):
            raise ValueError(f"`truncate_dims` is {list(dims)}; expected widths of at least 1, each once.")

    def _check_requirement(self, entry: Requirement) -> None:
        """Check that a requirement speaks of a width that is scored, or of a model that TR-MTEB scores."""
        if entry.truncate_dim is not None and entry.truncate_dim not in self.truncate_dims:
            raise ValueError(f"`require` names the width {entry.truncate_dim}, which is not in `truncate_dims`.")
        if entry.tr_mteb is None:
            return
        if self.tr_mteb is None:
            raise ValueError(f"`require` names {entry.subject}, but there is no `tr_mteb` that measures it.")
        for role in (entry.model, entry.at_least):
            if role is not None and role not in self.tr_mteb.models:
                scored = ", ".join(self.tr_mteb.models)
                raise ValueError(f"`require` names {entry.subject} of {role!r}; `tr_mteb.models` has {scored}.")

    def _named_suites(self) -> Iterator[tuple[str, str]]:
        """Yield the suites that are named outside `suites`, and where."""
        yield from (("require", entry.suite) for entry in self.require if entry.suite is not None)
        yield from (("profile", name) for name in (self.profile.suites if self.profile is not None else ()))

    def _named_models(self) -> Iterator[str]:
        """Yield the roles that are named outside `models`."""
        yield from (role for roles in self.seeds.values() for role in roles)
        yield from (role for entry in self.require for role in (entry.model, entry.at_least) if role is not None)
        yield from () if self.tr_mteb is None else self.tr_mteb.models
        if self.baseline is not None:
            yield self.baseline
        if self.long_text is not None:
            yield from self.long_text.models or ()
        if self.diagnostics is not None:
            yield from self.diagnostics.models or ()
            yield from (role for pair in self.diagnostics.trained_from.items() for role in pair)
