"""Cards and collections: what a repo says of itself, and what holds several."""

import pytest
from huggingface_hub import DatasetCard, ModelCard

from hub_server.client import Client, refused

BODY = "# Kart\n\nİçinde Türkçe harfler: ğüşıöç.\n"
MODEL_INDEX = """model-index:
- name: test
  results:
  - task: {type: sentence-similarity}
    dataset: {name: STS, type: sts}
    metrics:
    - {type: spearman_cosine, value: 0.5}
"""


def a_model_card_is_pushed_and_read(hub: Client) -> None:
    name = hub.new_repo()
    metadata = f"license: apache-2.0\nlibrary_name: sentence-transformers\n{MODEL_INDEX}"
    ModelCard(f"---\n{metadata}---\n{BODY}").push_to_hub(name)
    card = ModelCard.load(name)
    assert card.text.strip() == BODY.strip() and card.data.license == "apache-2.0"
    assert card.data.eval_results[0].metric_value == 0.5
    info = hub.api.model_info(name)
    assert info.library_name == "sentence-transformers"


def a_dataset_card_is_pushed_and_read(hub: Client) -> None:
    name = hub.new_repo("dataset")
    DatasetCard(f"---\nlicense: odc-by\nlanguage: [tr, en]\n---\n{BODY}").push_to_hub(name)
    assert DatasetCard.load(name).data.language == ["tr", "en"]


def a_wrong_card_is_refused_before_anything_is_sent(hub: Client) -> None:
    name = hub.new_repo()
    head = hub.api.model_info(name).sha
    wrong = {"license": "license: {a: 1}", "tags": "tags: word", "model-index": "model-index: [{name: a}]"}
    with pytest.raises(ValueError, match="license"):
        ModelCard(f"---\n{wrong['license']}\n---\n{BODY}").push_to_hub(name)
    for key, metadata in wrong.items():
        (hub.folder / "README.md").write_text(f"---\n{metadata}\n---\n{BODY}")
        with pytest.raises(ValueError, match=key):
            hub.api.upload_folder(repo_id=name, folder_path=hub.folder)
    assert hub.api.model_info(name).sha == head


def a_collection_holds_repos(hub: Client) -> None:
    model, dataset = hub.new_repo(), hub.new_repo("dataset")
    title = f"Release {model[-6:]}"
    settings = {"namespace": hub.namespace, "private": True}
    made = hub.api.create_collection(title, **settings)
    try:
        assert hub.api.create_collection(title, **settings, exists_ok=True).slug == made.slug
        hub.api.add_collection_item(made.slug, model, "model", note="The model")
        hub.api.add_collection_item(made.slug, dataset, "dataset")
        with refused(409):
            hub.api.add_collection_item(made.slug, model, "model")
        hub.api.add_collection_item(made.slug, model, "model", exists_ok=True)
        items = hub.api.get_collection(made.slug).items
        assert [(item.item_id, item.item_type) for item in items] == [(model, "model"), (dataset, "dataset")]
        assert items[0].note == "The model"
    finally:
        hub.api.delete_collection(made.slug)
