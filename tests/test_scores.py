"""Scores as they are written: finite or explicitly missing, whole after reading, and a gate that holds."""

from dataclasses import replace

import pytest
from score_samples import REPORT, make_comparison, make_score

from hf_turkembed.scores import Requirement, ScoreReport, read_scores, write_scores

SCORE, COMPARISON, FAILED = make_score(), make_comparison(), REPORT.verdicts[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="finite or explicitly missing"):
        replace(SCORE, value=value)


def test_a_score_is_either_there_or_missing_with_a_reason():
    with pytest.raises(ValueError, match="either a value or the reason"):
        replace(SCORE, value=None)
    with pytest.raises(ValueError, match="either a value or the reason"):
        replace(SCORE, missing="no data")
    assert replace(SCORE, value=None, missing="constant scores").missing == "constant scores"


@pytest.mark.parametrize("interval", [(0.1, float("nan")), (0.6, 0.4)])
def test_an_interval_has_finite_bounds_in_order(interval):
    with pytest.raises(ValueError, match="finite bounds, the lower one first"):
        replace(SCORE, interval=interval)


def test_a_report_survives_its_file(tmp_path):
    for report in (REPORT, ScoreReport(scores=())):
        write_scores(tmp_path, report)
        assert read_scores(tmp_path / "scores.json") == report


@pytest.mark.parametrize("damage", [('"schema_version": 4', '"schema_version": 2'), ('"rows"', '"row"')])
def test_a_report_that_is_damaged_or_of_another_version_is_refused(tmp_path, damage):
    write_scores(tmp_path, REPORT)
    path = tmp_path / "scores.json"
    path.write_text(path.read_text().replace(*damage))
    with pytest.raises(ValueError, match=r"scores.json (has schema version|is damaged)"):
        read_scores(path)


def test_a_comparison_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match=r"comparison of `student` and `teacher`.*not finite"):
        replace(COMPARISON, difference=float("nan"))


@pytest.mark.parametrize("bounds", [{}, {"min": 0.1, "at_least": "teacher"}])
def test_a_requirement_has_one_bound(bounds):
    with pytest.raises(ValueError, match="needs either `min` or `at_least`"):
        Requirement(metric="spearman_cosine", **bounds)


def test_a_failed_requirement_stops_with_what_was_found_and_what_was_required():
    with pytest.raises(
        ValueError,
        match=r"(?s)1 of 1 scores miss.*`student` on `sts-test` at 64 dimensions is 0.7500, required at least 0.8000",
    ):
        REPORT.check_gate()
    replace(REPORT, verdicts=(replace(FAILED, value=0.9, passed=True),)).check_gate()


def test_a_missing_score_says_so_where_it_fails_a_requirement():
    with pytest.raises(ValueError, match=r"is missing, required at least 0.8000"):
        replace(REPORT, verdicts=(replace(FAILED, value=None),)).check_gate()


def test_a_warning_stops_publishing_where_the_run_is_strict_only():
    report = replace(REPORT, verdicts=())
    report.check_gate()
    with pytest.raises(ValueError, match=r"(?s)1 of 2 diagnostics warn.*`anisotropy` of `student` is 0.7500.*bunched"):
        replace(report, strict=True).check_gate()
    replace(report, strict=True, diagnostics=report.diagnostics[1:]).check_gate()
