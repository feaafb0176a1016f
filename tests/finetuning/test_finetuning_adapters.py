"""Low-rank adapters: they alone are trained, and merged they do what they did beside the weights."""

import json

import numpy as np
import pytest
import torch
from peft import PeftModel
from samples import MATRYOSHKA_DIMS, MODEL_TYPES, TEXTS
from sentence_transformers import SentenceTransformer

from hf_turkembed.finetuning import Task, add_adapter, finetune, merge_adapter

PAIRS = {
    "anchor": [f"{text} {number}" for number in range(3) for text in TEXTS],
    "positive": [f"{text} {number}!" for number in range(3) for text in TEXTS],
}
TASKS = {"pairs": Task(rows=PAIRS, loss="multiple_negatives_ranking")}
TRAINING = {"num_train_epochs": 2, "learning_rate": 1e-2, "save_steps": 2, "use_cpu": True, "disable_tqdm": True}


def load(folder):
    return SentenceTransformer(str(folder), device="cpu")


def train(model, folder, **changes):
    training = TRAINING | changes
    return finetune(model, TASKS, folder, matryoshka_dims=MATRYOSHKA_DIMS, batch_size=6, training=training, seed=1)


# XLM-R has the layers of BERT.
@pytest.fixture(params=[name for name in MODEL_TYPES if name != "xlm-roberta"])
def base(request, encoders):
    return encoders(request.param)


def test_only_the_adapter_is_trained(base, tmp_path):
    model = load(base)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    add_adapter(model, rank=4, alpha=8, dropout=0.0)
    report = train(model, tmp_path)
    adapters = sum(value.numel() for name, value in model.state_dict().items() if "lora_" in name)
    assert report.trained_parameters == adapters < report.parameters
    kept = {
        name.replace(".base_layer", ""): value for name, value in model.state_dict().items() if "lora_" not in name
    }
    assert kept.keys() == before.keys() and all(torch.equal(kept[name], before[name]) for name in before)


def test_an_adapter_merged_into_the_weights_gives_the_same_embeddings(base, tmp_path):
    trained, merged = load(base), load(base)
    add_adapter(trained, rank=4, alpha=8, dropout=0.0)
    train(trained, tmp_path)
    merge_adapter(trained, merged, tmp_path / "adapter", base_name="org/base", texts=TEXTS)
    assert merged.state_dict().keys() == load(base).state_dict().keys()
    left, right, start = (model.encode(TEXTS, normalize_embeddings=True) for model in (trained, merged, load(base)))
    assert np.abs(left - right).max() <= 1e-5 and np.abs(left - start).max() > 1e-2


def test_an_adapter_that_was_trained_in_bfloat16_merges_as_exactly(gemma, tmp_path):
    trained, merged = load(gemma), load(gemma)
    add_adapter(trained, rank=4, alpha=8, dropout=0.0)
    train(trained, tmp_path, bf16=True)
    assert merge_adapter(trained, merged, tmp_path / "adapter", base_name="org/base", texts=TEXTS) <= 1e-5


def test_an_adapter_by_itself_names_no_path_and_is_read_by_peft(base, tmp_path):
    trained, merged, fresh = load(base), load(base), load(base)
    add_adapter(trained, rank=4, alpha=8, dropout=0.0)
    train(trained, tmp_path)
    merge_adapter(trained, merged, tmp_path / "adapter", base_name="org/base", texts=TEXTS)
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["base_model_name_or_path"] == "org/base" and str(base) not in json.dumps(config)
    fresh[0].model = PeftModel.from_pretrained(fresh[0].model, tmp_path / "adapter")
    np.testing.assert_allclose(fresh.encode(TEXTS), merged.encode(TEXTS), atol=1e-5)


def test_a_cut_off_run_with_an_adapter_goes_on(gemma, tmp_path):
    whole, again = load(gemma), load(gemma)
    for model in (whole, again):
        add_adapter(model, rank=4, alpha=8, dropout=0.0)
        torch.manual_seed(0)
    train(whole, tmp_path)
    report = train(again, tmp_path)
    assert report.steps == 6
    for name, value in again.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name])


def test_adapters_begin_with_the_numbers_of_the_seed(gemma):
    first, again, other = load(gemma), load(gemma), load(gemma)
    for model, seed in ((first, 1), (again, 1), (other, 2)):
        torch.rand(3)
        add_adapter(model, rank=4, alpha=8, dropout=0.0, seed=seed)
    apart = [
        max(float((value - model.state_dict()[name]).abs().max()) for name, value in first.state_dict().items())
        for model in (again, other)
    ]
    assert apart[0] == 0 < apart[1]


def test_layers_that_the_network_lacks_are_an_error(gemma):
    with pytest.raises(ValueError, match="Target modules"):
        add_adapter(load(gemma), rank=4, alpha=8, dropout=0.0, target_modules=["none_such"])


def test_an_adapter_that_does_not_merge_exactly_is_an_error(gemma, tmp_path):
    trained = load(gemma)
    add_adapter(trained, rank=4, alpha=8, dropout=0.0)
    train(trained, tmp_path)
    other = load(gemma)
    with torch.no_grad():
        other[0].model.layers[0].mlp.up_proj.weight.mul_(1.1)
    with pytest.raises(
        ValueError, match=r"embeddings that are .* apart from those beside them, expected at most 1e-05"
    ):
        merge_adapter(trained, other, tmp_path / "adapter", base_name="org/base", texts=TEXTS)
