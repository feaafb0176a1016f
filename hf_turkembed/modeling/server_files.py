"""A model's small files in the older form, which inference servers know and today's libraries read as well.

Since version 5.4 sentence-transformers names modules and pooling in another way, and today it leaves the longest text
to the tokenizer; transformers 5 nests Gemma's rotary settings. At files of that form text-embeddings-inference 1.9
stops or leaves out the dense heads, and vLLM without its pull request 54533 leaves them out and may pool otherwise.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_turkembed.json_files import read_json
from hf_turkembed.modeling.modeling_matryoshka_gemma3 import flatten_rope
from hf_turkembed.modeling.modeling_matryoshka_modernbert import flatten_layers
from hf_turkembed.modeling.window import find_window

_MODULES = ("Transformer", "Pooling", "Dense", "Normalize")
_POOLING_FLAGS = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens"}


def write_server_files(folder: Path) -> None:
    """Rewrite the small files of a model; what a loader makes of them stays the same.

    Args:
        folder: A model in the sentence-transformers layout with `matryoshka_dims` in its config.json.
    """
    config = read_json(folder / "config.json")
    # The name that vLLM looks for before it lets a request choose a width.
    config["matryoshka_dimensions"] = config["matryoshka_dims"]
    if config["model_type"] == "gemma3_text":
        flatten_rope(config)
        if "layer_types" in config:
            _set_pattern(config)
    if config["model_type"] == "modernbert":
        flatten_layers(config)
    if config["model_type"] == "gte":
        # vLLM builds its GTE only where this is said; transformers knows no other.
        config["position_embedding_type"] = "rope"
    _write(folder / "config.json", dict(sorted(config.items())))
    modules = read_json(folder / "modules.json")
    for module in modules:
        kind = module["type"].rpartition(".")[2]
        if module["type"].startswith("sentence_transformers.") and kind in _MODULES:
            module["type"] = f"sentence_transformers.models.{kind}"
        if kind == "Pooling":
            _write_pooling(folder / module["path"] / "config.json")
    _write(folder / "modules.json", modules)
    if "max_position_embeddings" in config:
        _write_limit(folder, config)


def _set_pattern(config: dict[str, Any]) -> None:
    """Say which layers attend to all tokens as a period, or not at all where they have none."""
    period = _period(config["layer_types"])
    config.pop("_sliding_window_pattern", None)
    if period is not None:
        config["_sliding_window_pattern"] = period


def _period(layer_types: Sequence[str]) -> int | None:
    """Return p if exactly every p-th layer has full attention."""
    if "full_attention" not in layer_types:
        return None
    period = layer_types.index("full_attention") + 1
    full = [layer % period == 0 for layer in range(1, len(layer_types) + 1)]
    return period if full == [kind == "full_attention" for kind in layer_types] else None


def _write_pooling(path: Path) -> None:
    """Write the pooling as flags; a mode that is neither `cls` nor `mean` is left as it is."""
    settings = read_json(path)
    mode = settings.get("pooling_mode")
    if mode not in _POOLING_FLAGS:
        return
    del settings["pooling_mode"]
    if "embedding_dimension" in settings:
        settings["word_embedding_dimension"] = settings.pop("embedding_dimension")
    _write(path, settings | {flag: name == mode for name, flag in _POOLING_FLAGS.items()})


def _write_limit(folder: Path, config: dict[str, Any]) -> None:
    """Write the longest text, in tokens, where servers look for it, and no more than there are positions for."""
    path, positions = folder / "sentence_bert_config.json", config["max_position_embeddings"]
    if path.is_file():
        settings = read_json(path)
        limit = settings.get("max_seq_length")
        if limit is None:
            longest = read_json(folder / "tokenizer_config.json").get("model_max_length", positions)
            limit = min(longest, positions)
        settings["max_seq_length"] = find_window(config, limit)
        _write(path, settings)


def _write(path: Path, content: Any) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
