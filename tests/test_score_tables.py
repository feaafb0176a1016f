"""A report as Markdown: nothing hidden, everything said once."""

from score_samples import REPORT, make_score

from hf_turkembed.score_tables import describe_resampling, format_report, format_scores
from hf_turkembed.scores import Resampling, ScoreReport


def test_a_report_shows_scores_comparisons_seeds_requirements_and_its_command():
    text = format_report(REPORT)
    for part in (
        "0.7812 [0.7611, 0.8013]",
        "Missing: `spearman_cosine` of student on sts-test at 32: why",
        "| student - teacher | -0.0312 [-0.0402, -0.0221] | 0.0002 | 0.0004 |",
        "corrects for all 2 comparisons",
        "| g | 2 | 0.5000 | 0.1000 |",
        "**not met**: `spearman_cosine` of `student` on `sts-test` at 64 dimensions is 0.7500, required at least 0.8",
        "    recipes/score.py x.yaml",
        "## TR-MTEB\n\nRun by mteb",
        "- student: no prompt, pooling `mean`, texts cut to 512 tokens, float32, full width 64",
    ):
        assert part in text


def test_what_was_not_done_has_no_section():
    text = format_report(ScoreReport(scores=(make_score(),)))
    assert "## Scores" in text
    assert not any(word in text for word in ("Comparisons", "seeds", "Requirements", "again", "resamples"))


def test_intervals_say_what_they_are():
    assert describe_resampling(Resampling(resamples=10_000, seed=3)).startswith(
        "Brackets hold 95 % percentile intervals of 10,000 bootstrap resamples of the rows"
    )


def test_one_column_a_model_and_the_published_one_is_marked():
    table = format_scores([make_score(model="teacher"), make_score(model_digest="cd")], digest="cd")
    assert "| suite | metric | width | teacher | **student (this model)** | rows | data |" in table
    assert table.count("\n") == 2
