"""A report as Markdown: nothing hidden, everything said once."""

from dataclasses import replace

from test_scores import REPORT, SCORE

from hf_turkembed.score_tables import describe_resampling, format_report, format_scores
from hf_turkembed.scores import Resampling, ScoreReport


def test_a_report_shows_scores_comparisons_seeds_requirements_and_its_command():
    text = format_report(REPORT)
    for part in (
        "0.5000 [0.4000, 0.6000]",
        "Missing: `spearman_cosine` of teacher on sts at 32: why",
        "| student - teacher | +0.0100 [-0.0100, +0.0300] | 0.2000 | 0.4000 |",
        "corrects for all 2 comparisons",
        "| g | 2 | 0.5000 | 0.1000 |",
        "**not met**: `spearman_cosine` of `teacher` on `sts` at 64 dimensions is 0.5000, required at least 0.6000",
        "    recipes/score.py x.yaml",
        "- teacher: no prompt, pooling `mean`, texts cut to 512 tokens, float32, full width 128",
    ):
        assert part in text


def test_what_was_not_done_has_no_section():
    text = format_report(ScoreReport(scores=(SCORE,)))
    assert "## Scores" in text
    assert not any(word in text for word in ("Comparisons", "seeds", "Requirements", "again", "resamples"))


def test_intervals_say_what_they_are():
    assert describe_resampling(Resampling(resamples=10_000, seed=3)).startswith(
        "Brackets hold 95 % percentile intervals of 10,000 bootstrap resamples of the rows"
    )


def test_one_column_a_model_and_the_published_one_is_marked():
    table = format_scores([SCORE, replace(SCORE, model="student", model_digest="cd", value=0.6)], digest="cd")
    assert "| suite | metric | width | teacher | **student (this model)** | rows | data |" in table
    assert table.count("\n") == 2
