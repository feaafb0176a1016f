"""Whole reports: what a score says of itself, intervals, comparisons with a baseline, spread over seeds."""

import pytest
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

from hf_turkembed.scores import ScoreDataset

PAIRS = {
    "sentence1": [f"{TEXTS[row % 6]} {row}" for row in range(40)],
    "sentence2": [f"{TEXTS[row * 7 % 5]} {row % 9}" for row in range(40)],
    "score": [row * 11 % 17 / 16 for row in range(40)],
}


@pytest.fixture
def other(encoders):
    return SentenceTransformer(str(encoders("bert")), device="cpu")


def test_a_score_names_all_that_is_needed_to_measure_it_again(model, suite, score):
    data = ScoreDataset(name="org/sts", revision="0" * 40, config="tr", split="test")
    report = score({"teacher": model}, [suite("sts", PAIRS, name="sts-test", dataset=data, prompt="STS")])
    entry = report.scores[0]
    assert (entry.model, entry.model_digest, entry.suite, entry.dataset) == ("teacher", "ab", "sts-test", data)
    assert (entry.task, entry.metric, entry.prompt) == ("semantic-similarity", "spearman_cosine", "STS")
    assert (entry.pooling, entry.max_length, entry.precision) == ("mean", 64, "float32")
    assert (entry.truncate_dim, entry.embedding_dim, entry.rows) == (32, 32, 40)
    assert entry.interval[0] < entry.value < entry.interval[1]
    assert (report.resampling.resamples, report.resampling.seed, report.resampling.confidence) == (1000, 1, 0.95)


@pytest.mark.parametrize("dim", MATRYOSHKA_DIMS)
def test_scores_agree_with_the_evaluator_of_sentence_transformers(model, suite, score, dim):
    expected = EmbeddingSimilarityEvaluator(*PAIRS.values(), truncate_dim=dim, main_similarity="cosine")(model)
    for entry in score({"teacher": model}, [suite("sts", PAIRS)]).scores:
        if entry.truncate_dim == dim:
            assert entry.value == pytest.approx(expected[entry.metric], abs=1e-6)


def test_the_same_seed_gives_the_same_report(model, other, suite, score):
    settings = {"baseline": "teacher", "seed_groups": {"both": ("teacher", "student")}}
    reports = [
        score({"teacher": model, "student": other}, [suite("sts", PAIRS), suite("pairs")], **settings)
        for _ in range(2)
    ]
    assert reports[0] == reports[1]


def test_a_model_is_compared_with_the_baseline_on_everything_both_were_scored_on(model, other, suite, score):
    report = score(
        {"teacher": model, "student": other, "same": model}, [suite("sts", PAIRS), suite("bitext")], baseline="teacher"
    )
    values = {(s.model, s.suite, s.metric, s.truncate_dim): s.value for s in report.scores}
    assert len(report.comparisons) == 2 * (2 + 3) * len(MATRYOSHKA_DIMS)
    for comparison in report.comparisons:
        key = (comparison.suite, comparison.metric, comparison.truncate_dim)
        expected = [values[(role, *key)] for role in ("teacher", comparison.model)]
        assert comparison.difference == pytest.approx(expected[1] - expected[0])
        assert comparison.p_adjusted >= comparison.p_value > 0
        if comparison.model == "same":
            assert (comparison.difference, comparison.interval, comparison.p_value) == (0, (0, 0), 1)
        elif comparison.suite == "sts":
            assert comparison.interval[0] < comparison.difference < comparison.interval[1]


def test_seeds_give_mean_and_spread(model, other, suite, score):
    report = score({"a": model, "b": other}, [suite("sts", PAIRS)], seed_groups={"runs": ("a", "b")})
    spread = report.seeds[0]
    values = [s.value for s in report.scores if (s.metric, s.truncate_dim) == (spread.metric, spread.truncate_dim)]
    assert (spread.group, spread.models) == ("runs", ("a", "b")) and len(report.seeds) == 6
    assert spread.mean == pytest.approx(sum(values) / 2)
    assert spread.std == pytest.approx(abs(values[0] - values[1]) / 2**0.5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"score": [0.5] * 40}, "undefined"), ({name: column[:2] for name, column in PAIRS.items()}, "at least three")],
)
def test_a_score_that_does_not_exist_is_missing_with_its_reason_and_compared_with_nothing(
    model, suite, score, change, reason
):
    report = score(
        {"teacher": model, "student": model},
        [suite("sts", {**PAIRS, **change})],
        baseline="teacher",
        seed_groups={"both": ("teacher", "student")},
    )
    assert len(report.scores) == 12 and (report.comparisons, report.seeds) == ((), ())
    for entry in report.scores:
        assert (entry.value, entry.interval) == (None, None) and reason in entry.missing


def test_a_width_beyond_the_embedding_is_refused_before_any_text_is_encoded(model, suite, score, monkeypatch):
    monkeypatch.setattr(model, "encode", None)
    with pytest.raises(ValueError, match=r"`teacher` gives embeddings of 32 dimensions; it has no width \[64\]"):
        score({"teacher": model}, [suite("sts")], truncate_dims=(64, 32))
