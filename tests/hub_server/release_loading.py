"""Loads every repo of a release by its name, and compares with the folders that it was made from.

`python -m hub_server.release_loading with|without REVISION NAME=FOLDER...`: with our package, or where it cannot be
imported; the names of models, tokenizers and datasets.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import load_dataset
from samples import TEXTS
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModel, AutoTokenizer


def check_model(name: str, folder: Path, revision: str, *, with_package: bool) -> None:
    """Compare the embeddings of the loaders at every width, and without our package the native class."""
    tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    batch = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    settings: dict[str, Any] = {} if with_package else {"trust_remote_code": True}

    def encode(place: str, **loading: Any) -> np.ndarray:
        """Encode with sentence-transformers."""
        loading = {"device": "cpu", "model_kwargs": {"dtype": "float32"}, **loading}
        return SentenceTransformer(place, **loading).encode(list(TEXTS), normalize_embeddings=True)

    for width in AutoConfig.from_pretrained(name, revision=revision).matryoshka_dims:
        expected = encode(str(folder), truncate_dim=width)
        model = AutoModel.from_pretrained(name, revision=revision, truncate_dim=width, dtype="float32", **settings)
        with torch.no_grad():
            np.testing.assert_allclose(model.eval()(**batch).pooler_output.numpy(), expected, atol=1e-5)
        np.testing.assert_allclose(encode(name, revision=revision, truncate_dim=width), expected, atol=1e-6)
    if not with_package:
        states = [
            AutoModel.from_pretrained(place, dtype="float32", **given).eval()(**batch).last_hidden_state
            for place, given in ((name, {"revision": revision}), (folder, {}))
        ]
        torch.testing.assert_close(*states)


def check_tokenizer(name: str, folder: Path, revision: str, **_: Any) -> None:
    """Compare the ids of a text."""
    found, expected = AutoTokenizer.from_pretrained(name, revision=revision), AutoTokenizer.from_pretrained(folder)
    assert found(list(TEXTS)).input_ids == expected(list(TEXTS)).input_ids


def check_dataset(name: str, folder: Path, revision: str, **_: Any) -> None:
    """Compare the rows of every config."""
    for config in sorted(path.name for path in (folder / "data").iterdir()):
        found = load_dataset(name, config, split="train", revision=revision)
        expected = load_dataset("parquet", data_files=str(folder / "data" / config / "train-*.parquet"), split="train")
        assert len(found) > 0 and found[:] == expected[:]


def choose_check(folder: Path) -> Callable[..., None]:
    """Tell from its files what a folder holds."""
    if (folder / "data").is_dir():
        return check_dataset
    return check_model if (folder / "modules.json").is_file() else check_tokenizer


def main(package: str, revision: str, *pairs: str) -> None:
    with_package = package == "with"
    if with_package:
        __import__("hf_turkembed")
    else:
        # What has no module cannot be imported.
        sys.modules["hf_turkembed"] = None  # type: ignore[assignment]
    for pair in pairs:
        name, _, place = pair.partition("=")
        choose_check(Path(place))(name, Path(place), revision, with_package=with_package)
        sys.stdout.write(f"{name} loaded {package} the package\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
