"""The gate: what is required of scores, and what it takes to pass."""

from dataclasses import replace

import pytest
from score_samples import make_score

from hf_turkembed.scores import BenchmarkReport, Requirement
from hf_turkembed.scoring.gate import check_requirements, judge
from hf_turkembed.scoring.tr_mteb.means import average_scores
from hf_turkembed.scoring.tr_mteb.tasks import MAIN_SCORES, TASKS


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
    check_requirements([Requirement(metric="accuracy_cosine", min=0.5)], kinds, ())
    with pytest.raises(ValueError, match="'accuracy'; the suites measure accuracy_cosine, pearson_cosine, spearman_c"):
        check_requirements([Requirement(metric="accuracy", min=0.5)], kinds, ())
    with pytest.raises(ValueError, match="'accuracy_cosine'; the suites measure pearson_cosine, spearman_cosine"):
        check_requirements([Requirement(metric="accuracy_cosine", min=0.5, suite="sts")], kinds, ())


def test_a_requirement_that_is_about_no_score_is_not_met():
    (verdict,) = judge([Requirement(metric="spearman_cosine", min=0.1, model="student", truncate_dim=128)], SCORES)
    assert not verdict.passed and "is about no score that was measured" in verdict.describe()


def test_a_model_is_not_set_against_itself():
    with pytest.raises(ValueError, match="sets `teacher` against itself"):
        Requirement(metric="spearman_cosine", model="teacher", at_least="teacher")


def benchmark(missing=()):
    """Scores of two models on all of TR-MTEB, the teacher a tenth higher, the student without those in `missing`."""
    scores = [
        replace(
            score(
                model, None if model == "student" and row.name in missing else 0.5 + number / 100 + higher, row.name
            ),
            metric=MAIN_SCORES[row.category],
            task=row.category,
        )
        for model, higher in (("student", 0), ("teacher", 0.1))
        for number, row in enumerate(TASKS)
    ]
    return BenchmarkReport(name="TR-MTEB", runner="mteb", scores=tuple(scores), means=average_scores(scores))


def judged(report, **requirement):
    return judge([Requirement(**requirement)], [], report)


# The mean of 0, 1, ... 25 hundredths; the last 11 tasks are of retrieval, and STSbTR is the 15th.
@pytest.mark.parametrize(("name", "value"), [("tasks", 0.625), ("Retrieval", 0.7), ("STS", 0.64), ("STSbTR", 0.64)])
def test_means_and_tasks_of_tr_mteb_are_required_by_name(name, value):
    (met,) = judged(benchmark(), tr_mteb=name, model="student", min=value - 0.001)
    assert met.passed and met.value == pytest.approx(value)
    (missed,) = judged(benchmark(), tr_mteb=name, at_least="teacher")
    assert not missed.passed and missed.bound == pytest.approx(value + 0.1)
    assert missed.describe() == (
        f"TR-MTEB's `{name}` of `student` is {value:.4f}, required at least {value + 0.1:.4f} of `teacher`"
    )
    assert [verdict.model for verdict in judged(benchmark(), tr_mteb=name, min=0)] == ["student", "teacher"]


@pytest.mark.parametrize("name", ["tasks", "categories", "Retrieval"])
def test_a_mean_that_lacks_a_task_does_not_pass_and_the_task_is_named(name):
    report = benchmark(missing=("TQuadRetrieval", "SCIDOCSTR"))
    (missed,) = judged(report, tr_mteb=name, model="student", min=0)
    assert not missed.passed and missed.value is None
    assert missed.describe().endswith("tasks have a score; missing: TQuadRetrieval, SCIDOCSTR)")
    # Nor is it a bound for others.
    (other,) = judged(report, tr_mteb=name, at_least="student")
    assert not other.passed and other.bound is None and "`student`: " in other.describe()
    # The others are whole.
    assert judged(report, tr_mteb="STS", model="student", min=0)[0].passed


def test_a_task_that_is_missing_does_not_pass_for_its_own_reason():
    (missed,) = judged(benchmark(missing=("TQuadRetrieval",)), tr_mteb="TQuadRetrieval", model="student", min=0)
    assert not missed.passed and missed.describe().endswith("is missing, required at least 0.0000 (constant)")


def test_a_requirement_on_tr_mteb_without_its_scores_does_not_pass():
    (verdict,) = judged(None, tr_mteb="tasks", min=0)
    assert not verdict.passed and "'tr_mteb': 'tasks'" in verdict.describe()


def test_a_requirement_on_tr_mteb_names_what_is_run():
    check_requirements([Requirement(tr_mteb="tasks", min=0)], {}, ())
    check_requirements([Requirement(tr_mteb="STS", min=0)], {}, ("STSbTR",))
    with pytest.raises(ValueError, match=r"`Clustering`, which needs 2 .* leaves out TurkishColumnWritingClustering"):
        check_requirements([Requirement(tr_mteb="Clustering", min=0)], {}, ("TurkishAbstractCorpusClustering",))
    with pytest.raises(ValueError, match="TR-MTEB has no mean or task 'Retreival'; did you mean 'Retrieval'"):
        check_requirements([Requirement(tr_mteb="Retreival", min=0)], {}, ())


@pytest.mark.parametrize("changes", [{}, {"metric": "f1_cosine", "tr_mteb": "tasks"}])
def test_a_requirement_is_on_one_thing(changes):
    with pytest.raises(ValueError, match="needs either `metric` or `tr_mteb`"):
        Requirement(min=0.1, **changes)
    with pytest.raises(ValueError, match="TR-MTEB's `tasks` takes no `suite` or `truncate_dim`"):
        Requirement(tr_mteb="tasks", min=0.1, truncate_dim=64)
