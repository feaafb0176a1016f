"""What a score step finds beside scores: a profile of the widths, how far into a text a model reads, diagnostics."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Quantization = Literal["float32", "int8", "binary"]
Surroundings = Literal["none", "shared", "own"]


@dataclass(frozen=True, kw_only=True)
class ProfilePoint:
    """The main metric of a suite at one width and with one form of storage."""

    model: str
    suite: str
    metric: str
    truncate_dim: int
    quantization: Quantization
    # Finite; None where the metric is undefined.
    value: float | None
    interval: tuple[float, float] | None
    # Made-up text, see `ScoreDataset.synthetic`.
    synthetic: bool

    def __post_init__(self) -> None:
        """Refuse NaN."""
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"the profile of `{self.model}` on `{self.suite}` holds {self.value!r}.")


@dataclass(frozen=True, kw_only=True)
class SearchCost:
    """What exact search costs at one width and with one form of storage, whatever the model."""

    truncate_dim: int
    quantization: Quantization
    # Median milliseconds of one query on one thread, among so many vectors.
    search_ms: float
    vectors: int
    # Processes that wanted a processor meanwhile, on average: times taken on a busy machine are too long.
    load: float


def bytes_per_vector(dim: int, quantization: Quantization) -> int:
    """Return what one stored vector takes; a million take as many megabytes, and a binary one fills whole bytes."""
    return {"float32": 4 * dim, "int8": dim, "binary": (dim + 7) // 8}[quantization]


@dataclass(frozen=True, kw_only=True)
class LongTextPoint:
    """How often a model finds the document whose end answers a query, among documents of one length."""

    model: str
    # Most tokens of a document in any of the models' tokenizers; 0 for its deciding text alone.
    length: int
    # What stands before the deciding text: nothing, the same in all documents that compete, or other text in each.
    surroundings: Surroundings
    # Share of the queries, ties counted as chance would decide them; chance is 1 / candidates.
    accuracy: float
    interval: tuple[float, float] | None
    queries: int
    candidates: int
    # First token of the deciding text in this model's tokenizer, the smallest over all documents.
    decided_from: int
    # The model cuts texts after so many tokens; None for no limit.
    max_length: int | None
    synthetic: bool


@dataclass(frozen=True, kw_only=True)
class DiagnosticKind:
    """What a diagnostic measures, and from where on it warns."""

    threshold: float
    # What the value is, and what it means where it lies above the threshold.
    measures: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One sign of failure, looked for in one model."""

    # A key of `DIAGNOSTICS`.
    name: str
    model: str
    # None where it is about the model's vectors, whatever the suite.
    suite: str | None
    # The value as found, or None where it could not be, and then `missing` says why.
    value: float | None
    # Of the value, where it is a difference of scores.
    interval: tuple[float, float] | None = None
    threshold: float
    # Where it was seen, such as the widths; empty where there is nothing to add.
    detail: str = ""
    missing: str | None = None

    def __post_init__(self) -> None:
        """Refuse NaN, names that mean nothing, and half-missing values."""
        where = f"diagnostic `{self.name}` of `{self.model}`"
        if self.name not in DIAGNOSTICS:
            raise ValueError(f"there is no {where}; the diagnostics are {', '.join(DIAGNOSTICS)}.")
        if (self.value is None) == (self.missing is None):
            raise ValueError(f"{where} needs either a value or the reason why it is missing, not both or neither.")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{where} is {self.value!r}; it has to be finite or explicitly missing.")

    @property
    def flagged(self) -> bool:
        """Tell whether it warns: above its threshold, and where it has an interval, above zero beyond doubt."""
        if self.value is None or self.value <= self.threshold:
            return False
        return self.interval is None or self.interval[0] > 0

    def describe(self) -> str:
        """Say in one line what was found and what it means."""
        of = f"`{self.name}` of `{self.model}`" + ("" if self.suite is None else f" on `{self.suite}`")
        if self.value is None:
            return f"{of} is missing: {self.missing}"
        detail = f" ({self.detail})" if self.detail else ""
        meaning = f": {DIAGNOSTICS[self.name].meaning}" if self.flagged else ""
        return f"{of} is {self.value:.4f}{detail}, threshold {self.threshold:g}{meaning}"


DIAGNOSTICS: Mapping[str, DiagnosticKind] = {
    # Among thousands of rows the interval leaves out zero for harmless drops too: less than a point is no warning.
    "forgetting": DiagnosticKind(
        threshold=0.01,
        measures="score of the model it was trained from, minus its own",
        meaning="training took away what the model before it could do",
    ),
    # Less than half a point is no reason to change anything, however sure it is.
    "narrow_beats_wide": DiagnosticKind(
        threshold=0.005,
        measures=(
            "score at a narrower width minus score at a wider one, the worst of all pairs of widths, with an interval "
            "for all of them together"
        ),
        meaning="the further dimensions do harm; the widths were not trained together, or not long enough",
    ),
    # Of two normal variables Pearson exceeds Spearman by 0.018 at most; what is beyond that is a bent relation.
    "correlation_gap": DiagnosticKind(
        threshold=0.05,
        measures="difference of Pearson's and Spearman's correlation, either way",
        meaning="similarities rank pairs well but are not in proportion to the grades, or a few pairs lie far off; "
        "a threshold on similarity will not carry over",
    ),
    # 0 where directions are spread evenly. Beyond one half, most of any similarity is what all texts share, and
    # thresholds that suit other models fail.
    "anisotropy": DiagnosticKind(
        threshold=0.5,
        measures="mean cosine of two different texts",
        meaning="all texts point the same way; similarities are bunched near one and need a threshold of their own",
    ),
    # An encoder that works tells any two sentences apart; one text in a thousand leaves room for odd characters.
    "unusable_vectors": DiagnosticKind(
        threshold=0.001,
        measures="share of texts whose vector is zero, not finite, or the same as that of a different text",
        meaning="texts are cut before they differ, made of unknown tokens, or the network has collapsed",
    ),
    # 0 where case is ignored, 1 where a text in capitals is as far from itself as from any other text. From one half
    # on, other texts begin to lie nearer than the text itself.
    "turkish_capitals": DiagnosticKind(
        threshold=0.5,
        measures="distance of a text from itself in Turkish capitals (i to İ, ı to I), unrelated texts being at 1",
        meaning="headlines and other text in capitals will not be found",
    ),
    # The same scale: the letters are few, so that the distance should be far smaller still.
    "dotless_i": DiagnosticKind(
        threshold=0.5,
        measures="distance of a text from itself with i for ı and I for İ, unrelated texts being at 1",
        meaning="text from keyboards or programs that know no Turkish letters will not be found",
    ),
    # The same scale and as few letters: `İstanbul` becomes `i̇stanbul`, with a dot of its own, and `Irmak` `irmak`.
    "english_small_letters": DiagnosticKind(
        threshold=0.5,
        measures="distance of a text in Turkish small letters (I to ı, İ to i) from itself in English ones (I to i, "
        "İ to i and a loose dot), unrelated texts being at 1",
        meaning="text that programs made small without the rules of Turkish, as most do, will not be found",
    ),
    # At 0.5 a quarter of how texts rank in similarity to all others is their length.
    "length_bias": DiagnosticKind(
        threshold=0.5,
        measures="rank correlation of a text's length with its mean cosine to all other texts, either way",
        meaning="search favours texts for how long they are",
    ),
    # A text alone gives no row away, but was fitted: with one in twenty, a pair in ten holds one.
    "leaked_texts": DiagnosticKind(
        threshold=0.05,
        measures="share of a suite's distinct texts that stand in the data it was fine-tuned on",
        meaning="the suite's score is in part a score on training text",
    ),
    # A row that was learnt by heart is at best right: one in a hundred moves an accuracy by a point, which is less
    # than the interval of a suite of some thousand rows.
    "leaked_rows": DiagnosticKind(
        threshold=0.01,
        measures="share of a suite's rows all of whose texts stand together in one row it was fine-tuned on",
        meaning="the suite's score is in part a score on training rows; take them out",
    ),
    # No label was seen, only the teacher's vector: the share from which a text alone is held to weigh.
    "distilled_texts": DiagnosticKind(
        threshold=0.05,
        measures="share of a suite's distinct texts whose vectors it learnt from its teacher",
        meaning="how near it comes to the teacher on the suite is in part learnt by heart",
    ),
}
