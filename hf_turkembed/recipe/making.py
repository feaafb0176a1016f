"""Sections of the steps that make a student: sandbox, tokenizer, corpus, clone, embed and distill."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hf_turkembed.recipe.data import CorpusConfig, DatasetConfig
from hf_turkembed.recipe.ranges import check_range
from hf_turkembed.recipe.sources import DataSource, ModelSource


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """Sizes of the made-up text and of the teacher trained on it."""

    sentences: int
    triplets: int
    pairs: int


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Tokenizer surgery: prune the source to the corpus, extend it, end at exactly `vocab_size`."""

    source: ModelSource
    corpus: CorpusConfig
    # Text that counting never sees, for the fertility report.
    heldout: CorpusConfig
    vocab_size: int
    # How many of `vocab_size` tokens are new merges; None for as many as gain more than their room costs.
    new_tokens: int | None = None
    # Share by language of the tokens that the corpus costs before; languages not named share the rest equally.
    language_weights: Mapping[str, float] = field(default_factory=dict)
    # Most distinct words of a language that are held in memory while they are counted.
    max_words: int = 1_000_000
    # Mass that the source's tokens get for their rank, as a share of the corpus mass.
    merge_order_prior: float = 0.0
    # Share of its mass that a merge across the end of a Turkish stem loses, 0 to 1.
    stem_penalty: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers before the corpus is counted, which takes its time."""
        check_range(self, "at least 1", "vocab_size")
        check_range(self, "at least 0", "new_tokens", "merge_order_prior")
        check_range(self, "at least 2", "max_words")
        check_range(self, "a share above 0, up to 1", "language_weights")
        check_range(self, "a share from 0 to 1", "stem_penalty")


@dataclass(frozen=True, kw_only=True)
class CorpusStepConfig:
    """The texts that a teacher embeds, read once, without repeats, as a dataset of their own."""

    text: CorpusConfig
    # Rows of one Parquet file.
    shard_rows: int
    # Hub licence id of the texts, as their sources state it; they are published under it, whatever a teacher's terms.
    license: str | None = None
    # Texts of each language that are kept from training, in splits of their own.
    validation_rows: int = 0
    test_rows: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_range(self, "at least 1", "shard_rows")
        check_range(self, "at least 0", "validation_rows", "test_rows")


@dataclass(frozen=True, kw_only=True)
class CloneConfig:
    """A student: the teacher's network around an adapted tokenizer."""

    teacher: ModelSource
    tokenizer: ModelSource
    # Widths the teacher was trained at, full width first.
    matryoshka_dims: tuple[int, ...]
    # Longest text of the student, in tokens.
    max_length: int
    # Text on which the untrained student is compared with the teacher.
    heldout: CorpusConfig
    # What the rows of new tokens are composed to.
    initialization: Literal["mean", "scaled_mean", "weighted_mean", "random"] = "mean"
    # Stretch the positions of Gemma's layers with full attention to `max_length`.
    yarn: bool = False

    def __post_init__(self) -> None:
        """Check the number."""
        check_range(self, "at least 1", "max_length")


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """Teacher vectors of a corpus, written once."""

    teacher: ModelSource
    # Texts are cut to this many teacher tokens, for the student as well.
    max_length: int
    # Most tokens of one forward pass, padding included.
    batch_tokens: int
    # Rows of one Parquet shard, the unit that is redone after a crash.
    shard_rows: int
    # What is embedded: the folder of the step `corpus`, whose splits stay as they are, or text that is read here.
    texts: DataSource | None = None
    corpus: CorpusConfig | None = None
    # Of `corpus`: texts of each language that are kept from training, in splits of their own.
    validation_rows: int = 0
    test_rows: int = 0
    # Lets `max_length` go beyond the window that the teacher was trained with.
    extend_window: bool = False
    # Stores what the teacher's heads are given as well, for `distill.pre_dense_weight`.
    pre_dense: bool = False
    # Name of one of the teacher's prompts, or none.
    prompt: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    # `flash_attention_2` leaves out padding altogether; it needs a GPU and its kernels.
    attention: Literal["sdpa", "flash_attention_2"] = "sdpa"
    # Compiles the teacher's network first, once a process, which pays from some minutes of work on. After a crash the
    # vectors are then the same to rounding, not to the byte: what is compiled depends on the batches that come first.
    compile: bool = False

    def __post_init__(self) -> None:
        """Check the numbers, and that the texts come from one place, which decides on their splits."""
        check_range(self, "at least 1", "max_length", "batch_tokens", "shard_rows")
        check_range(self, "at least 0", "validation_rows", "test_rows")
        if (self.texts is None) == (self.corpus is None):
            raise ValueError("`embed` needs one of `texts` and `corpus`, not both.")
        if self.texts is not None and (self.validation_rows or self.test_rows):
            raise ValueError("`validation_rows` and `test_rows` of `texts` belong to the section `corpus`.")


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Train a student towards stored teacher vectors by cosine."""

    student: ModelSource
    vectors: DataSource
    matryoshka_dims: tuple[int, ...]
    epochs: int
    # Texts of one optimizer step, over all processes.
    batch_size: int
    # Most tokens of one forward pass of one process, padding included; gradients of several are added up.
    batch_tokens: int
    learning_rate: float
    # Share of the steps in which the learning rate rises from zero; it then falls linearly to zero.
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    max_length: int
    # Learning rate of the embedding table, whose rows are rarely touched; None for `learning_rate`.
    embedding_learning_rate: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    # Optimizer steps between checkpoints; before each the student is compared with the teacher on the split for
    # validation, where there is one, and with the grades of `sts`.
    checkpoint_steps: int = 1000
    sts: DatasetConfig | None = None
    # Which weights to keep: those of the last step, or those with the highest mean cosine on the split for validation.
    # Where there is one, the others lie beside as a model without a record, in `distill-best` or `distill-last`.
    keep: Literal["last", "best"] = "last"
    # Weight of the cosine before the dense heads; needs vectors with `pre_dense`.
    pre_dense_weight: float = 0.0
    # Weight of the squared difference of all cosines within a forward pass.
    similarity_weight: float = 0.0
    # Share of the steps, at the beginning, in which only the rows of new tokens are trained; `id_map` names the folder
    # of the tokenizer step, which knows them.
    new_rows_ratio: float = 0.0
    id_map: DataSource | None = None

    def __post_init__(self) -> None:
        """Check the numbers, and that what belongs together is given together."""
        check_range(self, "at least 1", "epochs", "batch_size", "batch_tokens", "max_length", "checkpoint_steps")
        # Gradients are cut to `max_grad_norm`, so that with 0 nothing would move.
        check_range(self, "more than 0", "learning_rate", "embedding_learning_rate", "max_grad_norm")
        check_range(self, "at least 0", "weight_decay", "pre_dense_weight", "similarity_weight")
        check_range(self, "a share from 0 to 1", "warmup_ratio", "new_rows_ratio")
        if (self.new_rows_ratio > 0) != (self.id_map is not None):
            raise ValueError("`new_rows_ratio` and `id_map` go together; one of them is missing.")
