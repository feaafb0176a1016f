"""Section of the step `finetune`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hf_turkembed.recipe.data import DatasetConfig
from hf_turkembed.recipe.sources import ModelSource


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage of fine-tuning with the sentence-transformers trainer."""

    train: DatasetConfig
    # MultipleNegativesRankingLoss on triplets, or CoSENTLoss on scored pairs; each inside MatryoshkaLoss.
    loss: Literal["multiple_negatives_ranking", "cosent"]
    matryoshka_dims: tuple[int, ...]
    # Goes verbatim into SentenceTransformerTrainingArguments.
    training: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check that the columns fit the loss."""
        if len(self.train.columns) != 3 or self.train.labels:
            raise ValueError(f"`train` needs three columns and no labels, not {self.train.columns}.")

    @property
    def kind(self) -> Literal["sts", "triplets"]:
        """The kind of rows that the loss takes, as in `SuiteConfig`."""
        return "triplets" if self.loss == "multiple_negatives_ranking" else "sts"


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Stages of fine-tuning, each starting from the one before it."""

    base_model: ModelSource
    max_length: int
    stages: Mapping[str, StageConfig]
