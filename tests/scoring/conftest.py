"""Small held-out data of every kind, and a model to score on it."""

import pytest
from accelerate import Accelerator
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer

from hf_turkembed.scores import Resampling, ScoreDataset
from hf_turkembed.scoring import ScoredModel, Suite, score_models

LEFT = [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], TEXTS[4]]
RIGHT = [TEXTS[3], TEXTS[4], TEXTS[0], TEXTS[3], TEXTS[5]]
TABLES = {
    "sts": {"sentence1": LEFT, "sentence2": RIGHT, "score": [0.8, 0.1, 0.4, 1.0, 0.3]},
    "triplets": {"anchor": list(TEXTS[:3]), "positive": list(TEXTS[1:4]), "negative": list(TEXTS[3:6])},
    "pairs": {"sentence1": LEFT, "sentence2": RIGHT, "label": [1, 0, 0, 1, 1]},
    "bitext": {"sentence1": list(TEXTS), "sentence2": [*TEXTS[1:], TEXTS[0]]},
    # The first query has two passages, and two queries share one.
    "retrieval": {"sentence1": [TEXTS[0], TEXTS[0], *TEXTS[1:4]], "sentence2": [*TEXTS[1:5], TEXTS[4]]},
}


@pytest.fixture
def model(gemma):
    return SentenceTransformer(str(gemma), device="cpu")


@pytest.fixture
def suite():
    """Build a suite of a kind, with a table of its own or a given one."""

    def build(kind, table=None, **changes):
        settings = {"name": kind, "dataset": ScoreDataset(name="x"), "prompt": None, **changes}
        return Suite(kind=kind, table=table or TABLES[kind], **settings)

    return build


@pytest.fixture
def score():
    """Score models, by role, on suites."""

    def run(models, suites, *, truncate_dims=MATRYOSHKA_DIMS, resamples=1000, batch_size=2, **settings):
        scored = [
            ScoredModel(
                role=role,
                digest="ab",
                load=lambda model=model: model,
                truncate_dims=tuple(truncate_dims),
                precision="float32",
            )
            for role, model in models.items()
        ]
        resampling = Resampling(resamples=resamples, seed=1)
        return score_models(
            scored, suites, Accelerator(cpu=True), batch_size=batch_size, resampling=resampling, **settings
        )

    return run
