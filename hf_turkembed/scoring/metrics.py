"""Metrics on embeddings and on similarities, each a function of arrays; the numbers are scipy's and scikit-learn's."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Similarity = Literal["cosine", "dot", "euclidean"]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "dot", "euclidean")
# Entries of one block of a similarity matrix: memory does not grow with the product of its two sides.
_BLOCK_ENTRIES = 1 << 24
# Passages that a search shows, and nDCG looks at.
_SHOWN = 10


def first_dims(embeddings: ArrayLike, dim: int | None) -> NDArray[np.float32]:
    """Return the first `dim` columns of `(n, embedding_dim)`, all of them for None, as float32.

    Raises:
        ValueError: If the rows differ in length, or `dim` is not between 1 and their length.
    """
    array = np.asarray(embeddings, dtype=np.float32)
    if array.ndim != 2:
        raise ValueError(f"embeddings of shape {array.shape}; expected one row of equal length for each text.")
    if dim is not None and not 1 <= dim <= array.shape[1]:
        raise ValueError(f"width {dim} was asked for, but the embeddings have {array.shape[1]} dimensions.")
    return array[:, :dim]


def check_embeddings(embeddings: NDArray[np.float32]) -> None:
    """Check that every row is finite.

    Raises:
        ValueError: If one is not.
    """
    bad = np.flatnonzero(~np.isfinite(np.linalg.norm(embeddings, axis=1)))
    if bad.size:
        raise ValueError(f"{bad.size} embeddings are not finite, the first is row {bad[0]}.")


def normalise(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale the rows of `(n, dim)` to the length one; a row of zeros stays, and has cosine 0 with any other.

    Raises:
        ValueError: If a row is not finite.
    """
    check_embeddings(embeddings)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = embeddings / np.where(norms > 0, norms, np.float32(1))
    return scaled


def similarities(
    embeddings1: NDArray[np.float32], embeddings2: NDArray[np.float32], similarity: Similarity
) -> NDArray[np.float64]:
    """Compare row with row; larger means more alike, so that a distance is negative.

    Args:
        embeddings1: `(pairs, dim)`, of any norm.
        embeddings2: `(pairs, dim)`.
        similarity: How to compare; computed by sentence-transformers, in the precision of the embeddings.

    Returns:
        `(pairs,)`.

    Raises:
        ValueError: If the shapes differ, or a row is not finite.
    """
    import torch
    from sentence_transformers import util

    if embeddings1.shape != embeddings2.shape:
        raise ValueError(f"embeddings of shapes {embeddings1.shape} and {embeddings2.shape} are not pairs.")
    for embeddings in (embeddings1, embeddings2):
        check_embeddings(embeddings)
    compare = {
        "cosine": util.pairwise_cos_sim,
        "dot": util.pairwise_dot_score,
        "euclidean": util.pairwise_euclidean_sim,
    }[similarity]
    values = compare(torch.from_numpy(embeddings1), torch.from_numpy(embeddings2)).numpy()
    return np.asarray(values, dtype=np.float64)


def spearman(values: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation of two `(rows,)` arrays.

    Raises:
        ValueError: If it is undefined: fewer than three rows, or one side all the same.
    """
    from scipy import stats

    _check_correlation(values, targets)
    return float(stats.spearmanr(values, targets).statistic)


def pearson(values: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of two `(rows,)` arrays.

    Raises:
        ValueError: If it is undefined: fewer than three rows, or one side all the same.
    """
    from scipy import stats

    _check_correlation(values, targets)
    return float(stats.pearsonr(values, targets).statistic)


def average_precision(values: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Return the average precision of ranking rows by `values`, `targets` being 1 for those to be found and else 0.

    Raises:
        ValueError: If it is undefined: fewer than three rows, or all of one kind.
    """
    from sklearn.metrics import average_precision_score

    _check_rows_enough(len(values))
    _check_finite(values, targets)
    if np.ptp(targets) == 0:
        raise ValueError("all pairs have the same label; their average precision is undefined.")
    return float(average_precision_score(targets, values))


def mean(values: NDArray[np.float64], targets: NDArray[np.float64] | None = None) -> float:
    """Return the mean of `(rows,)`, such as an accuracy of rows that are 1 or 0.

    Raises:
        ValueError: If there are fewer than three rows.
    """
    _check_rows_enough(len(values))
    return float(values.mean())


def closer_positives(
    anchors: NDArray[np.float32],
    positives: NDArray[np.float32],
    negatives: NDArray[np.float32],
    similarity: Similarity,
) -> NDArray[np.float64]:
    """Tell for each triplet whether its positive is more alike to the anchor than its negative is: 1, or else 0.

    Args:
        anchors: `(triplets, dim)`, of any norm.
        positives: `(triplets, dim)`.
        negatives: `(triplets, dim)`.
        similarity: How to compare.

    Returns:
        `(triplets,)`; a tie counts as 0.

    Raises:
        ValueError: If the shapes differ, or a row is not finite.
    """
    nearer = similarities(anchors, positives, similarity) > similarities(anchors, negatives, similarity)
    return nearer.astype(np.float64)


def nearest_rows(queries: NDArray[np.float32], candidates: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find for each query the candidate of the highest cosine, the first of several.

    Args:
        queries: `(queries, dim)`, of any norm.
        candidates: `(candidates, dim)`, of any norm.

    Returns:
        `(queries,)`, rows of `candidates`.

    Raises:
        ValueError: If a candidate is not finite.
    """
    candidates = normalise(candidates)
    block = max(1, _BLOCK_ENTRIES // max(1, len(candidates)))
    found = [(queries[row : row + block] @ candidates.T).argmax(axis=1) for row in range(0, len(queries), block)]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def nearest_passages(
    queries: NDArray[np.float32], passages: NDArray[np.float32], passed_over: ArrayLike
) -> NDArray[np.int64]:
    """Find for each query the ten passages of the highest cosine.

    Args:
        queries: `(queries, dim)`, of any norm.
        passages: `(passages, dim)`, of any norm; of equally similar ones any may come first, so their order must not
            say which are relevant.
        passed_over: `(queries,)`, of each query a row of `passages` that comes last, or -1 for none.

    Returns:
        `(queries, 10)`, rows of `passages`, the nearest first; fewer columns where there are fewer passages.

    Raises:
        ValueError: If a row is not finite.
    """
    queries, passages, last = normalise(queries), normalise(passages), np.asarray(passed_over)
    shown = min(_SHOWN, len(passages))
    block = max(1, _BLOCK_ENTRIES // len(passages))
    found = np.empty((len(queries), shown), dtype=np.int64)
    for start in range(0, len(queries), block):
        cosines = queries[start : start + block] @ passages.T
        rows = np.flatnonzero(last[start : start + block] >= 0)
        cosines[rows, last[start + rows]] = -np.inf
        best = np.argpartition(-cosines, shown - 1, axis=1)[:, :shown]
        order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1, kind="stable")
        found[start : start + block] = np.take_along_axis(best, order, axis=1)
    return found


def ndcg_at_10(found: NDArray[np.int64], relevant: Sequence[AbstractSet[int]]) -> NDArray[np.float64]:
    """Return for each query the nDCG of the ten passages that were found (Järvelin and Kekäläinen, 2002).

    Args:
        found: `(queries, 10)`, see `nearest_passages`.
        relevant: Of each query, the passages that answer it, at least one.

    Returns:
        `(queries,)`, 0 to 1.
    """
    gains = 1 / np.log2(np.arange(2, _SHOWN + 2))
    hits = [[passage in right for passage in row] for row, right in zip(found.tolist(), relevant, strict=True)]
    ideal = np.array([gains[: len(right)].sum() for right in relevant])
    result: NDArray[np.float64] = np.array(hits) @ gains[: found.shape[1]] / ideal
    return result


def recall_at_1(found: NDArray[np.int64], relevant: Sequence[AbstractSet[int]]) -> NDArray[np.float64]:
    """Return for each query the share of its passages that comes first: one of them, or none.

    Args:
        found: `(queries, 10)`, see `nearest_passages`.
        relevant: Of each query, the passages that answer it, at least one.

    Returns:
        `(queries,)`, 0 to 1.
    """
    first = zip(found[:, 0].tolist(), relevant, strict=True)
    return np.array([(passage in right) / len(right) for passage, right in first])


def retrieval_f1(found: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the F1 of each row of a bitext as a class of its own, where row i was to be found for query i.

    Their mean is the weighted F1 that bitext mining reports: a row found for its own query and for `k` others has
    recall 1 and precision `1 / (1 + k)`.

    Args:
        found: `(rows,)`, the row found for each query.
    """
    times_found = np.bincount(found, minlength=len(found))
    right = found == np.arange(len(found))
    return np.where(right, 2 / (1 + np.maximum(times_found, 1)), 0.0)


def _check_rows_enough(rows: int) -> None:
    """Raise unless there are three rows."""
    if rows < 3:
        raise ValueError(f"{rows} rows; a score needs at least three.")


def _check_finite(values: NDArray[np.float64], targets: NDArray[np.float64]) -> None:
    """Raise unless all numbers are finite."""
    bad = np.flatnonzero(~(np.isfinite(values) & np.isfinite(targets)))
    if bad.size:
        raise ValueError(f"{bad.size} scores or similarities are not finite, the first is row {bad[0]}.")


def _check_correlation(values: NDArray[np.float64], targets: NDArray[np.float64]) -> None:
    """Raise unless a correlation of two arrays is defined."""
    _check_rows_enough(len(values))
    _check_finite(values, targets)
    if np.ptp(values) == 0 or np.ptp(targets) == 0:
        raise ValueError("the scores or the similarities are all the same; their correlation is undefined.")
