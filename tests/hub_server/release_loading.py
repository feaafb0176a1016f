"""Loads every repo of a release by its name, in every way, and compares with the folders that it was made from.

`python -m hub_server.release_loading REVISION NAME=FOLDER...`; the names of models, tokenizers and datasets.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from datasets import load_dataset
from samples import TEXTS
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModel, AutoTokenizer

import hf_turkembed  # noqa: F401 - registers the model classes


def check_model(name: str, folder: Path, revision: str) -> None:
    """Compare the embeddings of every loader at every width, and the native class."""
    widths = AutoConfig.from_pretrained(name, revision=revision).matryoshka_dims
    tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    batch = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    for width in widths:
        model = SentenceTransformer(str(folder), device="cpu", truncate_dim=width, model_kwargs={"dtype": "float32"})
        expected = model.encode(list(TEXTS), normalize_embeddings=True)
        ours = AutoModel.from_pretrained(name, revision=revision, truncate_dim=width, dtype="float32").eval()
        plain = SentenceTransformer(
            name, device="cpu", revision=revision, truncate_dim=width, model_kwargs={"dtype": "float32"}
        )
        with torch.no_grad():
            np.testing.assert_allclose(ours(**batch).pooler_output.numpy(), expected, atol=1e-5)
        np.testing.assert_allclose(plain.encode(list(TEXTS), normalize_embeddings=True), expected, atol=1e-6)


def check_tokenizer(name: str, folder: Path, revision: str) -> None:
    """Compare the ids of a text."""
    found, expected = AutoTokenizer.from_pretrained(name, revision=revision), AutoTokenizer.from_pretrained(folder)
    assert found(list(TEXTS)).input_ids == expected(list(TEXTS)).input_ids


def check_dataset(name: str, folder: Path, revision: str) -> None:
    """Compare the texts of every config."""
    for config in sorted(path.name for path in (folder / "data").iterdir()):
        found = load_dataset(name, config, split="train", revision=revision)
        expected = load_dataset("parquet", data_files=str(folder / "data" / config / "train-*.parquet"), split="train")
        assert len(found) > 0 and found["text"][:] == expected["text"][:]


def main(revision: str, *pairs: str) -> None:
    for pair in pairs:
        name, _, place = pair.partition("=")
        folder = Path(place)
        if (folder / "data").is_dir():
            check_dataset(name, folder, revision)
        elif (folder / "modules.json").is_file():
            check_model(name, folder, revision)
        else:
            check_tokenizer(name, folder, revision)
        sys.stdout.write(f"{name} loaded in every way\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
