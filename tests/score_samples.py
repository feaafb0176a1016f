"""A score, a comparison and a report with everything in it, of which tests change what they are about."""

from dataclasses import replace

from hf_turkembed.findings import Diagnostic, LongTextPoint, ProfilePoint, SearchCost
from hf_turkembed.scores import (
    BenchmarkMean,
    BenchmarkReport,
    Comparison,
    Requirement,
    Resampling,
    Score,
    ScoreDataset,
    ScoreReport,
    SeedSpread,
    Verdict,
)


def make_score(**changes) -> Score:
    """Build a student's score on a real dataset; keywords override its fields."""
    score = Score(
        model="student",
        model_digest="0" * 64,
        suite="sts-test",
        task="semantic-similarity",
        dataset=ScoreDataset(name="example/sts-tr", revision="2" * 40, split="test"),
        metric="spearman_cosine",
        value=0.78125,
        interval=(0.7611, 0.8013),
        truncate_dim=64,
        embedding_dim=64,
        prompt=None,
        pooling="mean",
        max_length=512,
        precision="float32",
        rows=1379,
    )
    return replace(score, **changes)


def make_comparison(**changes) -> Comparison:
    """Build the comparison of a student with its teacher; keywords override its fields."""
    comparison = Comparison(
        suite="sts-test",
        metric="spearman_cosine",
        truncate_dim=64,
        model="student",
        baseline="teacher",
        difference=-0.03125,
        interval=(-0.0402, -0.0221),
        p_value=0.0002,
        p_adjusted=0.0004,
        rows=1379,
    )
    return replace(comparison, **changes)


def make_benchmark() -> BenchmarkReport:
    """Build scores of two models on two tasks of a benchmark of three, one of them missing."""
    common = {"metric": "max_ap", "rows": None, "interval": None, "task": "PairClassification"}
    tasks = {"SnliTr": "example/snli_tr", "MnliTr": "example/mnli_tr"}
    scores = [
        make_score(**common, model=model, suite=task, dataset=ScoreDataset(name=name, revision="3" * 40, split="test"))
        for model in ("student", "teacher")
        for task, name in tasks.items()
    ]
    scores[1] = replace(
        scores[1], value=None, missing="no such dataset", dataset=ScoreDataset(name=tasks["MnliTr"], split="test")
    )
    means = [
        BenchmarkMean(model=model, over=over, value=0.78125, count=count, total=total)
        for model, found in (("student", 1), ("teacher", 2))
        for over, count, total in (("tasks", found, 3), ("PairClassification", found, 2))
    ]
    return BenchmarkReport(name="TR-MTEB", runner="mteb 2.26.24", scores=tuple(scores), means=tuple(means))


REPORT = ScoreReport(
    scores=(
        make_score(),
        make_score(dataset=ScoreDataset(name="x", digest="cd", split="dev")),
        make_score(truncate_dim=32, value=None, interval=None, missing="why"),
    ),
    command="recipes/score.py x.yaml",
    resampling=Resampling(resamples=1000, seed=1),
    comparisons=(make_comparison(), make_comparison(interval=None)),
    seeds=(
        SeedSpread(
            group="g", models=("a", "b"), suite="sts", metric="spearman_cosine", truncate_dim=64, mean=0.5, std=0.1
        ),
    ),
    verdicts=(
        Verdict(
            requirement=Requirement(metric="spearman_cosine", min=0.8),
            suite="sts-test",
            model="student",
            truncate_dim=64,
            value=0.75,
            bound=0.8,
            passed=False,
        ),
    ),
    benchmark=make_benchmark(),
    profile=(
        ProfilePoint(
            model="student",
            suite="sts-test",
            metric="spearman_cosine",
            truncate_dim=64,
            quantization="int8",
            value=0.78,
            interval=(0.76, 0.8),
            synthetic=False,
        ),
        ProfilePoint(
            model="student",
            suite="sts-test",
            metric="spearman_cosine",
            truncate_dim=64,
            quantization="binary",
            value=None,
            interval=None,
            synthetic=False,
        ),
    ),
    observed_search=(SearchCost(truncate_dim=64, quantization="int8", search_ms=1.25, vectors=100_000, load=0.5),),
    long_text=(
        LongTextPoint(
            model="student",
            length=4096,
            surroundings="shared",
            accuracy=0.75,
            interval=(0.6, 0.9),
            queries=64,
            candidates=16,
            decided_from=3900,
            max_length=8192,
            synthetic=False,
        ),
    ),
    diagnostics=(
        Diagnostic(name="anisotropy", model="student", suite=None, value=0.75, threshold=0.5, detail="900 texts"),
        Diagnostic(name="leaked_rows", model="student", suite="sts-test", value=None, threshold=0.01, missing="why"),
    ),
)
