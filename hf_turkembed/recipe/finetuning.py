"""Section of the step `finetune`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hf_turkembed.recipe.data import DatasetConfig
from hf_turkembed.recipe.scoring import SuiteConfig
from hf_turkembed.recipe.sources import ModelSource

_NUMBER = re.compile(r"[+-]?\d+e[+-]?\d+", re.IGNORECASE)
_STAGE = re.compile(r"[A-Za-z0-9_-]+")

# The losses of `hf_turkembed.finetuning`, by their names there.
LossName = Literal["multiple_negatives_ranking", "cosent", "angle", "cosine_similarity"]


@dataclass(frozen=True, kw_only=True)
class HardNegativesConfig:
    """Wrong answers that the model takes for near before it is trained on them."""

    # Of each pair; a pair for which fewer are found is left out.
    count: int = 1
    # The cosine of a wrong answer with its query is by this share of the right answer's below that: what is nearer
    # is likely to be right as well.
    relative_margin: float = 0.05
    # Nearest passages of a query that are looked through.
    candidates: int = 100

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 1 <= self.count <= self.candidates:
            raise ValueError(f"`count` is {self.count}, expected 1 to `candidates`, which is {self.candidates}.")
        if not 0 <= self.relative_margin < 1:
            raise ValueError(f"`relative_margin` is {self.relative_margin}, expected a share from 0 to below 1.")


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """Labelled text and the loss that it is trained with, inside MatryoshkaLoss."""

    # Anchor and positive, with or without a negative, for ranking; two sentences and a score for the others.
    train: DatasetConfig
    loss: LossName
    # Ranking only: rows of one forward pass of one process, where a whole batch does not fit into memory.
    mini_batch_size: int | None = None
    # Ranking of two columns only: negatives are found among the passages of the other rows.
    hard_negatives: HardNegativesConfig | None = None
    # Held-out data, by name; how many rows of `train` share a text with it is counted.
    held_out: Mapping[str, SuiteConfig] = field(default_factory=dict)
    # Whether those rows are trained on all the same.
    shared_texts: Literal["keep", "remove"] = "keep"

    def __post_init__(self) -> None:
        """Check that the columns fit the loss."""
        expected = (2, 3) if self.ranks else (3,)
        if len(self.train.columns) not in expected or self.train.labels:
            counts = " or ".join(map(str, expected))
            raise ValueError(f"`train` needs {counts} columns and no labels, not {self.train.columns}.")
        if self.mini_batch_size is not None and self.mini_batch_size < 1:
            raise ValueError(f"`mini_batch_size` is {self.mini_batch_size}, expected at least 1.")
        if self.mini_batch_size is not None and not self.ranks:
            raise ValueError(f"`mini_batch_size` belongs to multiple_negatives_ranking, not to {self.loss}.")
        if self.hard_negatives is not None and self.kind != "bitext":
            raise ValueError("`hard_negatives` belongs to multiple_negatives_ranking with two columns in `train`.")
        if self.shared_texts == "remove" and not self.held_out:
            raise ValueError("`shared_texts: remove` needs `held_out` to know which texts are meant.")

    @property
    def ranks(self) -> bool:
        """Tell whether the other positives and negatives of a batch are negatives too."""
        return self.loss == "multiple_negatives_ranking"

    @property
    def kind(self) -> Literal["sts", "triplets", "bitext"]:
        """The kind of rows that the loss takes, as in `SuiteConfig`; two columns are read as bitext."""
        if not self.ranks:
            return "sts"
        return "triplets" if len(self.train.columns) == 3 else "bitext"

    @property
    def compares_rows(self) -> bool:
        """Tell whether a row by itself teaches nothing: its loss is zero without others in its batch."""
        return self.loss in ("cosent", "angle") or (self.kind == "bitext" and self.hard_negatives is None)


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters in place of training all weights."""

    rank: int
    alpha: int
    dropout: float = 0.0
    # Names of the layers that get one; none for every linear layer of the network.
    target_modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the numbers."""
        for key, value in (("rank", self.rank), ("alpha", self.alpha)):
            if value < 1:
                raise ValueError(f"`{key}` is {value}, expected at least 1.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` is {self.dropout}, expected a share from 0 to below 1.")


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage of fine-tuning with the sentence-transformers trainer."""

    # By name. Of several, each batch is of one, and their turns are in proportion to their rows.
    tasks: Mapping[str, TaskConfig]
    matryoshka_dims: tuple[int, ...]
    # Rows of one forward and backward pass over all processes, which share them equally.
    batch_size: int
    # Goes verbatim into SentenceTransformerTrainingArguments.
    training: Mapping[str, Any]
    # What the stage begins with; None for the stage before it, or the section's `base_model` for the first.
    base_model: ModelSource | None = None
    lora: LoraConfig | None = None

    def __post_init__(self) -> None:
        """Check that there is something to train, and that numbers are numbers."""
        if not self.tasks:
            raise ValueError("`tasks` is empty; name at least one.")
        if self.batch_size < 1:
            raise ValueError(f"`batch_size` is {self.batch_size}, expected at least 1.")
        alone = [name for name, task in self.tasks.items() if task.compares_rows and self.batch_size == 1]
        if alone:
            raise ValueError(
                f"`batch_size` is 1, but task `{alone[0]}` compares the rows of a batch and learns nothing from one "
                "alone; expected at least 2."
            )
        for key, value in self.training.items():
            if isinstance(value, str) and _NUMBER.fullmatch(value):
                raise ValueError(f"`training.{key}` is the text {value!r}: YAML needs a point, as in 2.0e-5.")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Stages of fine-tuning, each starting from the one before it unless it says otherwise."""

    base_model: ModelSource
    max_length: int
    stages: Mapping[str, StageConfig]

    def __post_init__(self) -> None:
        """Check that there are stages that folders can be named for, and a length that holds a token."""
        if not self.stages:
            raise ValueError("`stages` is empty; name at least one.")
        for name in self.stages:
            if not _STAGE.fullmatch(name):
                raise ValueError(
                    f"`stages` names {name!r}, which is a part of a folder's name and of dotted keys; expected "
                    "letters from a to z, digits, `_` and `-`."
                )
        if self.max_length < 1:
            raise ValueError(f"`max_length` is {self.max_length}, expected at least 1.")
