"""Time a whole scoring suite beside encoding its distinct sentences once, which is the least it can take.

python recipes/benchmarks/score.py --model DIR --pairs FILE.tsv --truncate-dims 128 64 32

Reports the ratio of both, and of the vectorised bootstrap beside scipy's on the same data; medians of several runs,
the contenders by turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from scipy import stats
from sentence_transformers import SentenceTransformer

from hf_turkembed import corpus
from hf_turkembed.scores import Resampling, ScoreDataset
from hf_turkembed.scoring import ScoredModel, Suite, metrics, resampling, score_models
from hf_turkembed.scoring.suites import encode_suites, measure_suite

_RESAMPLES = 10_000
_BATCH_SIZE = 128


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a model")
    parser.add_argument("--pairs", type=Path, required=True, help="TSV with sentence1, sentence2 and score")
    parser.add_argument("--truncate-dims", type=int, nargs="+", required=True, help="widths to score")
    parser.add_argument("--runs", type=int, default=5, help="measurements of each contender (default: 5)")
    arguments = parser.parse_args()
    accelerator = Accelerator()
    model = SentenceTransformer(
        str(arguments.model), device=str(accelerator.device), model_kwargs={"dtype": torch.float32}
    )
    table = corpus.read_pairs(arguments.pairs, columns=("sentence1", "sentence2", "score"), highest_score=5)
    texts = sorted({*table["sentence1"], *table["sentence2"]}, key=lambda text: -len(text))
    suite = Suite(name="sts", kind="sts", table=table, dataset=ScoreDataset(name="pairs"), prompt=None)
    dims = tuple(arguments.truncate_dims)
    scored = ScoredModel(role="model", digest="", load=lambda: model, truncate_dims=dims, precision="float32")

    def measure_widths() -> None:
        (embeddings,) = encode_suites(model, [suite], accelerator, _BATCH_SIZE)
        for dim in dims:
            for sample in measure_suite(suite, embeddings, dim).values():
                sample.statistic.measure(sample.values, sample.targets)

    def score(resamples: int) -> None:
        how = Resampling(resamples=resamples, seed=1)
        score_models([scored], [suite], accelerator, batch_size=_BATCH_SIZE, resampling=how)

    times = measure(
        {
            "encoding the distinct sentences once": lambda: model.encode(texts, batch_size=_BATCH_SIZE),
            f"the suite at {len(dims)} widths": measure_widths,
            "the suite with intervals of 2,000 resamples, the default": lambda: score(2000),
            f"the suite with intervals of {_RESAMPLES:,} resamples": lambda: score(_RESAMPLES),
        },
        arguments.runs,
    )
    report(f"{len(table['score']):,} pairs, {len(texts):,} distinct sentences", times)

    left, right = (model.encode(table[column]) for column in ("sentence1", "sentence2"))
    values, targets = metrics.similarities(left, right, "cosine"), np.array(table["score"])
    sample = resampling.Sample(statistic=resampling.SPEARMAN, values=values, targets=targets)
    times = measure(
        {
            "bootstrap of Spearman, ours": lambda: resampling.bootstrap([sample], _RESAMPLES, seed=1),
            "bootstrap of Spearman, scipy, vectorised": lambda: bootstrap_with_scipy(values, targets),
        },
        arguments.runs,
    )
    report(f"{_RESAMPLES:,} resamples of {len(values):,} pairs", times)


def bootstrap_with_scipy(values: resampling.Values, targets: resampling.Values) -> None:
    """Bootstrap the same statistic with scipy, in its fastest form: many resamples are ranked at once."""

    def spearman(left: resampling.Values, right: resampling.Values, axis: int = -1) -> resampling.Values:
        ranks = stats.rankdata(left, axis=axis), stats.rankdata(right, axis=axis)
        return np.asarray(stats.pearsonr(*ranks, axis=axis).statistic, dtype=np.float64)

    stats.bootstrap(
        (values, targets), spearman, n_resamples=_RESAMPLES, batch=500, paired=True, method="percentile", rng=1
    )


def measure(contenders: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Time contenders by turns, after one run of each that does not count."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run in range(runs + 1):
        for name, contender in contenders.items():
            started = time.perf_counter()
            contender()
            if run:
                times[name].append(time.perf_counter() - started)
    return times


def report(title: str, times: Mapping[str, list[float]]) -> None:
    """Print medians, and the ratio of every contender to the first."""
    print(f"\n{title}, median of {len(next(iter(times.values())))} runs:")
    first = statistics.median(next(iter(times.values())))
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"  {median:8.3f} s  {median / first:6.2f} x  {name} ({min(measured):.3f} to {max(measured):.3f})")


if __name__ == "__main__":
    main()
