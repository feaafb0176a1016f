"""A published model, trained further by plain sentence-transformers in a process without this package."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from hf_turkembed.publishing import verify_folder

pytestmark = pytest.mark.launch

RETRAIN = """
import sys
import torch
from sentence_transformers import SentenceTransformer

source, target, trust, *texts = sys.argv[1:]
model = SentenceTransformer(source, device="cpu", trust_remote_code=trust == "True")
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
model(model.preprocess(texts))["sentence_embedding"][:, :4].sum().backward()
optimizer.step()
model.save_pretrained(target)
assert not [name for name in sys.modules if name.startswith("hf_turkembed")]
"""


def retrain(source, target, trust):
    command = [sys.executable, "-c", RETRAIN, str(source), str(target), str(trust), *TEXTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def embeddings(folder, dim, **settings):
    batch = AutoTokenizer.from_pretrained(folder)(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        return AutoModel.from_pretrained(folder, truncate_dim=dim, **settings)(**batch).pooler_output


def test_trained_further_with_its_code_it_loads_the_same_in_every_way(gemma, tmp_path):
    retrain(gemma, tmp_path, trust=True)
    verification = verify_folder(tmp_path)
    assert verification.passed, verification.describe_failures()
    before = SentenceTransformer(str(gemma), device="cpu").encode(list(TEXTS))
    assert np.abs(before - SentenceTransformer(str(tmp_path), device="cpu").encode(list(TEXTS))).max() > 1e-3


def test_trained_further_without_its_code_it_loads_the_same_in_all_ways_that_need_none(gemma, tmp_path):
    retrain(gemma, tmp_path, trust=False)
    model = SentenceTransformer(str(tmp_path), device="cpu")
    for dim in MATRYOSHKA_DIMS:
        plain = torch.tensor(model.encode(list(TEXTS), normalize_embeddings=True, truncate_dim=dim))
        torch.testing.assert_close(embeddings(tmp_path, dim), plain, atol=1e-6, rtol=0)
    # The repo's own code stayed behind: to ask for it is an error that names the file, not another embedding.
    load = "AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)"
    code = f"import sys; from transformers import AutoModel; {load}"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "modeling_matryoshka_gemma3.py" in done.stderr
