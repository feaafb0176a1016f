"""The checkpoint of gte-multilingual-base as its authors published it, rewritten as transformers' own `GteModel`.

Their config.json names the model type `new`, whose code lies in another repo and does not run on transformers 5.
The network is the same: weights have other names, some of them packed, and the rotary embedding other settings.
"""

import math
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GteConfig, GteModel
from transformers.utils import logging as transformers_logging

from hf_turkembed import record
from hf_turkembed.checkpoint import list_tensors, read_tensor
from hf_turkembed.json_files import read_json
from hf_turkembed.record import Identity, Input, Observed, Provenance
from hf_turkembed.version import __version__

# What `GteModel` does; each is also what the older code does where config.json does not name it.
_NATIVE_CHOICES = {
    "position_embedding_type": "rope",
    "layer_norm_type": "layer_norm",
    "pack_qkv": True,
    "logn_attention_scale": False,
}
_KEPT_KEYS = (
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
)
_TOKEN_KEYS = ("bos_token_id", "eos_token_id", "pad_token_id")
# Names of code and of versions, settings of heads, and choices among kernels that compute the same.
_DROPPED_KEYS = frozenset(
    {
        "_name_or_path",
        "architectures",
        "auto_map",
        "classifier_dropout",
        "dtype",
        "id2label",
        "label2id",
        "logn_attention_clip1",
        "torch_dtype",
        "transformers_version",
        "unpad_inputs",
        "use_memory_efficient_attention",
    }
)
_DTYPES = frozenset({torch.float16, torch.bfloat16, torch.float32})
_REQUIRED_FILES = ("config.json", "modules.json", "tokenizer.json", "tokenizer_config.json")
_OPTIONAL_FILES = (
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
)
_MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, kw_only=True)
class GteReport:
    """What was written, and what was left out."""

    parameters: int
    # Precision of the weights, which stays: `float16`, `bfloat16` or `float32`.
    dtype: str
    # Tensors of a classification head, which an encoder has no use for.
    dropped: tuple[str, ...]


def convert_gte_checkpoint(source: Path, output: Path, *, repo: str | None = None) -> GteReport:
    """Write a checkpoint of the model type `new` as one of `gte`, with a record of where it came from.

    Weights keep their precision and every bit; tokenizer, pooling and limits are copied. Code is left out.

    Args:
        source: Folder of a model in the sentence-transformers layout; it is not changed.
        output: New folder, which appears when it is whole.
        repo: `ORG/NAME` where `source` is a snapshot of a Hub repo, a folder that is named by its commit.

    Raises:
        FileNotFoundError: If the source lacks a file, or has no weights in safetensors.
        FileExistsError: If `output` exists.
        ValueError: If config.json, modules.json or a tensor is not as this network needs it; nothing is written.

    References:
        mGTE: https://huggingface.co/papers/2407.19669
    """
    started = time.monotonic()
    if output.exists():
        raise FileExistsError(f"{output} exists; name a new folder, or remove it.")
    for name in _REQUIRED_FILES:
        if not (source / name).is_file():
            raise FileNotFoundError(
                f"{source} holds no {name}; expected a sentence-transformers model with a fast tokenizer."
            )
    config = _read_config(source / "config.json")
    copied = [*_REQUIRED_FILES[1:], *_OPTIONAL_FILES, *_module_files(source)]
    tensors, dropped = _read_tensors(source, _tensor_shapes(config))
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        report = _write_model(tensors, config, dropped, partial)
        for name in copied:
            if (source / name).is_file():
                (partial / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source / name, partial / name)
        _write_record(partial, _identify(source, repo), report, time.monotonic() - started)
        os.replace(partial, output)
    except BaseException:
        shutil.rmtree(partial)
        raise
    return report


def _read_config(path: Path) -> GteConfig:
    """Translate config.json; refuse what `GteModel` does not compute."""
    legacy: Any = read_json(path)
    if not isinstance(legacy, dict):
        raise ValueError(f"{path} is no JSON object; fetch it again.")
    if legacy.get("model_type") != "new":
        raise ValueError(f"{path} has the model_type {legacy.get('model_type')!r}, expected 'new'.")
    for key, value in _NATIVE_CHOICES.items():
        if legacy.get(key, value) != value:
            raise ValueError(f"{path} sets `{key}` to {legacy[key]!r}; `GteModel` knows only {value!r}.")
    if missing := [key for key in (*_KEPT_KEYS, "rope_theta") if key not in legacy]:
        raise ValueError(f"{path} lacks {missing}, without which the network is not known.")
    for key in ("hidden_size", "num_attention_heads"):
        if not isinstance(legacy[key], int) or legacy[key] < 1:
            raise ValueError(f"{path} sets `{key}` to {legacy[key]!r}, expected a number of at least 1.")
    known = {"model_type", "rope_theta", "rope_scaling", *_NATIVE_CHOICES, *_KEPT_KEYS, *_TOKEN_KEYS, *_DROPPED_KEYS}
    if unknown := sorted(set(legacy) - known):
        raise ValueError(f"{path} has the unknown keys {unknown}; remove them if they change nothing.")
    kept: dict[str, Any] = {key: legacy[key] for key in _KEPT_KEYS} | {key: legacy.get(key) for key in _TOKEN_KEYS}
    return GteConfig(**kept, rope_parameters=_rope_parameters(legacy, path))


def _rope_parameters(legacy: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Express fixed NTK scaling as linear scaling.

    The older code turns pair i of d dimensions by (factor * theta) ** (-2i / d) / factor ** (2 / d) a position, at
    every length. That is a larger base, and all frequencies divided by one number.
    """
    theta, scaling = legacy["rope_theta"], legacy.get("rope_scaling")
    if scaling is None:
        return {"rope_type": "default", "rope_theta": float(theta)}
    keys = set(scaling) if isinstance(scaling, dict) else {"?"}
    if not keys <= {"type", "factor", "mixed_b"} or scaling.get("type") != "ntk" or scaling.get("mixed_b") is not None:
        raise ValueError(
            f"{path} asks for `rope_scaling` {scaling!r}; expected null, or the type 'ntk' with a `factor` alone."
        )
    factor = scaling.get("factor")
    if not isinstance(factor, (int, float)) or not 1 <= factor < math.inf:
        raise ValueError(f"{path} has the `rope_scaling` factor {factor!r}, expected a number of at least 1.")
    head_dim = legacy["hidden_size"] // legacy["num_attention_heads"]
    return {"rope_type": "linear", "rope_theta": float(theta * factor), "factor": factor ** (2 / head_dim)}


def _tensor_shapes(config: GteConfig) -> dict[str, tuple[int, ...]]:
    """List the tensors of the older layout, without the prefix that models with a head have."""
    hidden, inner = config.hidden_size, config.intermediate_size
    layer = {
        "attention.qkv_proj.weight": (3 * hidden, hidden),
        "attention.qkv_proj.bias": (3 * hidden,),
        "attention.o_proj.weight": (hidden, hidden),
        "attention.o_proj.bias": (hidden,),
        "attn_ln.weight": (hidden,),
        "attn_ln.bias": (hidden,),
        "mlp.up_gate_proj.weight": (2 * inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
        "mlp.down_proj.bias": (hidden,),
        "mlp_ln.weight": (hidden,),
        "mlp_ln.bias": (hidden,),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    if config.type_vocab_size:
        shapes["embeddings.token_type_embeddings.weight"] = (config.type_vocab_size, hidden)
    for index in range(config.num_hidden_layers):
        shapes |= {f"encoder.layer.{index}.{name}": shape for name, shape in layer.items()}
    return shapes


def _read_tensors(source: Path, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read the tensors that the network has, and name those of a head; refuse any other difference."""
    tensors: dict[str, Tensor] = {}
    dropped: list[str] = []
    for name, stored in list_tensors(source).items():
        key = name.removeprefix("new.")
        if name.startswith("classifier."):
            dropped.append(name)
        elif key not in shapes or key in tensors:
            raise ValueError(f"{stored.file} holds the tensor `{name}`, for which `GteModel` has no place.")
        elif stored.shape != shapes[key]:
            raise ValueError(f"{stored.file}: `{name}` has the shape {stored.shape}, expected {shapes[key]}.")
        else:
            tensors[key] = read_tensor(stored)
    if missing := sorted(shapes.keys() - tensors.keys()):
        raise ValueError(f"{source} lacks {len(missing)} tensors of the network, such as `{missing[0]}`.")
    dtypes = {tensor.dtype for tensor in tensors.values()}
    if len(dtypes) > 1 or not dtypes <= _DTYPES:
        raise ValueError(f"{source} has weights of the types {sorted(map(str, dtypes))}, expected one floating type.")
    return tensors, tuple(sorted(dropped))


def _module_files(source: Path) -> list[str]:
    """List the files of the modules behind the network, by relative path."""
    path = source / "modules.json"
    files = []
    for index, module in enumerate(read_json(path)):
        package, _, kind = module["type"].rpartition(".")
        if not package.startswith("sentence_transformers.") or kind not in _MODULES:
            raise ValueError(f"{path} names the module {module['type']!r}; expected {', '.join(_MODULES)}.")
        if not re.fullmatch(r"\d+_\w+" if index else "", module["path"]):
            raise ValueError(
                f"{path} names the folder {module['path']!r}; expected one such as '1_Pooling' beside it."
            )
        name = f"{module['path']}/config.json"
        if index and (source / name).is_file():
            files.append(name)
        elif kind == "Pooling":
            raise FileNotFoundError(f"{source} holds no {name}, which says how to pool.")
    return files


def _write_model(tensors: dict[str, Tensor], config: GteConfig, dropped: tuple[str, ...], folder: Path) -> GteReport:
    """Load the tensors into `GteModel`, which renames and unpacks them, and save it under its own names."""
    dtype = next(iter(tensors.values())).dtype
    show_progress = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        pair: Any = GteModel.from_pretrained(
            None, config=config, state_dict=tensors, dtype=dtype, output_loading_info=True
        )
        model, loaded = pair
        if differing := sorted({*loaded["missing_keys"], *loaded["unexpected_keys"]}):
            raise ValueError(f"this version of transformers reads another layout of GTE; it differs in {differing}.")
        # Otherwise the names of the older layout would be written again.
        model.save_pretrained(folder, save_original_format=False)
    finally:
        if show_progress:
            transformers_logging.enable_progress_bar()
    return GteReport(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        dtype=str(dtype).removeprefix("torch."),
        dropped=dropped,
    )


def _identify(source: Path, repo: str | None) -> Identity:
    """Name the source, by commit or by digest, so that the cards of models made from it name it too."""
    if repo is None:
        found = Input(role="source", kind="model", name=source.resolve().name, digest=record.digest_path(source))
    else:
        found = Input(role="source", kind="model", name=repo, revision=source.name)
    return Identity(step="convert-gte", recipe={}, inputs=(found,), code=__version__, seed=0)


def _write_record(folder: Path, identity: Identity, report: GteReport, seconds: float) -> None:
    """Write provenance.json."""
    observed = Observed(
        finished=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(seconds, 2),
        runs=1,
        num_processes=1,
        hardware=record.observe_hardware(),
        packages=record.observe_packages(),
        counts=asdict(report),
    )
    record.write_provenance(folder, Provenance(identity=identity, observed=observed))
