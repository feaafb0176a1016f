"""Scores: agreement with scipy and sentence-transformers, one pass for all widths, missing rather than wrong."""

import numpy as np
import pytest
from accelerate import Accelerator
from samples import MATRYOSHKA_DIMS, TEXTS
from scipy.stats import pearsonr, spearmanr
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator, TripletEvaluator

from hf_turkembed.record import ScoreDataset
from hf_turkembed.scoring import Suite, score_model
from hf_turkembed.scoring.metrics import pair_correlations, triplet_accuracy, truncate

PAIRS = {
    "sentence1": [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], TEXTS[4]],
    "sentence2": [TEXTS[3], TEXTS[4], TEXTS[0], TEXTS[3], TEXTS[5]],
    "score": [0.8, 0.1, 0.4, 1.0, 0.3],
}
TRIPLETS = {"anchor": list(TEXTS[:3]), "positive": list(TEXTS[1:4]), "negative": list(TEXTS[3:6])}


@pytest.fixture
def model(gemma):
    return SentenceTransformer(str(gemma), device="cpu")


def score(model, kind, table, **settings):
    suite = Suite(
        name="x", kind=kind, table=table, dataset=ScoreDataset(name="x"), prompt=settings.pop("prompt", None)
    )
    arguments = {"truncate_dims": MATRYOSHKA_DIMS, "batch_size": 2, **settings}
    return score_model(
        model, suite, Accelerator(cpu=True), role="teacher", digest="ab", precision="float32", **arguments
    )


def by_metric(scores, metric):
    return {entry.truncate_dim: entry.value for entry in scores if entry.metric == metric}


@pytest.mark.parametrize("dim", MATRYOSHKA_DIMS)
def test_correlations_agree_with_the_evaluator_of_sentence_transformers(model, dim):
    evaluator = EmbeddingSimilarityEvaluator(*PAIRS.values(), truncate_dim=dim, main_similarity="cosine")
    expected = evaluator(model)
    scores = score(model, "sts", PAIRS)
    for metric in ("spearman_cosine", "pearson_cosine"):
        assert by_metric(scores, metric)[dim] == pytest.approx(expected[metric], abs=1e-6)


@pytest.mark.parametrize("dim", MATRYOSHKA_DIMS)
def test_triplet_accuracy_agrees_with_the_evaluator_of_sentence_transformers(model, dim):
    # That evaluator encodes anchors as queries: it would put a prompt before them, and before nothing else.
    model.prompts = {}
    expected = TripletEvaluator(*TRIPLETS.values(), truncate_dim=dim)(model)["cosine_accuracy"]
    assert by_metric(score(model, "triplets", TRIPLETS), "accuracy_cosine")[dim] == pytest.approx(expected, abs=1e-6)


def test_correlations_agree_with_scipy():
    generator = np.random.default_rng(0)
    left, right = (truncate(generator.normal(size=(50, 8)).astype(np.float32), 8) for _ in range(2))
    scores = generator.uniform(size=50)
    cosines = (left.astype(np.float64) * right).sum(axis=1)
    assert pair_correlations(left, right, scores) == pytest.approx(
        {"spearman_cosine": spearmanr(cosines, scores)[0], "pearson_cosine": pearsonr(cosines, scores)[0]}
    )


def test_each_distinct_sentence_is_encoded_once_for_all_widths(model, monkeypatch):
    encoded = []
    real = model.encode
    monkeypatch.setattr(model, "encode", lambda texts, **kwargs: (encoded.extend(texts), real(texts, **kwargs))[1])
    score(model, "sts", PAIRS)
    assert sorted(encoded) == sorted(TEXTS)


def test_a_score_names_all_that_is_needed_to_measure_it_again(model):
    entry = score(model, "sts", PAIRS, prompt="STS")[0]
    assert (entry.model, entry.model_digest, entry.prompt, entry.pooling) == ("teacher", "ab", "STS", "mean")
    assert (entry.truncate_dim, entry.embedding_dim, entry.rows, entry.precision) == (32, 32, 5, "float32")


def test_a_prompt_changes_the_score_and_an_unknown_one_is_refused(model):
    assert score(model, "sts", PAIRS, prompt="STS")[1].value != score(model, "sts", PAIRS)[1].value
    with pytest.raises(ValueError, match="`teacher` has no prompt 'sts'"):
        score(model, "sts", PAIRS, prompt="sts")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({**PAIRS, "score": [0.5] * 5}, "undefined"),
        ({name: column[:2] for name, column in PAIRS.items()}, "at least three"),
    ],
)
def test_a_correlation_that_does_not_exist_is_missing_with_its_reason(model, table, reason):
    for entry in score(model, "sts", table):
        assert entry.value is None and entry.missing is not None and reason in entry.missing


def test_a_width_beyond_the_embedding_is_refused(model):
    with pytest.raises(ValueError, match="width 64 was asked for, but the embeddings have 32"):
        score(model, "sts", PAIRS, truncate_dims=(64,))


@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_embeddings_that_are_not_finite_or_zero_are_refused(bad):
    embeddings = np.ones((3, 4), dtype=np.float32)
    embeddings[2] = bad
    with pytest.raises(ValueError, match="zero or not finite at width 2, the first is row 2"):
        truncate(embeddings, 2)


def test_no_triplet_is_no_accuracy():
    with pytest.raises(ValueError, match="no triplet"):
        triplet_accuracy(*(np.ones((0, 4), dtype=np.float32),) * 3)
