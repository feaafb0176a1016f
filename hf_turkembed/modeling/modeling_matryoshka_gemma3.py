"""The Gemma-3 text encoder (EmbeddingGemma) with Matryoshka sentence embeddings."""

import json
from typing import Any

import torch
from transformers import Gemma3TextModel, PreTrainedConfig

from .modeling_matryoshka import MatryoshkaMixin

# What transformers reads as `rope_parameters` of the two kinds of layers.
_ROPE_KEYS = {"full_attention": "rope_theta", "sliding_attention": "rope_local_base_freq"}


class MatryoshkaGemma3TextModel(MatryoshkaMixin, Gemma3TextModel):
    """`Gemma3TextModel` whose `pooler_output` is the sentence embedding; see `MatryoshkaMixin`.

    It has to attend in both directions, which its config says, and does not run in float16, whose range its
    activations exceed; bfloat16 and float32 hold them.
    """

    @classmethod
    def check_config(cls, config: PreTrainedConfig, name: str) -> None:
        """Refuse a network that would look only backwards, which ruins its embeddings without an error."""
        if not config.use_bidirectional_attention:
            raise ValueError(
                f"{name}/config.json does not set `use_bidirectional_attention`, so the model would attend causally; "
                "expected the configuration of an embedding model."
            )

    def check_dtype(self) -> None:
        """Refuse float16, of the weights or by autocast."""
        device = self.device.type
        # Weights that are offloaded are on `meta`, which autocast does not know.
        autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        if self.dtype == torch.float16 or (autocast and torch.get_autocast_dtype(device) == torch.float16):
            raise ValueError(
                "Gemma 3 does not run in float16: its activations exceed that range, and the embeddings would be NaN. "
                "Use torch.bfloat16 or torch.float32."
            )

    def config_text(self) -> str:
        """Return the config.json to save, in the form that inference servers read."""
        config = json.loads(self.config.to_json_string())
        flatten_rope(config)
        return json.dumps(config, indent=2, sort_keys=True) + "\n"


def flatten_rope(config: dict[str, Any]) -> None:
    """Name the two bases of the rotary embedding as keys of their own, where there is nothing more to say.

    Args:
        config: The content of a config.json of Gemma 3, which is changed.
    """
    nested = config.get("rope_parameters") or {}
    plain = [set(nested.get(kind, {})) == {"rope_theta", "rope_type"} for kind in _ROPE_KEYS]
    if all(plain) and all(nested[kind]["rope_type"] == "default" for kind in _ROPE_KEYS):
        del config["rope_parameters"]
        config.update({key: nested[kind]["rope_theta"] for kind, key in _ROPE_KEYS.items()})
