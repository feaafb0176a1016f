"""What a tokenizer does around the text: special tokens, padding, truncation, length."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token", "mask_token", "cls_token", "sep_token")


@dataclass(frozen=True, kw_only=True)
class TokenizerBehaviour:
    """What a tokenizer does beyond cutting text, as its users get it from `AutoTokenizer`."""

    # Special token of each role that has one, such as `bos_token`.
    roles: Mapping[str, str]
    # Side on which shorter texts are filled up, "left" or "right".
    padding_side: str
    # Side on which longer texts are cut off, "left" or "right".
    truncation_side: str
    # Longest input, in tokens.
    model_max_length: int
    # What a model gets from it, such as `input_ids` and `token_type_ids`.
    model_input_names: tuple[str, ...]
    # Whether decoding removes spaces before punctuation.
    clean_up_tokenization_spaces: bool
    # Special tokens put around one text.
    around_text: tuple[str, ...]
    # Special tokens put around and between two texts.
    around_pair: tuple[str, ...]


def describe_behaviour(tokenizer: Any) -> TokenizerBehaviour:
    """Note what a loaded tokenizer does around the text.

    Args:
        tokenizer: A fast tokenizer of transformers.

    Returns:
        Special tokens, sides and lengths.
    """
    backend = tokenizer.backend_tokenizer
    roles = {role: getattr(tokenizer, role) for role in _ROLES}
    return TokenizerBehaviour(
        roles={role: str(token) for role, token in roles.items() if token is not None},
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tuple(tokenizer.model_input_names),
        clean_up_tokenization_spaces=bool(tokenizer.clean_up_tokenization_spaces),
        around_text=tuple(backend.encode("").tokens),
        around_pair=tuple(backend.encode("", "").tokens),
    )
