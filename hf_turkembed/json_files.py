"""JSON files, read so that a damaged one is named."""

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If it is not valid JSON, which has no words for NaN and infinities.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except ValueError as error:
        raise ValueError(
            f"{path} is not valid JSON ({error}); fetch it again, or remove it and run again the step that wrote it."
        ) from error


def _refuse(constant: str) -> Any:
    """Stand in for the parser's own reading of NaN and infinities."""
    raise ValueError(f"it holds {constant}")
