"""The map from the ids of one tokenizer to those of another, for whoever holds vectors by old id."""

import json
from pathlib import Path

from tokenizers import Tokenizer


def map_ids(source: Tokenizer, target: Tokenizer) -> list[int | None]:
    """Find the id of every token of one tokenizer in another, where it is the token of the same string.

    Args:
        source: The tokenizer whose ids are known.
        target: The tokenizer whose ids are wanted.

    Returns:
        The new id by old id; None where the token is gone, or where no token has the old id.
    """
    old, new = source.get_vocab(), target.get_vocab()
    mapped: list[int | None] = [None] * (max(old.values()) + 1)
    for piece, index in old.items():
        mapped[index] = new.get(piece)
    return mapped


def write_id_map(path: Path, source_name: str, source: Tokenizer, target: Tokenizer) -> None:
    """Write as JSON `source`, a name, and `old_to_new`, a list whose entry i is the new id of old id i or null.

    Null and not -1, which would pick the last row of a table.

    Args:
        path: File to write.
        source_name: What readers know the source by, such as a repo id.
        source: The tokenizer whose ids are known.
        target: The tokenizer whose ids are wanted.
    """
    content = {"source": source_name, "old_to_new": map_ids(source, target)}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")
