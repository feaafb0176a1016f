"""How far into a text a model reads: documents that one sentence in their last third tells apart, and queries for it.

A document of a given length is made of real sentences, and holds its deciding text, the answer to one query, in its
last third, over which the places are spread, so that reading beginnings and ends is not enough. In `shared`
surroundings the documents that compete for a query are the same but for that text, so that a model which cuts them
before it has nothing to go by and answers as chance does. In `own` surroundings each has other sentences, as in a
search among real documents. The query's answer alone, without a document around it, says what there is to lose.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from hf_turkembed.findings import LongTextPoint, Surroundings
from hf_turkembed.scores import Resampling
from hf_turkembed.scoring import metrics
from hf_turkembed.scoring.resampling import MEAN, Sample, bootstrap, percentile_interval
from hf_turkembed.scoring.suites import encode_texts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from hf_turkembed.scoring.scoring import ScoredModel

logger = logging.getLogger(__name__)

# Tokens of one forward pass, long documents coming few at a time.
_BATCH_TOKENS = 16384
# Share of a document's tokens that stand before its deciding text, at least.
_EARLIEST = 2 / 3
# Tokens that a tokenizer may put around a text or between two sentences.
_SPARE_TOKENS = 8
# The same tokens give the same vector but for rounding, wherever they stand in a batch.
_TIE = 1e-6
# Texts to their numbers of tokens.
Count = Callable[[Sequence[str]], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class LongTextProbe:
    """The material of the probe."""

    # Each query with the text that answers it; as many as a multiple of `candidates`.
    queries: Sequence[str]
    answers: Sequence[str]
    # Sentences that documents are made of.
    sentences: Sequence[str]
    # Most tokens of a document.
    lengths: Sequence[int]
    # Documents that compete for a query; chance finds the right one in 1 of so many.
    candidates: int
    seed: int
    # Made-up text.
    synthetic: bool

    def __post_init__(self) -> None:
        """Check that queries come in whole groups."""
        if self.candidates < 2 or not self.queries or len(self.queries) % self.candidates:
            raise ValueError(
                f"{len(self.queries)} queries do not make groups of {self.candidates}, of which there have to be at "
                "least two each; take a multiple."
            )


@dataclass(frozen=True, kw_only=True)
class _Documents:
    """Documents of one length and kind."""

    length: int
    surroundings: Surroundings
    # What stands before the deciding text, one for each query.
    openings: list[str]
    texts: list[str]


def probe_long_text(
    models: Sequence["ScoredModel"], probe: LongTextProbe, accelerator: Accelerator, resampling: Resampling
) -> tuple[LongTextPoint, ...]:
    """Ask every model for the documents that hold the answers to queries.

    Documents are the same for all models, none longer than it should be in any model's tokenizer.

    Args:
        models: The models.
        probe: Queries, answers, sentences and lengths.
        accelerator: Each process encodes its share; all of them return the same.
        resampling: How intervals over the queries are computed.

    Raises:
        ValueError: If the sentences do not fill the longest document, or a length leaves no room for the answers.
    """
    counts = [_counter(model.load()) for model in models]
    documents = build_documents(probe, counts)
    points = []
    for model, count in zip(models, counts, strict=True):
        encoder = model.load()
        queries = encode_texts(encoder, probe.queries, None, 128, accelerator)
        for group in documents:
            logger.info("long text: %s, %d tokens, %s surroundings", model.role, group.length, group.surroundings)
            batch = max(1, _BATCH_TOKENS // max(group.length, 128))
            found = encode_texts(encoder, group.texts, None, batch, accelerator)
            right = find_answers(queries, found, probe.candidates)
            drawn = bootstrap(
                [Sample(statistic=MEAN, values=right, targets=np.zeros_like(right))],
                resampling.resamples,
                resampling.seed,
            )[0]
            points.append(
                LongTextPoint(
                    model=model.role,
                    length=group.length,
                    surroundings=group.surroundings,
                    accuracy=float(right.mean()),
                    interval=percentile_interval(drawn, resampling.confidence),
                    queries=len(right),
                    candidates=probe.candidates,
                    decided_from=int(count(group.openings).min()) if group.length else 0,
                    max_length=encoder.max_seq_length,
                    synthetic=probe.synthetic,
                )
            )
    return tuple(points)


def find_answers(queries: NDArray[np.float32], documents: NDArray[np.float32], candidates: int) -> NDArray[np.float64]:
    """Tell for each query whether its document is the nearest of its group.

    Args:
        queries: `(queries, dim)`, of any norm.
        documents: The same shape; row i answers query i, and groups are runs of `candidates` rows.
        candidates: Documents that compete for a query.

    Returns:
        `(queries,)`: 1 where it is, 1 / k where it is one of the k nearest, 0 where another is nearer.
    """
    groups = (
        metrics.normalise(side).astype(np.float64).reshape(-1, candidates, side.shape[1])
        for side in (queries, documents)
    )
    cosines = np.einsum("gqd,gcd->gqc", *groups)
    nearest = cosines >= cosines.max(axis=2, keepdims=True) - _TIE
    own = np.einsum("gqq->gq", nearest)
    found: NDArray[np.float64] = (own / nearest.sum(axis=2)).ravel()
    return found


def build_documents(probe: LongTextProbe, counts: Sequence[Count]) -> list[_Documents]:
    """Make the documents of all lengths, after the answers alone.

    Args:
        probe: Queries, answers, sentences and lengths.
        counts: For each tokenizer, texts to their numbers of tokens.

    Raises:
        ValueError: If the sentences do not fill the longest document, or a length leaves no room for the answers.
    """
    generator = np.random.default_rng(probe.seed)
    tokens = np.max([count(probe.sentences) for count in counts], axis=0)
    room = max(int(count(probe.answers).max()) for count in counts) + _SPARE_TOKENS
    groups = len(probe.queries) // probe.candidates
    built = [_Documents(length=0, surroundings="none", openings=[], texts=list(probe.answers))]
    for length in probe.lengths:
        fill = partial(_fill, probe, tokens, length - room, counts, generator)
        halves = {
            "shared": [parts for parts in map(fill, _places(groups)) for _ in range(probe.candidates)],
            "own": [fill(place) for place in _places(len(probe.queries))],
        }
        for surroundings in ("shared", "own"):
            parts = zip(halves[surroundings], probe.answers, strict=True)
            texts = [f"{opening} {answer} {closing}".rstrip() for (opening, closing), answer in parts]
            openings = [opening for opening, _ in halves[surroundings]]
            built.append(_Documents(length=length, surroundings=surroundings, openings=openings, texts=texts))
    return built


def _places(number: int) -> list[float]:
    """Spread so many deciding texts evenly over the last third, as shares of the tokens before them."""
    return [_EARLIEST + (1 - _EARLIEST) * (row + 0.5) / number for row in range(number)]


def _fill(
    probe: LongTextProbe,
    tokens: NDArray[np.int64],
    room: int,
    counts: Sequence[Count],
    generator: np.random.Generator,
    place: float,
) -> tuple[str, str]:
    """Join sentences, in an order of their own, up to a number of tokens in the tokenizer that needs most.

    Returns:
        What comes before a place, given as the share of tokens before it, and what comes after.
    """
    order = generator.permutation(np.flatnonzero(tokens <= room))
    used = int(np.searchsorted(np.cumsum(tokens[order]), room, side="right"))
    if used == 0:
        raise ValueError(f"a document has room for {room} tokens around its answer; ask for longer ones.")
    if used == len(order):
        raise ValueError(
            f"{len(order):,} sentences of {int(tokens.sum()):,} tokens do not fill a document of {room:,}; give more."
        )
    # Joined, sentences may take a token more or less than one by one.
    while True:
        sentences = [probe.sentences[row] for row in order[:used]]
        if max(int(count([" ".join(sentences)])[0]) for count in counts) <= room:
            before = np.cumsum(tokens[order[:used]])
            middle = int(np.searchsorted(before, place * before[-1])) + 1
            return " ".join(sentences[:middle]), " ".join(sentences[middle:])
        used -= 1


def _counter(encoder: "SentenceTransformer") -> Count:
    """Return what counts tokens as a model does, however long the text."""
    tokenizer = encoder.tokenizer

    def count(texts: Sequence[str]) -> NDArray[np.int64]:
        encoded = tokenizer(list(texts), truncation=False, add_special_tokens=False, verbose=False)
        return np.array([len(ids) for ids in encoded["input_ids"]], dtype=np.int64)

    return count
