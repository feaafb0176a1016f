"""Share of triplets whose positive is nearer to the anchor than the negative, as a module of `evaluate`."""

import datasets
import evaluate

from hf_turkembed.scoring import metrics

_DESCRIPTION = """
Share of triplets in which the positive is more alike to the anchor than the negative is, for cosine, dot product and
negative Euclidean distance. A tie counts as wrong.
"""
_INPUTS = """
Args:
    anchors: Embeddings, `(triplets, dim)`, of any norm.
    positives: Embeddings in the same order.
    negatives: Embeddings in the same order.
    truncate_dim: Compare the first dimensions alone (Matryoshka); all by default.
Returns:
    accuracy_cosine, accuracy_dot, accuracy_euclidean.
"""


class TripletAccuracy(evaluate.Metric):  # type: ignore[misc]
    """See the description."""

    def _info(self) -> evaluate.MetricInfo:
        vector = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"anchors": vector, "positives": vector, "negatives": vector}),
        )

    def _compute(
        self,
        anchors: list[list[float]],
        positives: list[list[float]],
        negatives: list[list[float]],
        truncate_dim: int | None = None,
    ) -> dict[str, float]:
        left, near, far = (metrics.first_dims(side, truncate_dim) for side in (anchors, positives, negatives))
        return {
            f"accuracy_{similarity}": metrics.mean(metrics.closer_positives(left, near, far, similarity))
            for similarity in metrics.SIMILARITIES
        }
