"""A linear head on frozen embeddings: fitted, measured beside always naming the commonest class, and saved."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_turkembed.markdown import format_table

if TYPE_CHECKING:
    from sentence_transformers.sentence_transformer.modules import Dense

LABELS_FILE = "labels.json"
_MOST_STEPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How well held-out rows are told apart, 0 to 1."""

    accuracy: float
    # 95 %, after Wilson.
    accuracy_interval: tuple[float, float]
    # Mean of the F1 of all classes that stand in the rows or were predicted for them.
    macro_f1: float


@dataclass(frozen=True, kw_only=True)
class ClassificationReport:
    """What a head was fitted on, and how good it is."""

    rows: int
    classes: int
    held_out_rows: int
    # Held-out rows of classes that training never saw, and which count as mistakes.
    held_out_rows_of_unknown_classes: int
    head: Measured
    # Always naming the commonest class of training.
    commonest_class: str
    baseline: Measured


def fit_head(
    embeddings: NDArray[np.float32], labels: Sequence[str], *, inverse_regularization: float
) -> tuple["Dense", list[str]]:
    """Fit a multinomial logistic regression.

    Args:
        embeddings: `(rows, dim)`, of any norm.
        labels: `(rows,)`, of two classes or more.
        inverse_regularization: `C` of scikit-learn.

    Returns:
        A module of sentence-transformers that turns an embedding into a logit for each class, and the classes in
        that order.

    Raises:
        ValueError: If the fit does not converge.
    """
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=inverse_regularization, max_iter=_MOST_STEPS)
    fitted = model.fit(embeddings.astype(np.float64), labels)
    if fitted.n_iter_.max() >= _MOST_STEPS:
        raise ValueError(f"the head did not converge in {_MOST_STEPS:,} steps; lower `inverse_regularization`.")
    weight, bias = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        # Of two classes scikit-learn keeps the logit of the second alone.
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.concatenate([[0.0], bias])
    weight, bias = (torch.tensor(array, dtype=torch.float32) for array in (weight, bias))
    head = Dense(weight.shape[1], weight.shape[0], True, torch.nn.Identity(), init_weight=weight, init_bias=bias)
    return head, [str(label) for label in fitted.classes_]


def predict(head: "Dense", classes: Sequence[str], embeddings: NDArray[np.float32]) -> list[str]:
    """Return the class of the highest logit for each of `(rows, dim)` embeddings."""
    import torch

    with torch.no_grad():
        logits = head({"sentence_embedding": torch.from_numpy(embeddings)})["sentence_embedding"]
    return [classes[index] for index in logits.argmax(dim=1).tolist()]


def report_on(train_labels: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> ClassificationReport:
    """Measure a head on held-out rows, beside always naming the commonest class of training.

    Args:
        train_labels: Labels that the head was fitted on.
        predicted: What the head says of each held-out row.
        labels: Their labels.
    """
    known = Counter(train_labels)
    commonest = known.most_common(1)[0][0]
    return ClassificationReport(
        rows=len(train_labels),
        classes=len(known),
        held_out_rows=len(labels),
        held_out_rows_of_unknown_classes=sum(label not in known for label in labels),
        head=measure(predicted, labels),
        commonest_class=commonest,
        baseline=measure([commonest] * len(labels), labels),
    )


def measure(predicted: Sequence[str], labels: Sequence[str]) -> Measured:
    """Measure predictions of `(rows,)` labels."""
    from scipy.stats import binomtest
    from sklearn.metrics import f1_score

    hits = sum(said == label for said, label in zip(predicted, labels, strict=True))
    interval = binomtest(hits, len(labels)).proportion_ci(method="wilson")
    return Measured(
        accuracy=hits / len(labels),
        accuracy_interval=(float(interval.low), float(interval.high)),
        macro_f1=float(f1_score(labels, predicted, average="macro", zero_division=0)),
    )


def save_head(head: "Dense", classes: Sequence[str], folder: Path) -> None:
    """Save a head as a module of sentence-transformers, its weights in safetensors, with its classes in JSON."""
    head.save(str(folder))
    text = json.dumps({"labels": list(classes)}, indent=2, ensure_ascii=False)
    (folder / LABELS_FILE).write_text(text + "\n", encoding="utf-8")


def format_report(report: ClassificationReport) -> str:
    """Lay out what was measured as a Markdown table."""
    rows = []
    for name, found in (("head", report.head), (f"always `{report.commonest_class}`", report.baseline)):
        low, high = found.accuracy_interval
        rows.append([name, f"{found.accuracy:.3f} [{low:.3f}, {high:.3f}]", f"{found.macro_f1:.3f}"])
    return format_table([f"{report.held_out_rows:,} held-out rows", "accuracy", "macro-F1"], rows)
