"""What similarity of spelling alone scores: a floor that a sentence encoder should stand above."""

import re
from collections.abc import Sequence

import numpy as np

from hf_turkembed.scores import Score
from hf_turkembed.scoring.resampling import PEARSON, SPEARMAN, Sample, measure_sample
from hf_turkembed.scoring.suites import KINDS, Suite

FLOOR = "character TF-IDF"
_METHOD = "cosine of TF-IDF over 3 and 4 letters within words"
_PUNCTUATION = re.compile(r"[^\w\s]")


def score_lexical_floor(suites: Sequence[Suite], truncate_dims: Sequence[int]) -> list[tuple[Score, Sample]]:
    """Score the cosine of TF-IDF vectors, over 3 and 4 letters or digits within words, on graded pairs.

    A count of n weighs 1 + ln n, and is multiplied by 1 + ln(N / df), over the suite's own sentences. The vectors have
    no widths: the same score stands at every width, so that models are compared with it at each.

    Args:
        suites: Held-out data; those of other kinds than `sts` are passed over.
        truncate_dims: Widths that models are scored at.

    Returns:
        Scores under the role `FLOOR`, without intervals, and the rows behind them.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = []
    for suite in suites:
        if suite.kind != "sts":
            continue
        first, second = (list(suite.table[column]) for column in KINDS["sts"].text_columns)
        vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 4), preprocessor=_simplify, sublinear_tf=True, smooth_idf=False
        )
        vectorizer.fit([*first, *second])
        left, right = vectorizer.transform(first), vectorizer.transform(second)
        # Rows are of unit norm, or zero where a text is shorter than three characters.
        values = np.asarray(left.multiply(right).sum(axis=1), dtype=np.float64).ravel()
        targets = np.asarray(suite.table["score"], dtype=np.float64)
        for metric, statistic in (("spearman_cosine", SPEARMAN), ("pearson_cosine", PEARSON)):
            sample = Sample(statistic=statistic, values=values, targets=targets)
            for dim in truncate_dims:
                found.append((_describe(suite, metric, sample, dim, left.shape[1]), sample))
    return found


def _simplify(text: str) -> str:
    """Return small letters as in Turkish, ı for I and i for İ, without punctuation."""
    return _PUNCTUATION.sub("", text.replace("İ", "i").replace("I", "ı").lower())


def _describe(suite: Suite, metric: str, sample: Sample, dim: int, features: int) -> Score:
    """Describe one score, which may be missing as those of models are."""
    value, missing = measure_sample(sample)
    return Score(
        model=FLOOR,
        model_digest=_METHOD,
        suite=suite.name,
        task=KINDS[suite.kind].task,
        dataset=suite.dataset,
        metric=metric,
        value=value,
        missing=missing,
        truncate_dim=dim,
        embedding_dim=features,
        prompt=None,
        pooling="none",
        max_length=None,
        precision="float64",
        rows=len(sample.values),
    )
