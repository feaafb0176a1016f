"""Section of the step `score`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hf_turkembed.recipe.data import DatasetConfig
from hf_turkembed.recipe.sources import DataSource, ModelSource, is_local
from hf_turkembed.scores import Requirement


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """One held-out dataset and how it is scored."""

    # Graded pairs, triplets, pairs labelled 1 or 0, or aligned sentences of two languages.
    kind: Literal["sts", "triplets", "pairs", "bitext"]
    data: DatasetConfig
    prompt: str | None = None

    def __post_init__(self) -> None:
        """Check that the columns fit the kind."""
        expected = 2 if self.kind == "bitext" else 3
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
    tr_mteb: TrMtebConfig | None = None

    def __post_init__(self) -> None:
        """Check that only models and suites of this recipe are named."""
        named = [*(role for roles in self.seeds.values() for role in roles)]
        named += [role for entry in self.require for role in (entry.model, entry.at_least) if role is not None]
        named += [] if self.tr_mteb is None else self.tr_mteb.models
        for role in [*named, *([] if self.baseline is None else [self.baseline])]:
            if role not in self.models:
                raise ValueError(f"there is no model {role!r} among `models`, which has {', '.join(self.models)}.")
        for entry in self.require:
            if entry.suite is not None and entry.suite not in self.suites:
                raise ValueError(f"`require` names {entry.suite!r}; the suites are {', '.join(self.suites)}.")
            if entry.truncate_dim is not None and entry.truncate_dim not in self.truncate_dims:
                raise ValueError(f"`require` names the width {entry.truncate_dim}, which is not in `truncate_dims`.")
        if small := [group for group, roles in self.seeds.items() if len(set(roles)) < max(2, len(roles))]:
            raise ValueError(f"`seeds.{small[0]}` needs at least two models, each once; one has no spread.")
        dims = self.truncate_dims
        if not dims or min(dims) < 1 or len(set(dims)) < len(dims):
            raise ValueError(f"`truncate_dims` is {list(dims)}; expected widths of at least 1, each once.")
        if self.resamples < 1000:
            raise ValueError(f"`resamples` is {self.resamples}; a 95 % interval needs at least 1,000.")
