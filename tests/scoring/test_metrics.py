"""Metrics: agreement with scipy, scikit-learn and sentence-transformers, alone and as modules of `evaluate`."""

import numpy as np
import pytest
from samples import TEXTS
from scipy import stats
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import (
    EmbeddingSimilarityEvaluator,
    TranslationEvaluator,
    TripletEvaluator,
)
from sklearn.metrics import f1_score, ndcg_score

from hf_turkembed.scoring import load_metric, metrics
from hf_turkembed.scoring.metrics import SIMILARITIES

ROWS, DIM = 60, 32


@pytest.fixture
def sides():
    generator = np.random.default_rng(0)
    return [generator.normal(size=(ROWS, DIM)).astype(np.float32) * scale for scale in (1.0, 3.0, 0.5)]


@pytest.fixture
def targets():
    return np.round(np.random.default_rng(1).uniform(size=ROWS) * 5) / 5


@pytest.fixture
def texts():
    """Three columns of sentences, no two alike in a row."""
    return [[f"{TEXTS[(row + side) % 6]} {row * side}" for row in range(ROWS)] for side in range(3)]


@pytest.fixture
def encoder(model):
    """A model without its last module, which normalises: dot product and distance then say something of their own."""
    # The evaluator of triplets encodes anchors as queries: it would put a prompt before them, and before nothing else.
    model.prompts = {}
    return SentenceTransformer(modules=list(model)[:-1], device="cpu")


@pytest.mark.parametrize("dim", [None, 8])
def test_embedding_similarity_agrees_with_the_evaluator_of_sentence_transformers(encoder, texts, targets, dim):
    evaluator = EmbeddingSimilarityEvaluator(
        *texts[:2], targets, truncate_dim=dim, similarity_fn_names=list(SIMILARITIES)
    )
    expected = evaluator(encoder)
    left, right = (encoder.encode(side) for side in texts[:2])
    assert np.ptp(np.linalg.norm(left, axis=1)) > 0.01
    found = load_metric("embedding_similarity").compute(
        embeddings1=left, embeddings2=right, scores=targets, truncate_dim=dim
    )
    assert len(found) == 2 * len(SIMILARITIES)
    for name, value in found.items():
        assert value == pytest.approx(expected[name], abs=1e-6), name


@pytest.mark.parametrize("dim", [None, 8])
def test_triplet_accuracy_agrees_with_the_evaluator_of_sentence_transformers(encoder, texts, dim):
    expected = TripletEvaluator(*texts, truncate_dim=dim, similarity_fn_names=list(SIMILARITIES))(encoder)
    anchors, positives, negatives = (encoder.encode(side) for side in texts)
    found = load_metric("triplet_accuracy").compute(
        anchors=anchors, positives=positives, negatives=negatives, truncate_dim=dim
    )
    assert found == {
        f"accuracy_{similarity}": pytest.approx(expected[f"{similarity}_accuracy"], abs=1e-6)
        for similarity in SIMILARITIES
    }


def test_bitext_agrees_with_the_evaluator_of_sentence_transformers_and_with_scikit_learn(encoder, texts):
    sides = [texts[1], [f"{text.lower()}!" for text in texts[1]]]
    expected = TranslationEvaluator(*sides)(encoder)
    left, right = (encoder.encode(side) for side in sides)
    forward, backward = metrics.nearest_rows(left, right), metrics.nearest_rows(right, left)
    own = np.arange(ROWS)
    assert 0 < np.mean(forward == own) < 1
    assert np.mean(forward == own) == pytest.approx(expected["src2trg_accuracy"])
    assert np.mean(backward == own) == pytest.approx(expected["trg2src_accuracy"])
    f1 = f1_score(own, forward, average="weighted", zero_division=0)
    assert metrics.retrieval_f1(forward).mean() == pytest.approx(f1)


def test_correlations_agree_with_scipy(sides, targets):
    values = metrics.similarities(sides[0], sides[1], "cosine")
    exact = [np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)) for a, b in zip(*np.float64(sides[:2]), strict=True)]
    np.testing.assert_allclose(values, exact, atol=1e-6)
    assert metrics.spearman(values, targets) == pytest.approx(stats.spearmanr(values, targets).statistic, abs=1e-12)
    assert metrics.pearson(values, targets) == pytest.approx(stats.pearsonr(values, targets).statistic, abs=1e-12)


def test_nearest_rows_are_the_same_in_blocks_as_in_one_product(sides, monkeypatch):
    left, right = sides[:2]
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    np.testing.assert_array_equal(metrics.nearest_rows(left, right), (left @ right.T).argmax(axis=1))
    large = np.tile(right, (700_000 // ROWS, 1))
    np.testing.assert_array_equal(metrics.nearest_rows(left, large), (left @ right.T).argmax(axis=1))


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(bad, similarity):
    embeddings = np.ones((3, 4), dtype=np.float32)
    embeddings[2] = bad
    for pair in ((embeddings, np.ones_like(embeddings)), (np.ones_like(embeddings), embeddings)):
        with pytest.raises(ValueError, match="1 embeddings are not finite, the first is row 2"):
            metrics.similarities(*pair, similarity)


def test_a_vector_of_zeros_has_cosine_0_with_any_other(sides):
    left, right = (side.copy() for side in sides[:2])
    left[2] = 0
    values = metrics.similarities(left, right, "cosine")
    assert values[2] == 0 and np.count_nonzero(values) == ROWS - 1
    assert not metrics.normalise(left)[2].any()
    np.testing.assert_allclose(
        values, np.einsum("rd,rd->r", metrics.normalise(left), metrics.normalise(right)), atol=1e-6
    )


def test_a_width_beyond_the_embedding_and_rows_without_a_partner_are_refused(sides):
    with pytest.raises(ValueError, match="width 64 was asked for, but the embeddings have 32"):
        metrics.first_dims(sides[0], 64)
    with pytest.raises(ValueError, match="are not pairs"):
        metrics.similarities(sides[0], sides[1][:-1], "cosine")
    with pytest.raises(ValueError, match="one row of equal length for each text"):
        metrics.first_dims(np.ones(3), None)


@pytest.mark.parametrize("metric", [metrics.spearman, metrics.pearson, metrics.average_precision, metrics.mean])
def test_fewer_than_three_rows_have_no_score(metric):
    with pytest.raises(ValueError, match="2 rows; a score needs at least three"):
        metric(np.array([0.1, 0.2]), np.array([0.0, 1.0]))


def test_what_is_constant_has_no_correlation_and_one_label_no_precision():
    varied, constant = np.array([0.1, 0.2, 0.3]), np.ones(3)
    for values, targets in ((varied, constant), (constant, varied)):
        with pytest.raises(ValueError, match="their correlation is undefined"):
            metrics.spearman(values, targets)
        with pytest.raises(ValueError, match="their correlation is undefined"):
            metrics.pearson(values, targets)
    with pytest.raises(ValueError, match="the same label"):
        metrics.average_precision(varied, constant)


def test_an_unknown_metric_is_refused_by_name():
    with pytest.raises(ValueError, match="no metric 'spearman'; the metrics are embedding_similarity, triplet_accu"):
        load_metric("spearman")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_refused(sides, targets, bad):
    targets = targets.copy()
    targets[7] = bad
    for metric in (metrics.spearman, metrics.pearson, metrics.average_precision):
        with pytest.raises(ValueError, match="1 scores or similarities are not finite, the first is row 7"):
            metric(np.arange(float(ROWS)), targets)
    with pytest.raises(ValueError, match="not finite"):
        load_metric("embedding_similarity").compute(embeddings1=sides[0], embeddings2=sides[1], scores=targets)


@pytest.mark.parametrize("dim", [0, -3])
def test_a_width_below_one_is_refused(sides, dim):
    with pytest.raises(ValueError, match=f"width {dim} was asked for"):
        metrics.first_dims(sides[0], dim)


def test_a_search_agrees_with_scikit_learn_when_no_two_passages_are_equally_near(sides, monkeypatch):
    monkeypatch.setattr(metrics, "_BLOCK_ENTRIES", 7 * ROWS)
    generator = np.random.default_rng(3)
    relevant = [set(generator.choice(ROWS, size=1 + row % 12, replace=False).tolist()) for row in range(ROWS)]
    labels = np.array([[float(passage in found) for passage in range(ROWS)] for found in relevant])
    cosines = metrics.normalise(sides[0]) @ metrics.normalise(sides[1]).T
    last = generator.integers(-1, ROWS, size=ROWS)
    cosines[np.flatnonzero(last >= 0), last[last >= 0]] = -2
    found = metrics.nearest_passages(sides[0], sides[1], last)
    expected = [ndcg_score(labels[row : row + 1], cosines[row : row + 1], k=10) for row in range(ROWS)]
    np.testing.assert_allclose(metrics.ndcg_at_10(found, relevant), expected, atol=1e-6)
    first = labels[np.arange(ROWS), cosines.argmax(axis=1)] / labels.sum(axis=1)
    np.testing.assert_allclose(metrics.recall_at_1(found, relevant), first)
    assert 0 < first.sum() < ROWS


def test_a_search_among_fewer_than_ten_passages_and_a_perfect_one():
    vectors = np.eye(4, dtype=np.float32)
    nearest = metrics.nearest_passages(vectors, vectors, [-1] * 4)
    assert nearest.shape == (4, 4) and metrics.ndcg_at_10(nearest, [{row} for row in range(4)]).tolist() == [1] * 4
    far = metrics.nearest_passages(np.array([[4, 3, 2, 1]], dtype=np.float32), vectors, [-1])
    assert metrics.ndcg_at_10(far, [{3}]) == pytest.approx([1 / np.log2(5)])
    assert metrics.recall_at_1(far, [{3}]).tolist() == [0] and metrics.recall_at_1(far, [{0, 3}]).tolist() == [0.5]
