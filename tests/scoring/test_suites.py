"""Suites: every kind measured from one encoding pass, on any encoder."""

import json
import shutil

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from samples import MATRYOSHKA_DIMS, TEXTS
from scipy.stats import spearmanr
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sentence_transformers.util import pairwise_cos_sim
from sklearn.metrics import average_precision_score
from transformers import AutoModel, AutoTokenizer

from hf_turkembed.scoring.suites import KINDS, encode_suites, measure_suite
from inputs import load_encoder


def encode(model, suite):
    return encode_suites(model, [suite], Accelerator(cpu=True), batch_size=2)[0]


def test_a_sentence_of_several_suites_is_encoded_once_for_each_prompt(model, suite, score, monkeypatch):
    encoded = []
    real = model.encode
    monkeypatch.setattr(model, "encode", lambda texts, **kwargs: (encoded.extend(texts), real(texts, **kwargs))[1])
    suites = [suite("sts"), suite("pairs"), suite("sts", prompt="STS", name="prompted")]
    report = score({"teacher": model}, suites)
    assert sorted(encoded) == sorted(TEXTS * 2)
    assert {(entry.suite, entry.prompt) for entry in report.scores} == {
        ("sts", None),
        ("pairs", None),
        ("prompted", "STS"),
    }


def test_without_a_prompt_the_default_one_of_the_model_stays_away(model, suite):
    plain = encode(model, suite("sts"))
    model.default_prompt_name = "STS"
    np.testing.assert_allclose(encode(model, suite("sts"))[0], plain[0], atol=1e-6)
    assert np.abs(encode(model, suite("sts", prompt="STS"))[0] - plain[0]).max() > 1e-3


def test_each_distinct_sentence_is_encoded_once_for_all_widths(model, suite, score, monkeypatch):
    encoded = []
    real = model.encode
    monkeypatch.setattr(model, "encode", lambda texts, **kwargs: (encoded.extend(texts), real(texts, **kwargs))[1])
    score({"teacher": model}, [suite("sts")], truncate_dims=MATRYOSHKA_DIMS)
    assert sorted(encoded) == sorted(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_measures_the_metrics_it_says_at_every_width(model, suite, kind):
    one = suite(kind)
    embeddings = encode(model, one)
    assert [column.shape for column in embeddings] == [(len(next(iter(one.table.values()))), 32)] * len(embeddings)
    for dim in MATRYOSHKA_DIMS:
        samples = measure_suite(one, embeddings, dim)
        assert tuple(samples) == KINDS[kind].metrics
        for sample in samples.values():
            assert np.isfinite(sample.statistic.measure(sample.values, sample.targets))


def test_a_truncated_width_equals_encoding_at_that_width(model, suite):
    one = suite("sts")
    samples = measure_suite(one, encode(model, one), 8)
    left, right = (
        model.encode(one.table[column], truncate_dim=8, normalize_embeddings=True)
        for column in ("sentence1", "sentence2")
    )
    np.testing.assert_allclose(samples["spearman_cosine"].values, (left * right).sum(axis=1), atol=1e-6)


def test_labelled_pairs_are_ranked_by_cosine(model, suite):
    one = suite("pairs")
    embeddings = encode(model, one)
    cosines = pairwise_cos_sim(*map(torch.tensor, embeddings)).numpy()
    sample = measure_suite(one, embeddings, 32)["average_precision_cosine"]
    expected = average_precision_score(one.table["label"], cosines)
    assert sample.statistic.measure(sample.values, sample.targets) == pytest.approx(expected)


def test_a_query_with_several_passages_and_a_passage_of_several_queries_count_once(model, suite):
    one = suite("retrieval")
    sample = measure_suite(one, encode(model, one), 32)["ndcg_at_10_cosine"]
    assert len(sample.values) == 4
    table = {"sentence1": list(TEXTS), "sentence2": list(TEXTS)}
    same = suite("retrieval", table)
    assert measure_suite(same, encode(model, same), 8)["ndcg_at_10_cosine"].values.tolist() == [1] * len(TEXTS)


def test_a_query_that_is_a_passage_too_is_searched_for_as_sentence_transformers_does_without_it(model, suite):
    """Of paraphrases given both ways, each text is the nearest to itself."""
    left, right = [TEXTS[0], *TEXTS[:4]], [*TEXTS[1:5], TEXTS[5]]
    table = {"sentence1": [*left, *right], "sentence2": [*right, *left]}
    model.prompts.clear()
    both = suite("retrieval", table)
    found = measure_suite(both, encode(model, both), 32)
    relevant = {query: set() for query in table["sentence1"]}
    for query, passage in zip(*table.values(), strict=True):
        relevant[query].add(passage)
    assert max(map(len, relevant.values())) > 1
    for metric, name in (("ndcg_at_10_cosine", "cosine_ndcg@10"), ("recall_at_1_cosine", "cosine_recall@1")):
        expected = []
        for query, answers in relevant.items():
            corpus = {text: text for text in table["sentence2"] if text != query or text in answers}
            evaluator = InformationRetrievalEvaluator({query: query}, corpus, {query: answers})
            expected.append(evaluator(model)[name])
        np.testing.assert_allclose(found[metric].values, expected, atol=1e-6)


def test_any_model_that_automodel_loads_can_be_scored(tmp_path, encoders, suite, score):
    """A plain encoder without a sentence-transformers layout is pooled by its mean, and the score says so."""
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(encoders("bert") / name, tmp_path / name)
    config = json.loads((encoders("bert") / "config.json").read_text())
    plain = {key: value for key, value in config.items() if key not in ("auto_map", "matryoshka_dims")}
    (tmp_path / "config.json").write_text(json.dumps(plain))
    assert type(AutoModel.from_pretrained(tmp_path)).__name__ == "BertModel"
    report = score({"bert": load_encoder(tmp_path, "float32", "cpu")}, [suite("sts")], truncate_dims=(32,))
    assert {entry.pooling for entry in report.scores} == {"mean"}
    table = suite("sts").table
    texts = [*table["sentence1"], *table["sentence2"]]
    batch = AutoTokenizer.from_pretrained(tmp_path)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(tmp_path)(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    cosines = (vectors[:5] * vectors[5:]).sum(1).numpy()
    assert report.scores[0].value == pytest.approx(spearmanr(cosines, table["score"]).statistic)


def test_a_model_that_gives_nan_is_refused_with_the_text(model, suite, monkeypatch):
    real = model.encode

    def overflow(texts, **settings):
        embeddings = real(texts, **settings)
        embeddings[[text == TEXTS[1] for text in texts]] = np.nan
        return embeddings

    monkeypatch.setattr(model, "encode", overflow)
    with pytest.raises(ValueError, match=r"the model gave 1 of 6 texts .* the first is 'Kedi uyuyor\.'"):
        encode(model, suite("sts"))


def test_an_unknown_prompt_is_refused(model, suite):
    with pytest.raises(ValueError, match="suite `sts` asks for the prompt 'sts'; the model has"):
        encode(model, suite("sts", prompt="sts"))
