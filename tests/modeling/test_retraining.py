"""A published model, trained further by plain sentence-transformers in a process without this package."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from hf_turkembed.publishing import check_loaders

pytestmark = pytest.mark.launch

RETRAIN = """
import sys
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

source, without_code, with_code, *texts = sys.argv[1:]

def train_further(target, trust):
    model = SentenceTransformer(source, device="cpu", trust_remote_code=trust)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(model.preprocess(texts))["sentence_embedding"][:, :4].sum().backward()
    optimizer.step()
    model.save_pretrained(target)

train_further(without_code, False)
try:
    AutoModel.from_pretrained(without_code, trust_remote_code=True)
except OSError as error:
    print(error)
# From here on the whole process knows the repo's code.
train_further(with_code, True)
assert not [name for name in sys.modules if name.startswith("hf_turkembed")]
"""


@pytest.fixture(scope="module")
def retrained(gemma, tmp_path_factory):
    """Folders of a model trained further without the repo's code and with it, and what the process printed."""
    folders = [tmp_path_factory.mktemp(name) for name in ("without_code", "with_code")]
    command = [sys.executable, "-c", RETRAIN, str(gemma), *map(str, folders), *TEXTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return *folders, done.stdout


def embeddings(folder, dim, **settings):
    batch = AutoTokenizer.from_pretrained(folder)(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        return AutoModel.from_pretrained(folder, truncate_dim=dim, **settings)(**batch).pooler_output


def test_trained_further_with_its_code_it_loads_the_same_in_every_way(gemma, retrained):
    _, folder, _ = retrained
    assert [check for check in check_loaders(folder, "model") if not check.passed] == []
    before = SentenceTransformer(str(gemma), device="cpu").encode(list(TEXTS))
    assert np.abs(before - SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS))).max() > 1e-3


def test_trained_further_without_its_code_it_loads_the_same_in_all_ways_that_need_none(retrained):
    folder, *_ = retrained
    model = SentenceTransformer(str(folder), device="cpu")
    for dim in MATRYOSHKA_DIMS:
        plain = torch.tensor(model.encode(list(TEXTS), normalize_embeddings=True, truncate_dim=dim))
        torch.testing.assert_close(embeddings(folder, dim), plain, atol=1e-6, rtol=0)


def test_code_that_stayed_behind_is_named_when_it_is_asked_for(retrained):
    folder, _, printed = retrained
    assert str(folder) in printed and "modeling_matryoshka_gemma3.py" in printed
