"""A fast tokenizer from its file."""

from pathlib import Path

from tokenizers import Tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is not one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"`{path}` does not exist; give a folder that holds a fast tokenizer.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        # The library raises nothing narrower, and does not name the file.
        raise ValueError(f"{path} is not a fast tokenizer ({error}); fetch or save it again.") from error
