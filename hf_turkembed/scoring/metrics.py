"""Metrics on embeddings, each a function of arrays."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def truncate(embeddings: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Cut `(n, embedding_dim)` to its first `dim` columns and scale the rows to unit L2 norm.

    Raises:
        ValueError: If `dim` is wider than the embeddings, or a row is not finite or zero.
    """
    if dim > embeddings.shape[1]:
        raise ValueError(f"width {dim} was asked for, but the embeddings have {embeddings.shape[1]} dimensions.")
    cut = embeddings[:, :dim]
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if bad.size:
        raise ValueError(f"{bad.size} embeddings are zero or not finite at width {dim}, the first is row {bad[0]}.")
    scaled: NDArray[np.float32] = cut / norms
    return scaled


def pair_correlations(
    embeddings1: NDArray[np.float32], embeddings2: NDArray[np.float32], scores: NDArray[np.float64]
) -> dict[str, float]:
    """Correlate cosine similarity with graded scores.

    Args:
        embeddings1: `(pairs, dim)`, rows of unit L2 norm.
        embeddings2: `(pairs, dim)`, rows of unit L2 norm.
        scores: `(pairs,)`.

    Raises:
        ValueError: If there are fewer than three pairs, or either side is constant, so that no correlation exists.
    """
    cosines = np.einsum("ij,ij->i", embeddings1, embeddings2, dtype=np.float64)
    if len(scores) < 3:
        raise ValueError(f"{len(scores)} pairs; a correlation needs at least three.")
    if np.ptp(scores) == 0 or np.ptp(cosines) == 0:
        raise ValueError("the scores or the similarities are all the same; their correlation is undefined.")
    return {
        "spearman_cosine": float(stats.spearmanr(cosines, scores).statistic),
        "pearson_cosine": float(stats.pearsonr(cosines, scores).statistic),
    }


def triplet_accuracy(
    anchors: NDArray[np.float32], positives: NDArray[np.float32], negatives: NDArray[np.float32]
) -> dict[str, float]:
    """Return the share of triplets whose positive is nearer to the anchor, by cosine, than the negative.

    Args:
        anchors: `(triplets, dim)`, rows of unit L2 norm, as are the others.
        positives: `(triplets, dim)`.
        negatives: `(triplets, dim)`.

    Raises:
        ValueError: If there is no triplet.
    """
    if len(anchors) == 0:
        raise ValueError("there is no triplet to score.")
    nearer = np.einsum("ij,ij->i", anchors, positives) > np.einsum("ij,ij->i", anchors, negatives)
    return {"accuracy_cosine": float(nearer.mean())}
