"""Pooling, dense heads, truncation and normalisation around a native encoder (published with every model)."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.hub import cached_file

# What `AutoModel.from_pretrained` passes on for finding files; the heads come from the same place as the weights.
_HUB_KEYS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
_ENDS = ("in", "out")
_SHARED_FILES = ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json")


class Head(nn.Module):
    """A dense layer of the sentence-transformers repo, held as a constant.

    Its weights are buffers outside the state dict, not parameters: they are stored once, in the repo's own
    `N_Dense` folder, and when sentence-transformers loads this class as its backbone it trains its own copy,
    so that here they must neither count as parameters nor wait for gradients.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: nn.Module) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.activation = activation

    def forward(self, embedding: Tensor, width: int | None) -> Tensor:
        """Project `(batch_size, in_features)` to `(batch_size, out_features)`, or to its first `width` outputs."""
        # The encoder may be spread over devices, so that its output need not lie where it was loaded.
        weight = self.weight[:width].to(embedding.device)
        bias = None if self.bias is None else self.bias[:width].to(embedding.device)
        output: Tensor = self.activation(nn.functional.linear(embedding, weight, bias))
        return output


class MatryoshkaMixin(PreTrainedModel):
    """Gives a native encoder class a sentence embedding of any trained width.

    `pooler_output` is the sentence embedding, `(batch_size, truncate_dim)`, rows of unit L2 norm;
    `last_hidden_state` is what the native class gives. A repo in the sentence-transformers layout says how: its
    `modules.json` names the pooling and the dense heads, its `config.json` the trained widths (`matryoshka_dims`).
    A checkpoint without `matryoshka_dims` is loaded as the native class itself.

    References:
        Matryoshka representation learning: https://huggingface.co/papers/2205.13147
    """

    config_class: type[PreTrainedConfig]

    def __init__(self, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.truncate_dim: int | None = None
        self.pooling_mode: str | None = None
        self.heads = nn.ModuleList()
        # Small files of the repo, by relative path, which `save_pretrained` writes back unchanged.
        self.repository_files: dict[str, str] = {}

    @classmethod
    def native_class(cls) -> type[PreTrainedModel]:
        """Return the class of transformers that this one extends."""
        return next(base for base in cls.__mro__[1:] if base.__module__.startswith("transformers.models."))

    @classmethod
    def check_config(cls, config: PreTrainedConfig, name: str) -> None:
        """Raise a ValueError that names the repo if its network would not embed; by default any network does."""

    def check_dtype(self) -> None:
        """Raise a ValueError if the network gives no numbers in its precision or autocast's; by default never."""

    def config_text(self) -> str:
        """Return the config.json to save; by default as transformers writes it."""
        return str(self.config.to_json_string())

    @classmethod
    def is_custom_code(cls) -> bool:
        """Say no: the weights are the native class's, so that its conversions of older checkpoints apply."""
        return False

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *model_args: Any,
        config: PreTrainedConfig | str | os.PathLike[str] | None = None,
        truncate_dim: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Load weights, pooling and heads from a sentence-transformers repo.

        Args:
            pretrained_model_name_or_path: Hub id or folder.
            *model_args: Passed to the native class.
            config: As in transformers.
            truncate_dim: Width of the sentence embedding, one of the trained `matryoshka_dims`; None for full
                width. It is a property of this object and never written back.
            **kwargs: Passed to the native class.

        Raises:
            ValueError: If `truncate_dim` was not trained, the repo uses a module this class does not know, a file of a
                head is damaged or does not fit, or the network cannot embed as it is configured.
            OSError: If `modules.json`, the weights or a file of a head are missing; pickles are not read.
        """
        hub = {key: kwargs[key] for key in _HUB_KEYS if key in kwargs}
        if not isinstance(config, PreTrainedConfig):
            config = cls.config_class.from_pretrained(config or pretrained_model_name_or_path, **hub)
        if getattr(config, "matryoshka_dims", None) is None:
            if truncate_dim is not None:
                raise ValueError(
                    f"`truncate_dim`={truncate_dim} was asked of {pretrained_model_name_or_path}, whose config.json "
                    "has no `matryoshka_dims`; load it without `truncate_dim`."
                )
            return cls.native_class().from_pretrained(
                pretrained_model_name_or_path, *model_args, config=config, **kwargs
            )
        cls.check_config(config, str(pretrained_model_name_or_path))
        _check_width(truncate_dim, config.matryoshka_dims)
        kwargs["use_safetensors"] = True
        try:
            loaded = super().from_pretrained(pretrained_model_name_or_path, *model_args, config=config, **kwargs)
        except SafetensorError as error:
            raise ValueError(
                f"the weights of {pretrained_model_name_or_path} are truncated or damaged ({error}); fetch or save "
                "them again."
            ) from error
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.check_dtype()
        model.truncate_dim = truncate_dim
        model._read_modules(pretrained_model_name_or_path, hub)
        return loaded

    @classmethod
    def _from_config(cls, config: PreTrainedConfig, **kwargs: Any) -> Any:
        """Build random weights as the native class does: without a repo there are no heads to read."""
        return cls.native_class()._from_config(config, **kwargs)

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling | tuple[Any, ...]:
        """Encode tokens.

        Args:
            input_ids: `(batch_size, sequence_length)`.
            attention_mask: `(batch_size, sequence_length)`, 1 for tokens and 0 for padding; None for no padding.
            **kwargs: Passed to the native class.

        Returns:
            `last_hidden_state` of the native class and `pooler_output`, the sentence embedding.

        Raises:
            ValueError: If the model was not loaded by `from_pretrained`, so has no pooling, would not run in its
                precision, or the mask is not one of tokens.
        """
        self.check_dtype()
        return_dict = kwargs.pop("return_dict", None)
        output = super().forward(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **kwargs)
        hidden = output.last_hidden_state
        if attention_mask is None:
            attention_mask = torch.ones(hidden.shape[:2], dtype=torch.long, device=hidden.device)
        if attention_mask.ndim != 2:
            raise ValueError(
                f"`attention_mask` has {attention_mask.ndim} dimensions, which do not say what tokens to pool; "
                "expected (batch_size, sequence_length)."
            )
        result = BaseModelOutputWithPooling(
            last_hidden_state=hidden,
            pooler_output=self._sentence_embedding(hidden, attention_mask),
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
        return result.to_tuple() if return_dict is False else result

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Save in the sentence-transformers layout, the code of this class included; all but the tokenizer.

        With an adapter of peft, that alone is saved, as by transformers.

        Args:
            save_directory: Folder to write.
            *args: Passed to transformers.
            **kwargs: Passed to transformers.

        Raises:
            ValueError: If `push_to_hub` is among the arguments: that would upload before the heads are written.
        """
        if kwargs.get("push_to_hub"):
            raise ValueError("`push_to_hub=True` would leave out the heads; call `model.push_to_hub(repo_id)`.")
        super().save_pretrained(save_directory, *args, **kwargs)
        if not (args[0] if args else kwargs.get("is_main_process", True)) or self._hf_peft_config_loaded:
            return
        # The native name keeps the repo readable for servers that know the architecture but not this class.
        self.config.architectures = [self.native_class().__name__]
        Path(save_directory, "config.json").write_text(self.config_text(), encoding="utf-8")
        for name, text in self.repository_files.items():
            path = Path(save_directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for folder, head in zip(_module_paths(self.repository_files, "Dense"), self.heads, strict=True):
            tensors = {f"linear.{name}": tensor.contiguous() for name, tensor in head.named_buffers()}
            save_file(tensors, Path(save_directory, folder, "model.safetensors"))

    def _sentence_embedding(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Pool `(batch_size, length, hidden_size)`, apply the heads, truncate, then normalise."""
        if self.pooling_mode is None:
            raise ValueError(f"{type(self).__name__} has no pooling; load it with `from_pretrained`.")
        embedding = _pool(hidden, attention_mask, self.pooling_mode)
        for index, head in enumerate(self.heads):
            # Outputs of a linear head are independent, so that the last one computes only those that are kept.
            last = index == len(self.heads) - 1 and isinstance(head.activation, nn.Identity)
            embedding = head(embedding, self.truncate_dim if last else None)
        # The usual bound of the norm would be zero in float16.
        return nn.functional.normalize(embedding[:, : self.truncate_dim], p=2, dim=-1, eps=1e-6)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "MatryoshkaMixin":
        """Convert as torch does, for `half`, `to` and the like, of this module or of one that holds it."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.check_dtype()
        return self

    def _read_modules(self, repo: str | os.PathLike[str], hub: dict[str, Any]) -> None:
        """Read pooling and heads from the sentence-transformers files of the repo."""
        for name in _SHARED_FILES:
            if path := _find(repo, name, hub, required=name == "modules.json"):
                self.repository_files[name] = path.read_text(encoding="utf-8")
        width = self.config.hidden_size
        # Offloaded weights have no device of their own; the heads are small and stay in memory.
        device = torch.device("cpu") if self.device.type == "meta" else self.device
        modules = _parse(self.repository_files["modules.json"], f"{repo}/modules.json")[1:]
        _check_order([module["type"].rpartition(".")[2] for module in modules], str(repo))
        for module in modules:
            kind = module["type"].rpartition(".")[2]
            if kind not in ("Pooling", "Dense", "Normalize"):
                raise ValueError(
                    f"{repo}: modules.json names {module['type']!r}; AutoModel knows Pooling, Dense and Normalize. "
                    "Load this repo with SentenceTransformer."
                )
            name = f"{module['path']}/config.json"
            path = _find(repo, name, hub, required=kind != "Normalize")
            self.repository_files[name] = "{}" if path is None else path.read_text(encoding="utf-8")
            settings = _parse(self.repository_files[name], f"{repo}/{name}")
            if kind == "Pooling":
                self.pooling_mode = _pooling_mode(settings, f"{repo}/{name}")
            elif kind == "Dense":
                weights = _find(repo, f"{module['path']}/model.safetensors", hub, required=True)
                head = _head(settings, _read_tensors(weights), width, f"{repo}/{name}")
                width = len(head.weight)
                self.heads.append(head.to(device, self.dtype))
        if self.pooling_mode is None:
            raise ValueError(f"{repo}: modules.json names no Pooling, so that there is no sentence embedding.")
        if (widest := max(self.config.matryoshka_dims)) > width:
            raise ValueError(
                f"{repo}: config.json names the width {widest} in `matryoshka_dims`, but the embedding has {width}; "
                "correct `matryoshka_dims`."
            )


def _find(repo: str | os.PathLike[str], name: str, hub: dict[str, Any], *, required: bool) -> Path | None:
    """Return a file of the repo, fetched where it is a Hub id; None where it is missing and not required."""
    path = cached_file(repo, name, _raise_exceptions_for_missing_entries=False, **hub)
    if path is None and required:
        raise FileNotFoundError(
            f"{repo} holds no {name}; expected all files of a sentence-transformers model, with weights in "
            "safetensors (pickles are not read)."
        )
    return None if path is None else Path(path)


def _parse(text: str, name: str) -> Any:
    """Parse JSON, naming the file where it is none."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} is not JSON: {error}.") from error


def _read_tensors(path: Path | None) -> dict[str, Tensor]:
    """Read a safetensors file, naming it where it is damaged."""
    try:
        tensors: dict[str, Tensor] = load_file(str(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); fetch or save it again.") from error
    return tensors


def _check_order(kinds: list[str], repo: str) -> None:
    """Raise unless one pooling comes first, then heads, then at most a normalisation, as `forward` has them."""
    known = [kind for kind in kinds if kind in ("Pooling", "Dense", "Normalize")]
    heads = known[1:-1] if known[-1:] == ["Normalize"] else known[1:]
    if known[:1] == ["Pooling"] and set(heads) <= {"Dense"}:
        return
    if "Pooling" in known:
        raise ValueError(
            f"{repo}: modules.json lists {', '.join(kinds)}; AutoModel knows one Pooling, then Dense, then Normalize. "
            "Load this repo with SentenceTransformer."
        )


def _check_width(truncate_dim: int | None, matryoshka_dims: list[int]) -> None:
    """Raise unless the width was trained."""
    if truncate_dim is not None and (not isinstance(truncate_dim, int) or truncate_dim not in matryoshka_dims):
        trained = ", ".join(map(str, matryoshka_dims))
        raise ValueError(
            f"`truncate_dim`={truncate_dim} is not one of the trained `matryoshka_dims` ({trained}); pick one of them."
        )


def _pool(hidden: Tensor, attention_mask: Tensor, mode: str) -> Tensor:
    """Reduce `(batch_size, length, hidden_size)` to `(batch_size, hidden_size)` over the tokens of the mask."""
    if mode == "cls":
        # The first attended token, wherever padding stands.
        first = attention_mask.long().argmax(dim=1)
        return hidden[torch.arange(len(hidden), device=hidden.device), first]
    weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
    # Only where there is padding alone is the sum below 1; in float16 a smaller bound would be zero.
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-4)


def _pooling_mode(settings: dict[str, Any], name: str) -> str:
    """Read the pooling mode, in today's or the older form of the file."""
    flags = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
    old = [mode for flag, mode in flags.items() if settings.get(flag)]
    mode = settings.get("pooling_mode", old[0] if len(old) == 1 else None)
    if mode not in ("mean", "cls") or not settings.get("include_prompt", True):
        raise ValueError(
            f"{name} asks for pooling {settings!r}; AutoModel knows `mean` and `cls` with the prompt included. "
            "Load this repo with SentenceTransformer."
        )
    return str(mode)


def _head(settings: dict[str, Any], tensors: dict[str, Tensor], width: int, name: str) -> Head:
    """Build a head over `width` inputs, its activation one of torch.nn and nothing else."""
    activation = settings.get("activation_function", "torch.nn.modules.linear.Identity")
    known = getattr(nn, activation.rpartition(".")[2], None) if activation.startswith("torch.nn.") else None
    plain = all(settings.get(f"module_{end}put_name", "sentence_embedding") == "sentence_embedding" for end in _ENDS)
    if known is None or settings.get("use_residual") or not plain:
        raise ValueError(f"{name} asks for {settings!r}; AutoModel knows plain layers with an activation of torch.nn.")
    outputs, inputs = settings.get("out_features"), settings.get("in_features")
    bias = {"linear.bias": (outputs,)} if settings.get("bias", True) else {}
    expected = {"linear.weight": (outputs, inputs), **bias}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if found != expected:
        raise ValueError(f"{name} describes the weights {expected}, but its model.safetensors holds {found}.")
    if inputs != width:
        raise ValueError(f"{name} describes a layer over {inputs} inputs, but what comes before it gives {width}.")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise ValueError(f"{name}: its model.safetensors holds NaN or infinite weights; save the model again.")
    return Head(tensors["linear.weight"], tensors.get("linear.bias"), known())


def _module_paths(files: dict[str, str], kind: str) -> list[str]:
    """List the folders of the modules of one kind, in order."""
    return [m["path"] for m in json.loads(files["modules.json"]) if m["type"].rpartition(".")[2] == kind]
