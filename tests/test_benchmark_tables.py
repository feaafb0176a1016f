"""A benchmark as Markdown: every mean with the tasks behind it, every missing task by name, others' figures marked."""

from dataclasses import replace

from score_samples import make_benchmark

from hf_turkembed.benchmark_tables import format_benchmark
from hf_turkembed.scores import PublishedScores

REPORT = make_benchmark()
PUBLISHED = (
    PublishedScores(model="rival", means={"tasks": 0.6}, tasks={}, source="https://example.org/rivals"),
    PublishedScores(model="better", means={"tasks": 0.7}, tasks={}, source="https://example.org/rivals"),
    PublishedScores(
        model="paper",
        means={"tasks": 0.5, "PairClassification": 0.25},
        tasks={"SnliTr": 0.25},
        source="https://example.org/paper",
    ),
    PublishedScores(model="other", means={"tasks": 0.4}, tasks={"SnliTr": 0.5}, source="https://example.org/paper"),
)


def test_means_say_over_how_many_tasks_they_are_and_missing_tasks_why():
    text = format_benchmark(REPORT)
    for part in (
        "Run by mteb 2.26.24, each model at its full width.",
        "| mean over | tasks | PairClassification |",
        "| student | 0.7812 (1 of 3) | 0.7812 (1 of 2) |",
        "| teacher | 0.7812 (2 of 3) | 0.7812 |",
        "Means over fewer tasks than the benchmark has cannot be compared with others.",
        "| SnliTr | `max_ap` | `example/snli_tr` @ `3333333`, test | 0.7812 | 0.7812 |",
        "| MnliTr | `max_ap` | `example/mnli_tr` @ `3333333`, test | missing | 0.7812 |",
        "- Missing: MnliTr of student: no such dataset",
    ):
        assert part in text
    assert "ublished" not in text


def test_published_scores_stand_beside_and_are_marked():
    text = format_benchmark(REPORT, PUBLISHED)
    for part in (
        "| 0.7812 |\n| better, published (1) | 0.7000 |  |\n| rival, published (1) | 0.6000 |  |",
        "| paper, published (2) | 0.5000 | 0.2500 |",
        "Published means were not measured here",
        "- (1) https://example.org/rivals\n- (2) https://example.org/paper",
        "| task | metric | data | student | teacher | published, lowest to highest of 2 |",
        ", test | 0.7812 | 0.7812 | 0.2500 to 0.5000 |",
        ", test | missing | 0.7812 |  |",
    ):
        assert part in text


def test_a_whole_benchmark_carries_no_warning():
    whole = [replace(mean, count=mean.total) for mean in REPORT.means]
    text = format_benchmark(replace(REPORT, means=tuple(whole)))
    assert "cannot be compared" not in text and " of " not in text.split("| task |")[0]
