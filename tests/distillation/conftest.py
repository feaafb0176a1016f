"""A small store of teacher vectors, and a student that has something to learn from it."""

import pytest
import torch
from sentence_transformers import SentenceTransformer
from stores import embed


@pytest.fixture(scope="session")
def vectors(gemma, tmp_path_factory):
    """The store of a corpus of 36 texts, two of them for validation, with what the heads are given."""
    folder = tmp_path_factory.mktemp("vectors")
    embed(gemma, folder, settings={"pre_dense": True})
    return folder


@pytest.fixture
def student(gemma):
    """The teacher with its table shaken."""
    model = SentenceTransformer(str(gemma), device="cpu")
    torch.manual_seed(1)
    with torch.no_grad():
        table = model[0].model.get_input_embeddings().weight
        table += 0.02 * torch.randn_like(table)
    return model
