"""Scores a model on held-out text: each distinct sentence encoded once, every width from that one pass."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from hf_turkembed.record import Score, ScoreDataset
from hf_turkembed.scoring.metrics import pair_correlations, triplet_accuracy, truncate

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Task types in the Hub's vocabulary.
_TASKS = {"sts": "semantic-similarity", "triplets": "triplet"}
_TEXT_COLUMNS = {"sts": ("sentence1", "sentence2"), "triplets": ("anchor", "positive", "negative")}


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One held-out dataset, read."""

    name: str
    kind: Literal["sts", "triplets"]
    # Columns as `corpus.read_pairs` or `corpus.read_triplets` return them.
    table: Mapping[str, Sequence[Any]]
    dataset: ScoreDataset
    # Name of one of the model's prompts, or none.
    prompt: str | None


def score_model(
    model: "SentenceTransformer",
    suite: Suite,
    accelerator: Accelerator,
    *,
    role: str,
    digest: str,
    truncate_dims: Sequence[int],
    batch_size: int,
    precision: str,
) -> list[Score]:
    """Score one model on one suite at every width.

    Args:
        model: Gives embeddings of `(texts, embedding_dim)`.
        suite: The held-out data.
        accelerator: Each process encodes its share; all of them return the same scores.
        role: Name of the model in this run, such as `teacher`.
        digest: Digest or revision of the model, for the record.
        truncate_dims: Widths to score.
        batch_size: Texts of one forward pass.
        precision: Precision of the forward pass, for the record.

    Raises:
        ValueError: If a width is wider than the embedding, the model has no such prompt, or an embedding is not
            finite. A correlation that does not exist is no error but an explicitly missing score.
    """
    columns = _TEXT_COLUMNS[suite.kind]
    if suite.prompt is not None and suite.prompt not in model.prompts:
        raise ValueError(f"`{role}` has no prompt {suite.prompt!r}; it has {', '.join(model.prompts) or 'none'}.")
    texts = sorted({text for column in columns for text in suite.table[column]})
    embeddings = _encode(model, texts, suite.prompt, batch_size, accelerator)
    row_of = {text: row for row, text in enumerate(texts)}
    rows = {column: np.array([row_of[text] for text in suite.table[column]]) for column in columns}
    scores: list[Score] = []
    for dim in truncate_dims:
        values, missing = _measure(suite, truncate(embeddings, dim), rows)
        scores += [
            Score(
                model=role,
                model_digest=digest,
                suite=suite.name,
                task=_TASKS[suite.kind],
                dataset=suite.dataset,
                metric=metric,
                value=value,
                truncate_dim=dim,
                embedding_dim=embeddings.shape[1],
                prompt=suite.prompt,
                pooling=_pooling_mode(model),
                precision=precision,
                rows=len(suite.table[columns[0]]),
                missing=missing,
            )
            for metric, value in values.items()
        ]
    return scores


def _measure(
    suite: Suite, embeddings: NDArray[np.float32], rows: Mapping[str, NDArray[np.int64]]
) -> tuple[dict[str, float | None], str | None]:
    """Compute a suite's metrics from the embeddings of its distinct texts; or say why they do not exist."""
    sides = [embeddings[rows[column]] for column in _TEXT_COLUMNS[suite.kind]]
    try:
        if suite.kind == "sts":
            return {**pair_correlations(sides[0], sides[1], np.asarray(suite.table["score"], dtype=np.float64))}, None
        return {**triplet_accuracy(sides[0], sides[1], sides[2])}, None
    except ValueError as error:
        metrics = ("spearman_cosine", "pearson_cosine") if suite.kind == "sts" else ("accuracy_cosine",)
        return dict.fromkeys(metrics), str(error)


def _encode(
    model: "SentenceTransformer", texts: Sequence[str], prompt: str | None, batch_size: int, accelerator: Accelerator
) -> NDArray[np.float32]:
    """Encode texts, each process its share; every process gets all of them, `(len(texts), embedding_dim)`."""
    from accelerate.utils import gather_object

    # By length, so that every process has as much work and batches need little padding.
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    share = order[accelerator.process_index :: accelerator.num_processes]
    encoded = model.encode(
        [texts[row] for row in share],
        prompt_name=prompt,
        batch_size=batch_size,
        convert_to_numpy=True,
        normalize_embeddings=True,
        show_progress_bar=accelerator.is_main_process and sys.stderr.isatty(),
    )
    gathered = gather_object([(share, np.asarray(encoded, dtype=np.float32))])
    result = np.empty((len(texts), gathered[0][1].shape[1]), dtype=np.float32)
    for positions, vectors in gathered:
        result[positions] = vectors
    return result


def _pooling_mode(model: "SentenceTransformer") -> str:
    """Return the name of the model's pooling, for the record."""
    modes = [module.pooling_mode for module in model if hasattr(module, "pooling_mode")]
    return str(modes[0]) if modes else "none"
