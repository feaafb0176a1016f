"""Turns a sentence-transformers folder into a repo that AutoModel loads at any trained width."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from hf_turkembed.json_files import read_json
from hf_turkembed.modeling import MODEL_CLASSES
from hf_turkembed.modeling.modeling_matryoshka import MatryoshkaMixin
from hf_turkembed.modeling.server_files import write_server_files

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_CLASSES = {model_class.config_class.model_type: model_class for model_class in MODEL_CLASSES}


def code_files(model_class: type[MatryoshkaMixin]) -> list[Path]:
    """List the files that define a model class: its own, and the one it imports."""
    folder = Path(__file__).parent
    return [folder / f"{model_class.__module__.rpartition('.')[2]}.py", folder / "modeling_matryoshka.py"]


def check_encoder(folder: Path, matryoshka_dims: Sequence[int]) -> None:
    """Check, before any training, that a folder holds all that `save_model` and the loaders will need.

    Args:
        folder: A model in the sentence-transformers layout.
        matryoshka_dims: Widths that will be trained.

    Raises:
        FileNotFoundError: If a file is missing; without a tokenizer, transformers would make one up.
        ValueError: If the widths are not distinct and falling or wider than the embedding, no class is known for the
            `model_type` (that of GTE's older layout is told how to convert it), the network would not embed as it is
            configured, or a module behind it is not as its files say.
    """
    for name in ("config.json", "modules.json", "tokenizer.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} holds no {name}; expected a sentence-transformers model with a fast tokenizer."
            )
    _check_widths(matryoshka_dims)
    check_layout(folder)
    _class_for(folder)
    config = AutoConfig.from_pretrained(folder)
    check_config(config, folder)
    _check_modules(config, folder, matryoshka_dims)


def check_config(config: PreTrainedConfig, folder: Path) -> None:
    """Check that a network is configured to embed, as the class for its `model_type` would when it loads it.

    Args:
        config: The native config; one without a class passes.
        folder: Where it comes from, for the message.

    Raises:
        ValueError: If it is not, for example because a Gemma-3 checkpoint would attend causally.
    """
    if config.model_type in _CLASSES:
        _CLASSES[config.model_type].check_config(config, str(folder))


def check_layout(folder: Path) -> None:
    """Check that a checkpoint is not one of GTE in its older layout, whose code does not run on transformers 5.

    Args:
        folder: A model in the sentence-transformers layout.

    Raises:
        ValueError: If it is; the message names the command that converts it.
    """
    path = folder / "config.json"
    if path.is_file() and read_json(path).get("model_type") == "new":
        raise ValueError(
            f"{path} has the model_type 'new', the older layout of GTE, whose code does not run on transformers 5; "
            f"convert it once with `hf-turkembed convert-gte {folder} OUTPUT`, and name OUTPUT instead."
        )


def write_matryoshka_code(folder: Path, matryoshka_dims: Sequence[int]) -> None:
    """Write the trained widths and `auto_map` into config.json, and the model class's code beside it.

    Small files are written in the form that inference servers read, see `server_files`.

    Args:
        folder: A model in the sentence-transformers layout, with a native `model_type`.
        matryoshka_dims: Trained widths, largest first.

    Raises:
        ValueError: If the widths are not distinct and falling, or no class is known for the `model_type`.
    """
    _check_widths(matryoshka_dims)
    model_class = _class_for(folder)
    path = folder / "config.json"
    config = read_json(path)
    files = code_files(model_class)
    config["auto_map"] = {"AutoModel": f"{files[0].stem}.{model_class.__name__}"}
    config["architectures"] = [model_class.native_class().__name__]
    config["matryoshka_dims"] = list(matryoshka_dims)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for file in files:
        shutil.copyfile(file, folder / file.name)
    write_server_files(folder)


def save_model(model: "SentenceTransformer", folder: Path, matryoshka_dims: Sequence[int], tokenizer: Path) -> None:
    """Save a trained model as a repo that every loader reads.

    Args:
        model: The trained model.
        folder: Existing folder to write into.
        matryoshka_dims: Trained widths, largest first.
        tokenizer: Folder whose tokenizer files are kept byte for byte; training does not change a tokenizer, but
            saving one that was used writes its last truncation and another class name.

    Raises:
        ValueError: If the widths or the model type are not supported.
    """
    model.save_pretrained(str(folder), create_model_card=False)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    write_matryoshka_code(folder, matryoshka_dims)


def trained_widths(folder: Path) -> tuple[int, ...] | None:
    """Return the widths that a model folder declares, largest first; None where it declares none."""
    dims = read_json(folder / "config.json").get("matryoshka_dims")
    return None if dims is None else tuple(dims)


def _check_widths(matryoshka_dims: Sequence[int]) -> None:
    """Raise unless the widths are distinct and falling."""
    if not matryoshka_dims or list(matryoshka_dims) != sorted(set(matryoshka_dims), reverse=True):
        raise ValueError(f"`matryoshka_dims` is {list(matryoshka_dims)}, expected distinct widths, largest first.")


def _check_modules(config: PreTrainedConfig, folder: Path, matryoshka_dims: Sequence[int]) -> None:
    """Read pooling and heads as the class will, around a network without weights."""
    for module in read_json(folder / "modules.json")[1:]:
        if not re.fullmatch(r"[\w-]+", module["path"]):
            raise ValueError(f"{folder}/modules.json names the folder {module['path']!r}; expected one beside it.")
    config.matryoshka_dims = list(matryoshka_dims)
    with torch.device("meta"):
        model = _class_for(folder)(config)
    model._read_modules(folder, {})


def _class_for(folder: Path) -> type[MatryoshkaMixin]:
    """Return the model class for a folder's `model_type`."""
    path = folder / "config.json"
    model_type = read_json(path).get("model_type")
    if model_type not in _CLASSES:
        known = f"{path} has the model_type {model_type!r}; Matryoshka classes exist for {', '.join(_CLASSES)}."
        native = MODEL_MAPPING_NAMES.get(model_type)
        if native is None:
            raise ValueError(f"{known} transformers has no encoder of that type.")
        raise ValueError(
            f"{known} Add hf_turkembed/modeling/modeling_matryoshka_{model_type}.py with the class "
            f"`Matryoshka{native}(MatryoshkaMixin, {native})`, after modeling_matryoshka_bert.py, and name that class "
            "in MODEL_CLASSES."
        )
    return _CLASSES[model_type]
