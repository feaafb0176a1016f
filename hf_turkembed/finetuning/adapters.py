"""Low-rank adapters: added before training, and afterwards written by themselves and merged into the weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_turkembed.json_files import read_json

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

ADAPTER_FOLDER = "adapter"
_CONFIG = "adapter_config.json"
# Embeddings of unit norm with the adapter beside the weights and merged into them differ by rounding.
_MOST_APART = 1e-5


def add_adapter(
    model: "SentenceTransformer",
    *,
    rank: int,
    alpha: int,
    dropout: float,
    target_modules: Sequence[str] = (),
    seed: int = 0,
) -> None:
    """Give the network low-rank adapters, which alone are trained from here on.

    Args:
        model: Changed in place.
        rank: Rank of the adapters.
        alpha: Their output is multiplied by `alpha / rank`.
        dropout: Share of their input that is dropped in training.
        target_modules: Names of the layers that get one; none for every linear layer.
        seed: Of the numbers that the adapters begin with.

    Raises:
        ValueError: If the network has no layer of such a name.

    References:
        LoRA: https://huggingface.co/papers/2106.09685
    """
    from peft import LoraConfig
    from transformers import set_seed

    config = LoraConfig(
        task_type="FEATURE_EXTRACTION",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=list(target_modules) or "all-linear",
    )
    # Processes begin with the same numbers, and so does a run that is started again.
    set_seed(seed)
    model.add_adapter(config)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "lora_" in name


def merge_adapter(
    trained: "SentenceTransformer", base: "SentenceTransformer", folder: Path, *, base_name: str, texts: Sequence[str]
) -> float:
    """Write a trained adapter to a folder of its own, and merge it into the base.

    Args:
        trained: The model with its adapter.
        base: The same model without, in float32; changed in place.
        folder: New folder for the adapter, in peft's layout.
        base_name: Name of the base as it is recorded: a Hub id, or a name without a path.
        texts: On these the two must agree.

    Returns:
        By how much a number of their embeddings differs at most.

    Raises:
        ValueError: If they do not.
    """
    from peft import PeftModel

    backbone: Any = trained[0]
    backbone.model.save_pretrained(str(folder))
    for code in folder.glob("*.py"):
        # The network's own, which comes with the base.
        code.unlink()
    _name_base(folder, base_name)
    other: Any = base[0]
    other.model = PeftModel.from_pretrained(other.model, str(folder)).merge_and_unload()
    left, right = (
        np.asarray(model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False))
        for model in (trained.eval(), base)
    )
    if not (apart := float(np.abs(left - right).max())) <= _MOST_APART:
        raise ValueError(
            f"merged into the weights the adapter gives embeddings that are {apart:.1e} apart from those beside them, "
            f"expected at most {_MOST_APART}; train in float32."
        )
    return apart


def _name_base(folder: Path, base_name: str) -> None:
    """Replace the path that was loaded, which is of this machine, by the recorded name."""
    path = folder / _CONFIG
    config = {**read_json(path), "base_model_name_or_path": base_name}
    # A set in peft, whose order is another one in every process.
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
