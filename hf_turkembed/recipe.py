"""Recipes: YAML read strictly into frozen dataclasses, one per step."""

import dataclasses
import os
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NewType

import yaml

from hf_turkembed.scores import Requirement
from hf_turkembed.strict_yaml import build, strip_optional

# A Hub id with an optional revision (`org/name`, `org/name@sha`), or a local path, which begins with
# `{output_dir}`, `{data_root}`, `.`, `/` or `~`. The two types differ in the kind of Hub repo they name.
ModelSource = NewType("ModelSource", str)
DataSource = NewType("DataSource", str)

_PATH_STARTS = ("{output_dir}", "{data_root}", ".", "/", "~")


@dataclass(frozen=True, kw_only=True)
class TextTableConfig:
    """One column of .tsv or .jsonl files."""

    # Folder of the files.
    source: DataSource
    # Names of the files, with * for any text; {language} stands for the code of each language of the corpus.
    files: str
    # Name in the header line or key of the rows; in a .tsv file without a header the number of the column, from 1.
    column: str
    # Language of the text, where the names do not say.
    language: str | None = None
    # Of parallel text: the column that the teacher embeds in place of this one, such as its English translation.
    teacher_column: str | None = None

    def __post_init__(self) -> None:
        """Check that the language is known from one place."""
        if ("{language}" in self.files) == (self.language is not None):
            raise ValueError(
                f"the language of {self.files!r} has to stand in its name as {{language}}, or in `language`."
            )


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Plain text in many languages: folders of `xx.txt` or `xx/*.txt`, columns of tables, a Hub dataset, or all."""

    # ISO 639 codes, in the order in which they are read.
    languages: tuple[str, ...]
    folders: tuple[DataSource, ...] = ()
    # More files of one language each.
    files: Mapping[str, tuple[DataSource, ...]] = field(default_factory=dict)
    tables: tuple[TextTableConfig, ...] = ()
    # Hub dataset with one config per language, streamed and shuffled.
    dataset: DataSource | None = None
    # Config name of a language in `dataset`.
    dataset_config: str = "{language}"
    text_column: str = "text"
    # Of parallel text: the column that the teacher embeds in place of that one.
    teacher_column: str | None = None
    # Rows of the shuffled dataset that are passed over first.
    skip_rows: int = 0
    skip_rows_by_language: Mapping[str, int] = field(default_factory=dict)
    # Most rows of a language, unless `rows_by_language` names it; None for all.
    rows: int | None = None
    rows_by_language: Mapping[str, int] = field(default_factory=dict)
    # Lines at the end of every file of `folders` that are left out, or the only ones that are read: with the same
    # number, the two cut a file into a part for training and a part held out. `files` and `tables` are read whole.
    skip_last: int = 0
    only_last: int | None = None

    @property
    def is_parallel(self) -> bool:
        """Tell whether some of the text has a text that a teacher embeds in place of it."""
        return self.teacher_column is not None or any(table.teacher_column is not None for table in self.tables)

    def __post_init__(self) -> None:
        """Check what needs no files."""
        if not (self.folders or self.files or self.tables or self.dataset):
            raise ValueError("a corpus needs `folders`, `files`, `tables` or `dataset`; none is given.")
        by_language = {
            "files": self.files,
            "tables": {table.language: table for table in self.tables if table.language is not None},
            "rows_by_language": self.rows_by_language,
            "skip_rows_by_language": self.skip_rows_by_language,
        }
        for name, keys in by_language.items():
            if stray := sorted(set(keys) - set(self.languages)):
                raise ValueError(f"`{name}` names {stray}, which `languages` does not; add them there.")


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """Labelled text: a local .tsv or .jsonl file, or one split of a Hub dataset."""

    source: DataSource
    config: str | None = None
    split: str | None = None
    # The columns of the file or dataset, in our order: anchor, positive, negative; or sentence1, sentence2, score;
    # or sentence1, sentence2, label; or the two sentences of a bitext.
    columns: tuple[str, ...]
    # 1 or 0 for each label that counts, such as entailment: 1, contradiction: 0; rows with others are left out.
    labels: Mapping[str, int] = field(default_factory=dict)
    # The score that means "same meaning"; scores are divided by it.
    highest_score: float = 5.0
    # Number of rows that the data must have, where it is known; None for any.
    expected_rows: int | None = None
    # Use the first rows only; None for all.
    rows: int | None = None
    # True for text that a program made up: scores on it never enter `model-index`.
    synthetic: bool = False


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


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """Teacher vectors of a corpus, written once."""

    teacher: ModelSource
    corpus: CorpusConfig
    # Texts are cut to this many teacher tokens, for the student as well.
    max_length: int
    # Most tokens of one forward pass, padding included.
    batch_tokens: int
    # Rows of one Parquet shard, the unit that is redone after a crash.
    shard_rows: int
    # Texts of each language that are kept from training, in splits of their own.
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
        """Check that what belongs together is given together."""
        if (self.new_rows_ratio > 0) != (self.id_map is not None):
            raise ValueError("`new_rows_ratio` and `id_map` go together; one of them is missing.")


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

    def __post_init__(self) -> None:
        """Check that only models and suites of this recipe are named."""
        named = [*(role for roles in self.seeds.values() for role in roles)]
        named += [role for entry in self.require for role in (entry.model, entry.at_least) if role is not None]
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


@dataclass(frozen=True, kw_only=True)
class RepoConfig:
    """One folder to publish, and where."""

    folder: ModelSource
    repo_id: str


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """What is published, and to where: the local outbox, or the Hub."""

    repos: Mapping[str, RepoConfig]
    # Folder of the score step whose scores.json the cards quote.
    scores: ModelSource
    # Hub licence id, as the teacher's terms demand.
    license: str
    languages: tuple[str, ...]
    target: Literal["outbox", "hub"] = "outbox"
    outbox: str = "outbox"
    private: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run: what every step of it needs."""

    output_dir: str
    seed: int
    # Steps that `recipes/pipeline.py` runs, in order.
    steps: tuple[str, ...]
    # accelerate_configs/<topology>.yaml, for the steps that use the process group.
    topology: str = "cpu"
    # Root of local data that sources name as `{data_root}`.
    data_root: str | None = None
    # US dollars an hour of this machine, for the cost in the records.
    price_per_hour: float | None = None
    sandbox: SandboxConfig | None = None
    tokenizer: TokenizerConfig | None = None
    clone: CloneConfig | None = None
    embed: EmbedConfig | None = None
    distill: DistillConfig | None = None
    finetune: FinetuneConfig | None = None
    score: ScoreConfig | None = None
    publish: PublishConfig | None = None

    def __post_init__(self) -> None:
        """Check that every listed step has its section."""
        for step in self.steps:
            if step not in STEPS:
                raise ValueError(f"`steps` names {step!r}; the steps are {', '.join(STEPS)}.")
            if getattr(self, step) is None:
                raise ValueError(f"`steps` names {step!r}, but the recipe has no section `{step}`; add one.")
        if self.data_root is None and any("{data_root}" in source for _, source in find_sources(self)):
            raise ValueError("the recipe reads local data: say where it lies with `data_root=DIR`.")


STEPS = ("sandbox", "tokenizer", "clone", "embed", "distill", "finetune", "score", "publish")


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply `section.key=value` overrides, whose values are YAML.

    Args:
        path: A YAML file.
        overrides: Strings such as `distill.learning_rate=1.0e-4`.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If the YAML is invalid, a key is unknown or missing, a value has the wrong type, or sections
            contradict each other; the message names file and key.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe; the ones that come with the project are under recipes/.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}, expected a mapping of keys and sections.")
    for override in overrides:
        _apply_override(content, override)
    recipe: Recipe = build(Recipe, content, str(path))
    return recipe


def section_of(recipe: Recipe, step: str) -> Any:
    """Return the recipe's section for `step`.

    Raises:
        ValueError: If the recipe has none.
    """
    section = getattr(recipe, step)
    if section is None:
        raise ValueError(f"the recipe has no section `{step}`, which this step reads; add one.")
    return section


def is_local(source: str) -> bool:
    """Tell whether a source is a local path rather than a Hub id."""
    return source.startswith(_PATH_STARTS)


def local_path(recipe: Recipe, source: str) -> Path:
    """Return the path that a local source names, relative ones as seen from the working directory.

    Raises:
        ValueError: If the source names `{data_root}` and the recipe has none.
    """
    if "{data_root}" in source and recipe.data_root is None:
        raise ValueError(f"{source!r} needs `data_root=DIR`.")
    filled = source.replace("{output_dir}", recipe.output_dir).replace("{data_root}", recipe.data_root or "")
    return Path(os.path.normpath(os.path.expanduser(filled)))


def split_revision(source: str) -> tuple[str, str | None]:
    """Split a Hub source `org/name@revision` into id and revision."""
    repo_id, _, revision = source.partition("@")
    return repo_id, revision or None


def locate(recipe: Recipe, source: str) -> str:
    """Return what `from_pretrained` and `load_dataset` take: a local path, or a Hub id without its revision."""
    return str(local_path(recipe, source)) if is_local(source) else split_revision(source)[0]


def portable_name(source: str) -> str:
    """Return a source as records hold it: no absolute path, no home, nothing of one machine."""
    if is_local(source) and source.startswith(("/", "~", ".")):
        return Path(source).name
    return source


def portable_section(section: Any) -> Any:
    """Return a section as plain data, its sources in portable form."""
    if dataclasses.is_dataclass(section) and not isinstance(section, type):
        return {f.name: portable_section(getattr(section, f.name)) for f in dataclasses.fields(section)}
    if isinstance(section, Mapping):
        return {key: portable_section(value) for key, value in section.items()}
    if isinstance(section, tuple):
        return [portable_section(value) for value in section]
    return portable_name(section) if isinstance(section, str) else section


def find_sources(section: Any, role: str = "") -> Iterator[tuple[str, str]]:
    """Yield (role, source) for every ModelSource and DataSource below a section, roles as dotted keys."""
    for name, kind, value in _typed_fields(section):
        yield from _sources_in(value, kind, f"{role}.{name}".lstrip("."))


def source_kind(section: Any, role: str) -> Literal["model", "dataset"]:
    """Tell which kind of Hub repo the source at a dotted `role` names."""
    head, _, rest = role.partition(".")
    for name, kind, value in _typed_fields(section):
        if name == head:
            while rest and not dataclasses.is_dataclass(value):
                head, _, rest = rest.partition(".")
                kind = [k for k in typing.get_args(strip_optional(kind)) if k is not Ellipsis][-1]
                value = value[head] if isinstance(value, Mapping) else value[int(head)]
            if rest:
                return source_kind(value, rest)
            return "dataset" if strip_optional(kind) is DataSource else "model"
    raise KeyError(role)


def _typed_fields(section: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, resolved type and value of a dataclass's fields."""
    hints = typing.get_type_hints(type(section))
    for entry in dataclasses.fields(section):
        yield entry.name, hints[entry.name], getattr(section, entry.name)


def _sources_in(value: Any, kind: Any, role: str) -> Iterator[tuple[str, str]]:
    """Yield the sources in one field."""
    kind = strip_optional(kind)
    if value is None:
        return
    if kind in (ModelSource, DataSource):
        yield role, value
    elif dataclasses.is_dataclass(value):
        yield from find_sources(value, role)
    elif isinstance(value, Mapping) and typing.get_args(kind):
        for key, item in value.items():
            yield from _sources_in(item, typing.get_args(kind)[1], f"{role}.{key}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _sources_in(item, typing.get_args(kind)[0], f"{role}.{index}")


def _apply_override(content: dict[str, Any], override: str) -> None:
    """Set one dotted key of the raw recipe; the key itself is checked when the recipe is built."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ValueError(f"override {override!r} is not of the form section.key=value.")
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise ValueError(f"override {override!r}: `{parent}` is not a section.")
    try:
        # YAML would read the brace as the start of a mapping.
        content[last] = text if text.startswith(("{output_dir}", "{data_root}")) else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"override {override!r}: the value is not valid YAML: {error}") from error
