"""The ModernBERT encoder with Matryoshka sentence embeddings."""

import json
from collections.abc import Sequence
from typing import Any

from transformers import ModernBertModel

from .modeling_matryoshka import MatryoshkaMixin

# Where older versions of transformers, and inference servers, look for the base of the two kinds of layers.
_ROPE_KEYS = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
_PERIOD = "global_attn_every_n_layers"


class MatryoshkaModernBertModel(MatryoshkaMixin, ModernBertModel):
    """`ModernBertModel` whose `pooler_output` is the sentence embedding; see `MatryoshkaMixin`."""

    def config_text(self) -> str:
        """Return the config.json to save, in the form that inference servers read."""
        config = json.loads(self.config.to_json_string())
        flatten_layers(config)
        return json.dumps(config, indent=2, sort_keys=True) + "\n"


def flatten_layers(config: dict[str, Any]) -> None:
    """Name the layers with full attention by their period, and each kind's rotary base, where that says it all.

    Args:
        config: The content of a config.json of ModernBERT, which is changed.
    """
    if "layer_types" not in config:
        return
    # What the checkpoint came with; the list of layers is what counts.
    config.pop(_PERIOD, None)
    period = _period(config["layer_types"])
    nested = config.get("rope_parameters") or {}
    plain = [set(nested.get(kind, {})) == {"rope_theta", "rope_type"} for kind in _ROPE_KEYS]
    if period and all(plain) and all(nested[kind]["rope_type"] == "default" for kind in _ROPE_KEYS):
        del config["layer_types"], config["rope_parameters"]
        config.update({key: nested[kind]["rope_theta"] for kind, key in _ROPE_KEYS.items()}, **{_PERIOD: period})


def _period(layer_types: Sequence[str]) -> int | None:
    """Return p if full attention is in the first layer and every p-th from there, and in no other."""
    full = [layer for layer, kind in enumerate(layer_types) if kind == "full_attention"]
    period = full[1] if len(full) > 1 else len(layer_types)
    return period if full == list(range(0, len(layer_types), period)) else None
