"""How many tokens an encoder has positions for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel

# Encoders whose first token has the position behind the id of padding, so that 514 positions are 512 tokens.
BEHIND_PADDING = (
    "camembert",
    "data2vec-text",
    "ibert",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
)
_TABLE = "position_embeddings.weight"
# Limits above this stand for none.
_NO_LIMIT = 10**9


def unused_positions(config: Mapping[str, Any]) -> int:
    """Return how many positions no token ever has.

    Args:
        config: The content of a config.json.
    """
    return int(config.get("pad_token_id", 1)) + 1 if config.get("model_type") in BEHIND_PADDING else 0


def find_window(config: Mapping[str, Any], limit: int | None) -> int | None:
    """Return the most tokens that a model was made for.

    Args:
        config: The content of a config.json.
        limit: What its other files say, in tokens; None where they say nothing.

    Returns:
        The limit, or where there is none as many as there are positions for; None where neither is known. Positions
        that no token has are never counted, as sentence-transformers does.
    """
    positions = config.get("max_position_embeddings")
    limit = None if limit is None or limit >= _NO_LIMIT else int(limit)
    # XLNet has -1, for any number.
    if positions is None or positions < 1:
        return limit
    unused = unused_positions(config)
    window = int(positions) - unused
    return window if limit is None else min(limit, window) if unused else limit


def limit_length(model: "SentenceTransformer") -> None:
    """Lower a model's longest text to the tokens that there are positions for.

    Args:
        model: Changed in place.
    """
    first: Any = model[0]
    # Static embeddings have no network, and no positions.
    if (network := getattr(first, "model", None)) is not None and unused_positions(network.config.to_dict()):
        model.max_seq_length = find_window(network.config.to_dict(), model.max_seq_length)


def check_length(model: "SentenceTransformer", max_length: int) -> None:
    """Check that texts do not run past a table of positions, as rotary ones may.

    Args:
        model: The model.
        max_length: Longest text, in tokens.

    Raises:
        ValueError: If they do.
    """
    first: Any = model[0]
    check_positions(first.model, max_length)


def check_positions(network: "PreTrainedModel", max_length: int) -> None:
    """Check the same of the network alone, whose weights may be on the meta device.

    Args:
        network: The network.
        max_length: Longest text, in tokens.

    Raises:
        ValueError: If texts run past its table of positions.
    """
    window = find_window(network.config.to_dict(), None)
    table = any(name.endswith(_TABLE) for name, _ in network.named_parameters())
    if table and window is not None and max_length > window:
        raise ValueError(
            f"`max_length` is {max_length}, but {network.config.name_or_path or 'the model'} has a table of positions "
            f"for {window} tokens; lower it."
        )
