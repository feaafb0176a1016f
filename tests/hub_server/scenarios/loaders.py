"""Models, tokenizers and datasets: pushed by their classes, and loaded from the Hub as their users would."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, load_dataset
from huggingface_hub import DatasetCard, snapshot_download
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

import hf_turkembed  # noqa: F401 - registers the model classes
from hub_server.client import Client
from hub_server.scenarios.plain_loading import encode, encode_plainly
from hub_server.scenarios.uploads import read_folder

PLAIN_LOADING = "hub_server.scenarios.plain_loading"
LANGUAGES = {"tr": ["Kedi uyuyor.", "Iğdır'dan gelen otobüs gecikti."], "en": ["The cat sleeps."]}


def a_model_pushed_by_its_class_is_the_whole_repo(hub: Client) -> None:
    name = hub.new_repo()
    AutoModel.from_pretrained(hub.model).push_to_hub(name)
    AutoTokenizer.from_pretrained(hub.model).push_to_hub(name)
    source, pushed = read_folder(hub.model), read_folder(Path(snapshot_download(name)))
    assert source.keys() - pushed.keys() == set()
    assert pushed.keys() - source.keys() <= {".gitattributes", "README.md"}
    assert {path for path in source if source[path] != pushed[path]} <= {"tokenizer_config.json"}
    _check_loaders_without_package(hub, name)
    _check_loaders(hub, name)


def a_model_whose_tokenizer_went_first_loads_everywhere(hub: Client) -> None:
    name = hub.new_repo()
    AutoTokenizer.from_pretrained(hub.model).push_to_hub(name)
    AutoModel.from_pretrained(hub.model, truncate_dim=8).push_to_hub(name)
    _check_loaders(hub, name)


def a_sentence_transformer_is_pushed_and_loaded(hub: Client) -> None:
    name = hub.new_repo()
    SentenceTransformer(str(hub.model), device="cpu").push_to_hub(name, exist_ok=True)
    expected = encode_plainly(str(hub.model), TEXTS)
    np.testing.assert_allclose(encode_plainly(name, TEXTS), expected, atol=1e-6)
    # Its own code goes with it, so that AutoModel still reads the heads.
    np.testing.assert_allclose(encode(name, TEXTS), expected, atol=1e-6)


def a_revision_of_a_model_is_loaded_by_name(hub: Client) -> None:
    name = hub.new_repo()
    hub.api.upload_folder(repo_id=name, folder_path=hub.model)
    hub.api.create_tag(name, tag="v1")
    hub.api.delete_file("2_Dense/model.safetensors", name)
    with pytest.raises(OSError, match=r"2_Dense/model\.safetensors"):
        encode(name, TEXTS)
    np.testing.assert_allclose(encode(name, TEXTS, revision="v1"), encode(str(hub.model), TEXTS), atol=1e-6)


def a_cached_model_loads_without_a_network(hub: Client) -> None:
    name, output = hub.new_repo(), hub.folder / "offline.npz"
    hub.api.upload_folder(repo_id=name, folder_path=hub.model)
    snapshot_download(name)
    hub.run(PLAIN_LOADING, name, str(output), HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:1")
    expected = encode_plainly(str(hub.model), TEXTS, truncate_dim=8)
    for loader in ("plain_8", "remote_8"):
        np.testing.assert_allclose(np.load(output)[loader], expected, atol=1e-6)


def a_dataset_has_a_config_for_each_language(hub: Client) -> None:
    name = hub.new_repo("dataset")
    folder = hub.folder / "dataset"
    for language, texts in LANGUAGES.items():
        (folder / language).mkdir(parents=True)
        Dataset.from_dict({"text": texts}).to_parquet(folder / language / "train-00000-of-00001.parquet")
    configs = "".join(f"- config_name: {name}\n  data_files: {name}/*.parquet\n" for name in LANGUAGES)
    (folder / "README.md").write_text(
        f"---\nlicense: odc-by\nlanguage: [tr, en]\nconfigs:\n{configs}---\n# Metinler\n"
    )
    hub.api.upload_folder(repo_id=name, repo_type="dataset", folder_path=folder)
    for language, texts in LANGUAGES.items():
        assert load_dataset(name, language, split="train")["text"][:] == texts
        assert [row["text"] for row in load_dataset(name, language, split="train", streaming=True)] == texts


def a_dataset_is_pushed_by_its_class(hub: Client) -> None:
    name = hub.new_repo("dataset")
    for language, texts in LANGUAGES.items():
        Dataset.from_dict({"text": texts}).push_to_hub(name, config_name=language)
    head = hub.api.dataset_info(name).sha
    assert {config["config_name"] for config in DatasetCard.load(name).data.configs} == LANGUAGES.keys()
    assert load_dataset(name, "tr", split="train", revision=head)["text"][:] == LANGUAGES["tr"]


def _check_loaders(hub: Client, name: str) -> None:
    """Compare what a repo gives with the folder it was made from."""
    for dim in MATRYOSHKA_DIMS:
        expected = encode(str(hub.model), TEXTS, truncate_dim=dim)
        np.testing.assert_allclose(encode(name, TEXTS, truncate_dim=dim), expected, atol=1e-6)
        np.testing.assert_allclose(encode_plainly(name, TEXTS, truncate_dim=dim), expected, atol=1e-6)


def _check_loaders_without_package(hub: Client, name: str) -> None:
    """Compare what a repo gives where our package is not installed."""
    output = hub.folder / "without_package.npz"
    hub.run(PLAIN_LOADING, name, str(output))
    found = np.load(output)
    for dim in MATRYOSHKA_DIMS:
        expected = encode(str(hub.model), TEXTS, truncate_dim=dim)
        np.testing.assert_allclose(found[f"remote_{dim}"], expected, atol=1e-6)
        np.testing.assert_allclose(found[f"plain_{dim}"], expected, atol=1e-6)
    batch = AutoTokenizer.from_pretrained(hub.model)(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(hub.model).eval()(**batch).last_hidden_state
    np.testing.assert_allclose(found["hidden"], hidden.numpy(), atol=1e-6)
