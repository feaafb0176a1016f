"""Correlation of embedding similarity with graded scores, as a module of `evaluate`."""

import datasets
import evaluate
import numpy as np

from hf_turkembed.scoring import metrics

_DESCRIPTION = """
Spearman and Pearson correlation of the similarity of two sentences' embeddings with a graded score, for cosine, dot
product and negative Euclidean distance.
"""
_INPUTS = """
Args:
    embeddings1: Embeddings of the first sentences, `(pairs, dim)`, of any norm.
    embeddings2: Embeddings of the second sentences, in the same order.
    scores: Graded similarity of each pair, on any scale that rises with it.
    truncate_dim: Compare the first dimensions alone (Matryoshka); all by default.
Returns:
    spearman_cosine, pearson_cosine, spearman_dot, pearson_dot, spearman_euclidean, pearson_euclidean.
"""
_CITATION = """
@article{2020SciPy,
  title = {{SciPy} 1.0: Fundamental Algorithms for Scientific Computing in Python},
  author = {Virtanen, Pauli and others},
  journal = {Nature Methods},
  volume = {17},
  pages = {261--272},
  year = {2020}
}
"""


class EmbeddingSimilarity(evaluate.Metric):  # type: ignore[misc]
    """See the description."""

    def _info(self) -> evaluate.MetricInfo:
        vector = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {"embeddings1": vector, "embeddings2": vector, "scores": datasets.Value("float64")}
            ),
        )

    def _compute(
        self,
        embeddings1: list[list[float]],
        embeddings2: list[list[float]],
        scores: list[float],
        truncate_dim: int | None = None,
    ) -> dict[str, float]:
        left, right = (metrics.first_dims(side, truncate_dim) for side in (embeddings1, embeddings2))
        targets = np.asarray(scores, dtype=np.float64)
        results = {}
        for similarity in metrics.SIMILARITIES:
            values = metrics.similarities(left, right, similarity)
            results[f"spearman_{similarity}"] = metrics.spearman(values, targets)
            results[f"pearson_{similarity}"] = metrics.pearson(values, targets)
        return results
