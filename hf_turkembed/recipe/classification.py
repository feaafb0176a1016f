"""Section of the step `classify`."""

from dataclasses import dataclass

from hf_turkembed.recipe.data import DatasetConfig
from hf_turkembed.recipe.sources import ModelSource, is_local


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """A linear head on the embeddings of a model, which itself is not trained."""

    model: ModelSource
    # Columns text and label.
    train: DatasetConfig
    # Never trained on: what the head is measured by.
    held_out: DatasetConfig
    batch_size: int
    # How little the weights are held back from fitting the rows: `C` of scikit-learn's LogisticRegression.
    inverse_regularization: float

    def __post_init__(self) -> None:
        """Check the columns and numbers, and that rows for training are not asked to be held out."""
        for name, data in (("train", self.train), ("held_out", self.held_out)):
            if len(data.columns) != 2 or data.labels:
                raise ValueError(f"`{name}` needs two columns, text and label, and no `labels`, not {data.columns}.")
        if not is_local(self.held_out.source) and self.held_out.split is None:
            raise ValueError(f"`held_out` names {self.held_out.source!r} on the Hub, but no `split`; name one.")
        if self.batch_size < 1:
            raise ValueError(f"`batch_size` is {self.batch_size}, expected at least 1.")
        if self.inverse_regularization <= 0:
            raise ValueError(f"`inverse_regularization` is {self.inverse_regularization}, expected more than 0.")
