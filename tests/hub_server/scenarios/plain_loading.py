"""Encodes sentences by a repo's name; as a script, on a machine that does not have our package."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from samples import MATRYOSHKA_DIMS, TEXTS


def encode(repo: str, texts: Sequence[str], revision: str | None = None, **settings: Any) -> np.ndarray:
    """Return the sentence embeddings of AutoModel, `(len(texts), truncate_dim)`."""
    from transformers import AutoModel, AutoTokenizer

    batch = AutoTokenizer.from_pretrained(repo, revision=revision)(list(texts), padding=True, return_tensors="pt")
    with torch.no_grad():
        model = AutoModel.from_pretrained(repo, revision=revision, **settings).eval()
        return np.asarray(model(**batch).pooler_output)


def encode_plainly(repo: str, texts: Sequence[str], **settings: Any) -> np.ndarray:
    """Return the sentence embeddings of sentence-transformers, `(len(texts), truncate_dim)`."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(repo, device="cpu", **settings).encode(list(texts), normalize_embeddings=True)


def main(repo: str, output: str) -> None:
    """Load a repo without our package and without trust, and with trust in the code that it brings."""
    sys.modules["hf_turkembed"] = None  # type: ignore[assignment]
    from transformers import AutoModel, AutoTokenizer

    found = {}
    for dim in MATRYOSHKA_DIMS:
        found[f"plain_{dim}"] = encode_plainly(repo, TEXTS, truncate_dim=dim)
        found[f"remote_{dim}"] = encode(repo, TEXTS, truncate_dim=dim, trust_remote_code=True)
    model = AutoModel.from_pretrained(repo)
    assert type(model).__module__.startswith("transformers.models."), type(model)
    batch = AutoTokenizer.from_pretrained(repo)(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        found["hidden"] = np.asarray(model.eval()(**batch).last_hidden_state)
    np.savez(output, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
