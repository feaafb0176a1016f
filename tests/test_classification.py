"""A linear head: scikit-learn's fit and measures, loaded again by sentence-transformers alone."""

import json

import numpy as np
import pytest
from samples import TEXTS
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

from hf_turkembed import classification
from hf_turkembed.classification import fit_head, measure, predict, report_on, save_head

CLASSES = ("köpek", "kedi", "kuş")


def clusters(classes, rows=60, dim=8):
    """Embeddings that overlap somewhat, and their labels."""
    generator = np.random.default_rng(0)
    labels = [classes[row % len(classes)] for row in range(rows)]
    centres = {name: generator.normal(size=dim) for name in classes}
    embeddings = np.stack([centres[label] + generator.normal(size=dim) for label in labels])
    return embeddings.astype(np.float32), labels


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[:2]], ids=["three", "two"])
def test_a_head_says_what_scikit_learn_says(classes):
    embeddings, labels = clusters(classes)
    embeddings, labels = embeddings[:47], labels[:47]
    head, names = fit_head(embeddings, labels, inverse_regularization=0.5)
    reference = LogisticRegression(C=0.5, max_iter=10_000)
    expected = reference.fit(embeddings, labels).predict(embeddings)
    found = predict(head, names, embeddings)
    assert found == expected.tolist() and names == sorted(classes) and len(set(found)) == len(classes)


def test_predictions_are_measured_as_scikit_learn_does():
    generator = np.random.default_rng(1)
    labels = generator.choice(list("aaab"), size=200)
    predicted = np.where(generator.random(200) < 0.8, labels, "c")
    found = measure(predicted.tolist(), labels.tolist())
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(np.mean([f1_score(labels == c, predicted == c) for c in "abc"]))
    low, high = found.accuracy_interval
    resampled = (labels == predicted)[generator.integers(0, 200, size=(5000, 200))].mean(axis=1)
    assert (low, high) == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.015)


def test_a_report_has_the_commonest_class_of_training_beside_the_head():
    report = report_on(["a", "a", "b"], ["a", "b", "a"], ["a", "b", "c"])
    assert (report.rows, report.classes, report.held_out_rows) == (3, 2, 3)
    assert (report.commonest_class, report.held_out_rows_of_unknown_classes) == ("a", 1)
    assert report.head.accuracy == pytest.approx(2 / 3) and report.baseline.accuracy == pytest.approx(1 / 3)
    assert report.baseline.macro_f1 == pytest.approx(0.5 / 3)
    text = classification.format_report(report)
    assert "| head | 0.667 [" in text and "| always `a` | 0.333 [" in text


def test_a_saved_head_is_a_module_behind_any_encoder(gemma, tmp_path):
    encoder = SentenceTransformer(str(gemma), device="cpu")
    texts, labels = [f"{text} {n}" for text in TEXTS for n in range(3)], [str(n) for n in range(6) for _ in range(3)]
    embeddings = encoder.encode(texts)
    head, names = fit_head(embeddings, labels, inverse_regularization=100.0)
    save_head(head, names, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors", "labels.json"}
    encoder.append(Dense.load(str(tmp_path)))
    again = json.loads((tmp_path / "labels.json").read_text())["labels"]
    found = [again[index] for index in encoder.encode(texts).argmax(axis=1)]
    assert found == predict(head, names, embeddings) and len(set(found)) > 1


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_a_fit_that_does_not_end_is_an_error(monkeypatch):
    embeddings, labels = clusters(CLASSES)
    monkeypatch.setattr(classification, "_MOST_STEPS", 1)
    with pytest.raises(ValueError, match="did not converge in 1 steps; lower `inverse_regularization`"):
        fit_head(embeddings, labels, inverse_regularization=1.0)
