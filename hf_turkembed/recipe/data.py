"""The text and labelled data that sections of a recipe read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hf_turkembed.recipe.ranges import check_range
from hf_turkembed.recipe.sources import DataSource


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
        check_range(self, "at least 1, or null for all", "rows", "only_last")
        check_range(self, "at least 1", "rows_by_language")
        check_range(self, "at least 0", "skip_rows", "skip_rows_by_language", "skip_last")


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """Labelled text: a local .csv, .tsv or .jsonl file, or one split of a Hub dataset."""

    source: DataSource
    config: str | None = None
    split: str | None = None
    # The columns of the file or dataset, in our order: anchor, positive, negative; or sentence1, sentence2, score;
    # or sentence1, sentence2, label; or the two sentences of a bitext; or text and label.
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

    def __post_init__(self) -> None:
        """Check the names of columns and the scale."""
        if repeated := [name for name in self.columns if self.columns.count(name) > 1]:
            raise ValueError(f"`columns` names {repeated[0]!r} twice in {list(self.columns)}; expected each once.")
        if self.highest_score <= 0:
            raise ValueError(f"`highest_score` is {self.highest_score:g}, expected a score above 0.")
        check_range(self, "at least 1, or null for all", "rows")
