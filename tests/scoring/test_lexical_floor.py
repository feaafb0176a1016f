"""Similarity of spelling alone, as a floor under what models score."""

import pytest
from scipy.stats import spearmanr

from hf_turkembed.scores import ScoreDataset
from hf_turkembed.scoring import Suite
from hf_turkembed.scoring.lexical_floor import FLOOR, score_lexical_floor

PAIRS = {
    "sentence1": ["Kedi uyuyor.", "Kedi uyuyor.", "Kedi uyuyor.", "ILIK SU", "a"],
    "sentence2": ["Kedi uyuyor.", "Kedi uyudu.", "Hava soğuk.", "ılık su", "b"],
    "score": [1.0, 0.6, 0.0, 0.9, 0.1],
}


def suite(kind, table):
    dataset = ScoreDataset(name="pairs.tsv", digest="0" * 64, synthetic=True)
    return Suite(name=kind, kind=kind, table=table, dataset=dataset, prompt=None)


def test_spelling_scores_the_same_at_every_width():
    found = score_lexical_floor([suite("sts", PAIRS)], (64, 32))
    assert [(score.metric, score.truncate_dim) for score, _ in found] == [
        (metric, dim) for metric in ("spearman_cosine", "pearson_cosine") for dim in (64, 32)
    ]
    assert {score.model for score, _ in found} == {FLOOR}
    values = found[0][1].values
    assert values[0] == pytest.approx(1) and values[0] > values[1] > values[2] == 0
    # Small letters as in Turkish; texts of one letter have nothing in common.
    assert values[3] == pytest.approx(1) and values[4] == 0
    assert found[0][0].value == found[1][0].value == pytest.approx(spearmanr(values, PAIRS["score"])[0])


def test_pairs_that_are_all_alike_have_no_floor_and_the_reason_is_given():
    found = score_lexical_floor([suite("sts", {**PAIRS, "score": [1.0] * 5})], (8,))
    assert [score.value for score, _ in found] == [None, None] and all(score.missing for score, _ in found)


def test_only_graded_pairs_have_a_floor():
    table = {"anchor": ["a"], "positive": ["b"], "negative": ["c"]}
    assert score_lexical_floor([suite("triplets", table)], (8,)) == []
