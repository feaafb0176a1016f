"""Turns a sentence-transformers folder into a repo that AutoModel loads at any trained width."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES
from transformers.utils import logging

from hf_turkembed.json_files import read_json
from hf_turkembed.modeling import MODEL_CLASSES
from hf_turkembed.modeling.modeling_matryoshka import MatryoshkaMixin
from hf_turkembed.modeling.server_files import write_server_files
from hf_turkembed.modeling.tokenizer_files import check_tokenizer
from hf_turkembed.modeling.window import check_positions

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Weights of one file, or the list of several.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_CLASSES = {model_class.config_class.model_type: model_class for model_class in MODEL_CLASSES}


def code_files(model_class: type[MatryoshkaMixin]) -> list[Path]:
    """List the files that define a model class: its own, and the one it imports."""
    folder = Path(__file__).parent
    return [folder / f"{model_class.__module__.rpartition('.')[2]}.py", folder / "modeling_matryoshka.py"]


def expected_code(folder: Path) -> tuple[str, list[Path]]:
    """Return what `auto_map` has to name for the `model_type` of a folder, and the files that have to lie there.

    Args:
        folder: A model with a config.json.

    Raises:
        ValueError: If no class is known for the `model_type`.
    """
    model_class = _class_for(folder)
    files = code_files(model_class)
    return f"{files[0].stem}.{model_class.__name__}", files


def check_encoder(folder: Path, matryoshka_dims: Sequence[int]) -> int:
    """Check, before any training, that a folder holds all that `save_model` and the loaders will need.

    Args:
        folder: A model in the sentence-transformers layout.
        matryoshka_dims: Widths that will be trained.

    Returns:
        The width of its embedding.

    Raises:
        FileNotFoundError: If a file is missing; without a tokenizer, transformers would make one up.
        ValueError: If `check_network` or `check_tokenizer` refuses the folder.
    """
    embedding_dim = check_network(folder, matryoshka_dims)
    check_tokenizer(folder, _read_config(folder).vocab_size)
    return embedding_dim


def check_network(folder: Path, matryoshka_dims: Sequence[int]) -> int:
    """Check the same of all but the tokenizer, which is only looked for.

    Args:
        folder: A model in the sentence-transformers layout.
        matryoshka_dims: Widths that will be trained.

    Returns:
        The width of its embedding.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the widths are not distinct and falling or wider than the embedding, no class is known for the
            `model_type` (that of GTE's older layout is told how to convert it), there are no weights in safetensors,
            or not those that config.json describes, the network would not embed as it is configured, or a module
            behind it is not as its files say.
    """
    check_widths(matryoshka_dims)
    _check_files(folder)
    embedding_dim = _check_modules(folder)
    if matryoshka_dims[0] > embedding_dim:
        raise ValueError(
            f"`matryoshka_dims` is {list(matryoshka_dims)}, but the embedding of {folder} has {embedding_dim} "
            "dimensions; leave out what is wider."
        )
    return embedding_dim


def check_loadable(folder: Path) -> None:
    """Check that sentence-transformers can load a model and embed texts with it, without reading its weights.

    Of a `model_type` that has no class here, weights are only looked for; of a model without trained widths, heads.
    Of a model without a network in its own folder, such as static embeddings, sentence-transformers is the judge.

    Args:
        folder: A model in the sentence-transformers layout.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there are no weights in safetensors, or not those that config.json describes, the network would
            not embed as it is configured, there is no pooling, a head is not as its files say, or `check_tokenizer`
            refuses the folder.
    """
    if not (folder / "modules.json").is_file():
        raise FileNotFoundError(f"{folder} holds no modules.json; expected a sentence-transformers model.")
    modules = _list_modules(folder)
    has_network = modules and modules[0]["path"] == "" and modules[0]["type"].rpartition(".")[2] == "Transformer"
    if not has_network or not (folder / "tokenizer.json").is_file():
        _check_pickles([folder / module["path"] for module in modules])
        return
    _check_files(folder)
    config = _read_config(folder)
    # The class reads modules where there are trained widths; elsewhere sentence-transformers does, which knows more.
    if config.model_type in _CLASSES and trained_widths(folder) is not None:
        _check_modules(folder)
    if isinstance(rows := getattr(config, "vocab_size", None), int):
        check_tokenizer(folder, rows)


def check_window(folder: Path, max_length: int) -> None:
    """Check that texts of a length do not run past a table of positions, without reading weights.

    Args:
        folder: A model that `check_encoder` has passed.
        max_length: Longest text, in tokens.

    Raises:
        ValueError: If they do.
    """
    check_positions(_build_network(folder), max_length)


def check_linear_layers(folder: Path, names: Sequence[str]) -> None:
    """Check that a network has linear layers of some names, without reading weights.

    Args:
        folder: A model that `check_encoder` has passed.
        names: Last parts of the layers' names, as peft takes them.

    Raises:
        ValueError: If it has none of one of the names.
    """
    layers = [name for name, module in _build_network(folder).named_modules() if isinstance(module, torch.nn.Linear)]
    for wanted in names:
        if not any(f".{layer}".endswith(f".{wanted}") for layer in layers):
            found = sorted({layer.rpartition(".")[2] for layer in layers})
            raise ValueError(f"{folder} has no linear layer {wanted!r}; its layers are {', '.join(found)}.")


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
    config = read_json(path) if path.is_file() else {}
    if not isinstance(config, dict):
        raise ValueError(f"{path} is no JSON object; fetch or save it again.")
    if config.get("model_type") == "new":
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
    check_widths(matryoshka_dims)
    name, files = expected_code(folder)
    path = folder / "config.json"
    config = read_json(path)
    config["auto_map"] = {"AutoModel": name}
    config["architectures"] = [_class_for(folder).native_class().__name__]
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


def check_widths(matryoshka_dims: Sequence[int]) -> None:
    """Raise a ValueError unless the widths are distinct and falling."""
    falling = list(matryoshka_dims) == sorted(set(matryoshka_dims), reverse=True)
    if not matryoshka_dims or not falling or min(matryoshka_dims) < 1:
        raise ValueError(
            f"`matryoshka_dims` is {list(matryoshka_dims)}, expected distinct widths of at least 1, largest first."
        )


def _check_files(folder: Path) -> None:
    """Check that all files are there, and those of the network and the list of modules are sound."""
    for name in ("config.json", "modules.json", "tokenizer.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} holds no {name}; expected a sentence-transformers model with a fast tokenizer."
            )
    check_layout(folder)
    config = _read_config(folder)
    check_config(config, folder)
    modules = _list_modules(folder)
    if not any(module["type"].rpartition(".")[2] == "Pooling" for module in modules):
        raise ValueError(f"{folder}/modules.json names no Pooling, so that there is no sentence embedding.")
    _check_pickles([folder, *(folder / module["path"] for module in modules[1:])])
    if config.model_type in _CLASSES:
        _check_weights(folder)


def _read_config(folder: Path) -> PreTrainedConfig:
    """Read config.json as transformers does."""
    path = folder / "config.json"
    model_type = read_json(path).get("model_type")
    if model_type not in CONFIG_MAPPING:
        raise ValueError(f"{path} has the model_type {model_type!r}; transformers has no network of that type.")
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder)
    except Exception as error:
        # Each config has checks of its own, of many types, and none names the file.
        raise ValueError(f"{path} describes no network ({error}); fetch or save it again.") from error
    return config


def _list_modules(folder: Path) -> list[dict[str, str]]:
    """Read the list of modules, each of which lies in a folder of its own behind the first."""
    modules = read_json(folder / "modules.json")
    if not isinstance(modules, list) or not all(
        isinstance(module, dict) and all(isinstance(module.get(key), str) for key in ("path", "type"))
        for module in modules
    ):
        raise ValueError(f"{folder}/modules.json is no list of modules with `path` and `type`; save the model again.")
    paths = [module["path"] for module in modules[1:]]
    for path in paths:
        if not re.fullmatch(r"[\w-]+", path) or paths.count(path) > 1:
            raise ValueError(f"{folder}/modules.json names the folder {path!r}; expected one beside it, once.")
    return modules


def _check_pickles(folders: Sequence[Path]) -> None:
    """Refuse weights in pickles alone, and a network, which is in the first folder, without any."""
    for number, folder in enumerate(folders):
        pickles = sorted(file.name for file in folder.glob("*.bin"))
        if (pickles or number == 0) and not any((folder / name).is_file() for name in _WEIGHTS):
            found = f"its weights in {', '.join(pickles)}" if pickles else "no weights"
            raise ValueError(
                f"{folder} holds {found}; expected {_WEIGHTS[0]}, as pickles, which can run code, are not read. Load "
                "the model where you trust it, and save it again with `save_pretrained`."
            )


def _build_network(folder: Path) -> MatryoshkaMixin:
    """Build the network that config.json describes, without weights."""
    model_class = _class_for(folder)
    config = _read_config(folder)
    # The widths in question are the recipe's, and compared with the embedding's by whoever asks.
    config.matryoshka_dims = [1]
    try:
        with torch.device("meta"):
            return model_class(config)
    except Exception as error:
        raise ValueError(
            f"{folder}/config.json describes a network that cannot be built ({error}); fetch or save it again."
        ) from error


def _check_modules(folder: Path) -> int:
    """Read pooling and heads as the class will, around a network without weights; return the embedding's width."""
    model = _build_network(folder)
    model._read_modules(folder, {})
    heads: Any = model.heads
    embedding_dim: int = len(heads[-1].weight) if len(heads) else model.config.hidden_size
    _check_truncation(folder, embedding_dim)
    return embedding_dim


def _check_truncation(folder: Path, embedding_dim: int) -> None:
    """Refuse a folder whose own files cut the embedding to a width that it does not have."""
    for name in ("config.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        settings = read_json(folder / name) if (folder / name).is_file() else {}
        if not isinstance(settings, dict):
            raise ValueError(f"{folder / name} is no JSON object; fetch or save it again.")
        width = settings.get("truncate_dim")
        if width is not None and (not isinstance(width, int) or not 1 <= width <= embedding_dim):
            raise ValueError(
                f"{folder / name} has the `truncate_dim` {width!r}, but the embedding has {embedding_dim} dimensions; "
                "correct it."
            )


def _check_weights(folder: Path) -> None:
    """Refuse weights that the network would not find, or not in this shape, and have at random instead."""
    native = _class_for(folder).native_class()
    before, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # No weights are read onto `meta`: only names and shapes are compared, as the loader does it.
        loaded: Any = native.from_pretrained(
            folder, device_map="meta", output_loading_info=True, ignore_mismatched_sizes=True, use_safetensors=True
        )
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{folder}: its safetensors are damaged or not all there ({reason}); download them again."
        ) from error
    finally:
        logging.set_verbosity(before)
        if had_bar:
            logging.enable_progress_bar()
    found = loaded[1]
    # A layer of BERT and XLM-R that sentence embeddings do not pass through.
    if missing := sorted(name for name in found["missing_keys"] if not name.startswith("pooler.")):
        raise ValueError(f"{folder}: the tensor `{missing[0]}` is missing; expected all that config.json describes.")
    for name, stored, expected in sorted(found["mismatched_keys"]):
        raise ValueError(
            f"{folder}: the tensor `{name}` has the shape {tuple(stored)}, expected {tuple(expected)}, as in "
            "config.json."
        )


def _class_for(folder: Path) -> type[MatryoshkaMixin]:
    """Return the model class for a folder's `model_type`."""
    path = folder / "config.json"
    config = read_json(path)
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(model_type, str) or model_type not in _CLASSES:
        known = f"{path} has the model_type {model_type!r}; Matryoshka classes exist for {', '.join(_CLASSES)}."
        native = MODEL_MAPPING_NAMES.get(model_type) if isinstance(model_type, str) else None
        if native is None:
            raise ValueError(f"{known} transformers has no network of that type.")
        module = str(model_type).replace("-", "_")
        raise ValueError(
            f"{known} If it is an encoder that attends in both directions, add "
            f"hf_turkembed/modeling/modeling_matryoshka_{module}.py with the class "
            f"`Matryoshka{native}(MatryoshkaMixin, {native})`, after modeling_matryoshka_bert.py, and name that class "
            "in MODEL_CLASSES."
        )
    return _CLASSES[model_type]
