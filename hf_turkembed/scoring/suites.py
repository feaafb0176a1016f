"""Held-out data, and what a model makes of it: each distinct text encoded once, every width from that one pass."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from hf_turkembed.scores import ScoreDataset
from hf_turkembed.scoring import metrics
from hf_turkembed.scoring.resampling import AVERAGE_PRECISION, MEAN, PEARSON, SPEARMAN, Sample

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SuiteKind = Literal["sts", "triplets", "pairs", "bitext", "retrieval"]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One held-out dataset, read."""

    name: str
    kind: SuiteKind
    # Columns as the readers of `corpus` return them.
    table: Mapping[str, Sequence[Any]]
    dataset: ScoreDataset
    # Name of one of the model's prompts, or none.
    prompt: str | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How suites of one kind are measured."""

    # Task type, see `Score.task`.
    task: str
    # Columns of the table that hold text.
    text_columns: tuple[str, ...]
    # (embeddings of each text column, table) -> the rows behind each metric; embeddings are `(rows, dim)`.
    samples: Callable[[Sequence[NDArray[np.float32]], Mapping[str, Sequence[Any]]], dict[str, Sample]]
    # Names of the metrics, the main one first.
    metrics: tuple[str, ...]


def encode_suites(
    model: "SentenceTransformer", suites: Sequence[Suite], accelerator: Accelerator, batch_size: int
) -> list[list[NDArray[np.float32]]]:
    """Encode each distinct text of all suites once for each prompt, at full width.

    Args:
        model: Gives embeddings of `(texts, embedding_dim)`.
        suites: The held-out data.
        accelerator: Each process encodes its share; all of them return the same.
        batch_size: Texts of one forward pass.

    Returns:
        For each suite and each of its text columns `(rows, embedding_dim)`, as the model gives them.

    Raises:
        ValueError: If the model has no such prompt, or the embedding of a text is zero or not finite.
    """
    for suite in suites:
        if suite.prompt is not None and suite.prompt not in model.prompts:
            raise ValueError(
                f"suite `{suite.name}` asks for the prompt {suite.prompt!r}; the model has "
                f"{', '.join(model.prompts) or 'none'}."
            )
    encoded: dict[str | None, tuple[dict[str, int], NDArray[np.float32]]] = {}
    for prompt in dict.fromkeys(suite.prompt for suite in suites):
        columns = [column for suite in suites if suite.prompt == prompt for column in text_columns(suite)]
        texts = sorted({text for column in columns for text in column})
        embeddings = encode_texts(model, texts, prompt, batch_size, accelerator)
        encoded[prompt] = {text: row for row, text in enumerate(texts)}, embeddings
    found = []
    for suite in suites:
        row_of, embeddings = encoded[suite.prompt]
        found.append([embeddings[[row_of[text] for text in column]] for column in text_columns(suite)])
    return found


def measure_suite(suite: Suite, embeddings: Sequence[NDArray[np.float32]], dim: int) -> dict[str, Sample]:
    """Reduce a suite to the rows behind each of its metrics, at one width.

    Args:
        suite: The held-out data.
        embeddings: What `encode_suites` gave for it.
        dim: Width, at most that of the embeddings.

    Raises:
        ValueError: If the width is wider than the embeddings, or a truncated embedding is zero.
    """
    return KINDS[suite.kind].samples([metrics.first_dims(column, dim) for column in embeddings], suite.table)


def encode_texts(
    model: "SentenceTransformer", texts: Sequence[str], prompt: str | None, batch_size: int, accelerator: Accelerator
) -> NDArray[np.float32]:
    """Encode texts, each process its share; every process gets all of them.

    Args:
        model: Gives embeddings of `(texts, embedding_dim)`.
        texts: Any texts.
        prompt: Name of one of the model's prompts; None for none, not even its default one.
        batch_size: Texts of one forward pass.
        accelerator: The process group.

    Returns:
        `(len(texts), embedding_dim)`.

    Raises:
        ValueError: If the embedding of a text is not finite.
    """
    from accelerate.utils import gather_object

    # By length, so that every process has as much work and batches need little padding.
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    share = order[accelerator.process_index :: accelerator.num_processes]
    encoded = model.encode(
        [texts[row] for row in share],
        # An empty prompt, as None would mean the model's default one.
        prompt="" if prompt is None else model.prompts[prompt],
        batch_size=batch_size,
        convert_to_numpy=True,
        show_progress_bar=accelerator.is_main_process and sys.stderr.isatty(),
    )
    gathered = gather_object([(share, np.asarray(encoded, dtype=np.float32))])
    # A process without a share has vectors without a width.
    result = np.empty((len(texts), max(vectors.shape[-1] for _, vectors in gathered)), dtype=np.float32)
    for positions, vectors in gathered:
        if positions:
            result[positions] = vectors
    _check_embeddings(result, texts)
    return result


def text_columns(suite: Suite) -> list[Sequence[str]]:
    """Return the columns of a suite that hold text."""
    return [suite.table[column] for column in KINDS[suite.kind].text_columns]


def pooling_mode(model: "SentenceTransformer") -> str:
    """Return the name of a model's pooling, for the record."""
    modes = [module.pooling_mode for module in model if hasattr(module, "pooling_mode")]
    return str(modes[0]) if modes else "none"


def _check_embeddings(embeddings: NDArray[np.float32], texts: Sequence[str]) -> None:
    """Raise, naming a text, unless every embedding is finite."""
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if bad.size:
        raise ValueError(
            f"the model gave {bad.size} of {len(texts)} texts an embedding that is not finite, the first is "
            f"{texts[bad[0]][:60]!r}."
        )


def _sts_samples(embeddings: Sequence[NDArray[np.float32]], table: Mapping[str, Sequence[Any]]) -> dict[str, Sample]:
    """Correlate cosine similarity with graded scores."""
    values = metrics.similarities(embeddings[0], embeddings[1], "cosine")
    targets = np.asarray(table["score"], dtype=np.float64)
    return {
        "spearman_cosine": Sample(statistic=SPEARMAN, values=values, targets=targets),
        "pearson_cosine": Sample(statistic=PEARSON, values=values, targets=targets),
    }


def _triplet_samples(
    embeddings: Sequence[NDArray[np.float32]], table: Mapping[str, Sequence[Any]]
) -> dict[str, Sample]:
    """Ask whether the positive is nearer to the anchor than the negative."""
    anchors, positives, negatives = embeddings
    return {"accuracy_cosine": _mean_of(metrics.closer_positives(anchors, positives, negatives, "cosine"))}


def _pair_samples(embeddings: Sequence[NDArray[np.float32]], table: Mapping[str, Sequence[Any]]) -> dict[str, Sample]:
    """Rank pairs by cosine similarity, the ones labelled 1 to come first."""
    values = metrics.similarities(embeddings[0], embeddings[1], "cosine")
    targets = np.asarray(table["label"], dtype=np.float64)
    return {"average_precision_cosine": Sample(statistic=AVERAGE_PRECISION, values=values, targets=targets)}


def _bitext_samples(
    embeddings: Sequence[NDArray[np.float32]], table: Mapping[str, Sequence[Any]]
) -> dict[str, Sample]:
    """Find each sentence's translation among all sentences of the other side, by cosine."""
    forward = metrics.nearest_rows(embeddings[0], embeddings[1])
    backward = metrics.nearest_rows(embeddings[1], embeddings[0])
    own = np.arange(len(forward))
    return {
        "f1_cosine": _mean_of(metrics.retrieval_f1(forward)),
        "accuracy_cosine": _mean_of((forward == own).astype(np.float64)),
        "accuracy_cosine_backward": _mean_of((backward == own).astype(np.float64)),
    }


def _retrieval_samples(
    embeddings: Sequence[NDArray[np.float32]], table: Mapping[str, Sequence[Any]]
) -> dict[str, Sample]:
    """Search each distinct query's passages among all distinct ones, whose order by spelling gives nothing away.

    A passage that is the query itself, as in paraphrases given both ways, is passed over unless it is an answer.
    """
    queries, passages = ({text: row for row, text in enumerate(table[column])} for column in _PAIR_COLUMNS)
    position = {text: row for row, text in enumerate(sorted(passages))}
    relevant: dict[str, set[int]] = {query: set() for query in queries}
    for query, passage in zip(*(table[column] for column in _PAIR_COLUMNS), strict=True):
        relevant[query].add(position[passage])
    own = {query: position.get(query, -1) for query in queries}
    found = metrics.nearest_passages(
        embeddings[0][list(queries.values())],
        embeddings[1][[passages[text] for text in position]],
        [-1 if own[query] in right else own[query] for query, right in relevant.items()],
    )
    return {
        "ndcg_at_10_cosine": _mean_of(metrics.ndcg_at_10(found, list(relevant.values()))),
        "recall_at_1_cosine": _mean_of(metrics.recall_at_1(found, list(relevant.values()))),
    }


def _mean_of(values: NDArray[np.float64]) -> Sample:
    """Return the sample of a metric that is a mean over rows."""
    return Sample(statistic=MEAN, values=values, targets=np.zeros_like(values))


_PAIR_COLUMNS = ("sentence1", "sentence2")
KINDS: Mapping[SuiteKind, Measurement] = {
    "sts": Measurement(
        task="semantic-similarity",
        text_columns=_PAIR_COLUMNS,
        samples=_sts_samples,
        metrics=("spearman_cosine", "pearson_cosine"),
    ),
    "triplets": Measurement(
        task="triplet",
        text_columns=("anchor", "positive", "negative"),
        samples=_triplet_samples,
        metrics=("accuracy_cosine",),
    ),
    "pairs": Measurement(
        task="pair-classification",
        text_columns=_PAIR_COLUMNS,
        samples=_pair_samples,
        metrics=("average_precision_cosine",),
    ),
    "bitext": Measurement(
        task="bitext-mining",
        text_columns=_PAIR_COLUMNS,
        samples=_bitext_samples,
        metrics=("f1_cosine", "accuracy_cosine", "accuracy_cosine_backward"),
    ),
    "retrieval": Measurement(
        task="text-retrieval",
        text_columns=_PAIR_COLUMNS,
        samples=_retrieval_samples,
        metrics=("ndcg_at_10_cosine", "recall_at_1_cosine"),
    ),
}
