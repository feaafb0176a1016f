"""The gate: what is required of scores, and what it takes to pass."""

import pytest
from score_samples import make_score

from hf_turkembed.scores import Requirement
from hf_turkembed.scoring.gate import check_requirements, judge


def score(model, value, suite="sts", dim=64, metric="spearman_cosine"):
    missing = None if value is not None else "constant"
    return make_score(
        model=model, value=value, interval=None, suite=suite, truncate_dim=dim, metric=metric, missing=missing
    )


SCORES = [score("teacher", 0.7), score("student", 0.65), score("student", 0.6, dim=32), score("other", 0.7)]


def passed(*requirements, scores=SCORES):
    return {(verdict.model, verdict.truncate_dim): verdict.passed for verdict in judge(requirements, scores)}


def test_a_minimum_holds_for_every_model_and_width_that_is_not_named():
    assert passed(Requirement(metric="spearman_cosine", min=0.65)) == {
        ("teacher", 64): True,
        ("student", 64): True,
        ("student", 32): False,
        ("other", 64): True,
    }
    assert passed(Requirement(metric="spearman_cosine", min=0.65, truncate_dim=64, model="student")) == {
        ("student", 64): True
    }


def test_another_model_is_the_bound_for_all_but_itself():
    verdicts = judge([Requirement(metric="spearman_cosine", at_least="teacher", truncate_dim=64)], SCORES)
    assert [(v.model, v.value, v.bound, v.passed) for v in verdicts] == [
        ("student", 0.65, 0.7, False),
        ("other", 0.7, 0.7, True),
    ]
    assert "required at least 0.7000 of `teacher`" in verdicts[0].describe()


def test_what_is_missing_does_not_pass():
    assert passed(Requirement(metric="spearman_cosine", min=0.1), scores=[score("student", None)]) == {
        ("student", 64): False
    }
    # The teacher has no score at this width.
    assert passed(Requirement(metric="spearman_cosine", at_least="teacher", truncate_dim=32)) == {
        ("student", 32): False
    }


def test_a_suite_that_is_not_named_is_not_judged():
    scores = [*SCORES, score("student", 0.1, suite="other")]
    assert passed(Requirement(metric="spearman_cosine", min=0.6, suite="sts", model="student"), scores=scores) == {
        ("student", 64): True,
        ("student", 32): True,
    }


def test_a_metric_that_no_suite_measures_is_refused_before_any_work():
    kinds = {"sts": "sts", "nli": "triplets"}
    check_requirements([Requirement(metric="accuracy_cosine", min=0.5)], kinds)
    with pytest.raises(ValueError, match="'accuracy'; the suites measure accuracy_cosine, pearson_cosine, spearman_c"):
        check_requirements([Requirement(metric="accuracy", min=0.5)], kinds)
    with pytest.raises(ValueError, match="'accuracy_cosine'; the suites measure pearson_cosine, spearman_cosine"):
        check_requirements([Requirement(metric="accuracy_cosine", min=0.5, suite="sts")], kinds)


def test_a_requirement_that_is_about_no_score_is_not_met():
    (verdict,) = judge([Requirement(metric="spearman_cosine", min=0.1, model="student", truncate_dim=128)], SCORES)
    assert not verdict.passed and "is about no score that was measured" in verdict.describe()


def test_a_model_is_not_set_against_itself():
    with pytest.raises(ValueError, match="sets `teacher` against itself"):
        Requirement(metric="spearman_cosine", model="teacher", at_least="teacher")
