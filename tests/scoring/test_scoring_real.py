"""Real suites on the real small teacher, where they are present."""

import json

import pytest
from sentence_transformers.sentence_transformer.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
    TranslationEvaluator,
    TripletEvaluator,
)

from hf_turkembed import corpus
from hf_turkembed.scoring import load_metric, metrics
from inputs import load_encoder

pytestmark = pytest.mark.real
DIM = 64


@pytest.fixture(scope="module")
def teacher(shared_data):
    model = load_encoder(shared_data / "teacher", "float32", "cpu")
    # The evaluators of sentence-transformers would put them before anchors and queries.
    model.prompts = {}
    return model


def values(score, teacher, suite):
    report = score({"teacher": teacher}, [suite], truncate_dims=(DIM,), batch_size=64)
    return {entry.metric: entry.value for entry in report.scores}


def test_stsb_tr_dev_is_scored_as_sentence_transformers_does(shared_data, teacher, suite, score):
    path = shared_data / "data/stsb-tr/stsb_tr_dev.tsv"
    table = corpus.read_pairs(path, columns=("sentence1", "sentence2", "score"), highest_score=5)
    assert len(table["score"]) == 1500
    names = list(metrics.SIMILARITIES)
    expected = EmbeddingSimilarityEvaluator(*table.values(), truncate_dim=DIM, similarity_fn_names=names)(teacher)
    left, right = (teacher.encode(table[column]) for column in ("sentence1", "sentence2"))
    found = load_metric("embedding_similarity").compute(
        embeddings1=left, embeddings2=right, scores=table["score"], truncate_dim=DIM
    )
    for metric, value in found.items():
        assert value == pytest.approx(expected[metric], abs=1e-6)
    # A suite encodes in other batches: embeddings move by rounding, and two pairs of 1,500 may change places.
    for metric, value in values(score, teacher, suite("sts", table)).items():
        assert value == pytest.approx(expected[metric], abs=1e-5)


def test_snli_tr_triplets_are_scored_as_sentence_transformers_does(shared_data, teacher, suite, score):
    path = shared_data / "data/snli-tr/triplets_dev.jsonl"
    table = corpus.read_triplets(path, columns=("anchor", "positive", "negative"), rows=600)
    expected = TripletEvaluator(*table.values(), truncate_dim=DIM)(teacher)["cosine_accuracy"]
    assert values(score, teacher, suite("triplets", table)) == {"accuracy_cosine": pytest.approx(expected, abs=1e-6)}


def test_snli_tr_pairs_are_scored_as_sentence_transformers_does(shared_data, teacher, suite, score):
    table = corpus.read_labelled_pairs(
        shared_data / "data/snli-tr/snli_tr_dev.tsv",
        columns=("premise", "hypothesis", "label"),
        labels={"entailment": 1, "contradiction": 0},
        rows=600,
    )
    expected = BinaryClassificationEvaluator(*table.values(), truncate_dim=DIM, similarity_fn_names=["cosine"])(
        teacher
    )
    found = values(score, teacher, suite("pairs", table))["average_precision_cosine"]
    assert found == pytest.approx(expected["cosine_ap"], abs=1e-6)


def test_wmt16_bitext_is_scored_as_sentence_transformers_does(shared_data, teacher, suite, score, tmp_path):
    sides = [
        (shared_data / f"data/wmt-tr-en/newstest2016.{name}").read_text(encoding="utf-8").split("\n")[:600]
        for name in ("eng", "tur")
    ]
    path = tmp_path / "wmt16.jsonl"
    rows = [json.dumps({"en": en, "tr": tr}) for en, tr in zip(*sides, strict=True)]
    path.write_text("\n".join(rows), encoding="utf-8")
    table = corpus.read_bitext(path, columns=("en", "tr"))
    expected = TranslationEvaluator(*table.values(), truncate_dim=DIM)(teacher)
    found = values(score, teacher, suite("bitext", table))
    assert found["accuracy_cosine"] == pytest.approx(expected["src2trg_accuracy"], abs=2 / 600)
    assert found["accuracy_cosine_backward"] == pytest.approx(expected["trg2src_accuracy"], abs=2 / 600)
    assert 0 < found["f1_cosine"] <= found["accuracy_cosine"] < 1
