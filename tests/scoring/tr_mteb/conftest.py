"""Copies of a few datasets of TR-MTEB, and a model that is scored on them."""

import pytest
from sentence_transformers import SentenceTransformer
from tr_mteb_data import FEW, write_datasets

from hf_turkembed.scoring import ScoredModel
from hf_turkembed.scoring.tr_mteb import score_benchmark


@pytest.fixture(autouse=True)
def datasets_cache(monkeypatch, tmp_path):
    """Keep what `datasets` converts out of the home."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


@pytest.fixture
def data(tmp_path):
    """Copies of the datasets of three kinds of tasks."""
    write_datasets(tmp_path / "datasets", FEW)
    return tmp_path / "datasets"


@pytest.fixture
def run(gemma, tmp_path, data):
    """Score a model on tasks from the copies."""

    def load_gemma():
        return SentenceTransformer(str(gemma), device="cpu")

    def run(*tasks, load=load_gemma, precision="float32", folder=data, prompts=False):
        model = ScoredModel(role="student", digest="ab" * 32, load=load, truncate_dims=(32,), precision=precision)
        settings = {"results": tmp_path / "tr_mteb", "batch_size": 8, "datasets": folder, "prompts": prompts}
        return score_benchmark([(model, "local/student")], tasks, **settings)

    return run
