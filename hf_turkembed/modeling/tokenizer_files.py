"""Whether the tokenizer beside a network loads, pads, and gives only ids that the network has rows for."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer


def check_tokenizer(folder: Path, rows: int) -> None:
    """Check the tokenizer of a model folder as transformers loads it.

    A special token past the table passes where it has no role, as `<image_soft_token>` of Gemma 3: no text holds it.

    Args:
        folder: A model folder with a fast tokenizer.
        rows: Rows of the network's embedding table.

    Raises:
        ValueError: If it does not load, has no token for padding, or a text can have an id beyond the table.
    """
    tokenizer = _load(folder)
    roles = tokenizer.special_tokens_map
    if "pad_token" not in roles:
        raise ValueError(
            f"{folder}/tokenizer_config.json names no `pad_token`, with which the texts of a batch are made equally "
            "long; name the token that the network was trained with."
        )
    # What stands around every text is given by the tokenizer's post-processor, which roles need not name.
    used = {*roles.values(), *tokenizer.convert_ids_to_tokens(tokenizer("")["input_ids"])}
    # Bytes are special in some tokenizers, but of the model's own vocabulary, in which it spells texts.
    used |= tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False).keys()
    unused = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special} - used
    past = {token: row for token, row in tokenizer.get_vocab().items() if row >= rows and token not in unused}
    if past:
        first = min(past, key=past.__getitem__)
        raise ValueError(
            f"{folder}/tokenizer.json has {len(past)} tokens without a row, such as {first!r} with the id "
            f"{past[first]}: the table of the network has {rows} rows. Put the tokenizer of this very model there."
        )


def _load(folder: Path) -> Any:
    """Load a tokenizer; transformers raises whatever its parsing meets, and names no file."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        path = folder / "tokenizer.json"
        try:
            Tokenizer.from_file(str(path))
        except Exception as reason:
            raise ValueError(f"{path} is not a fast tokenizer ({reason}); fetch or save it again.") from reason
        raise ValueError(
            f"{folder}/tokenizer_config.json does not fit its tokenizer.json ({error}); fetch or save both again."
        ) from error
