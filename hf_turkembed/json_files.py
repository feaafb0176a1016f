"""JSON files, read so that a damaged one is named."""

import json
import math
from pathlib import Path
from typing import Any

# Of a number that is refused.
_SHOWN_DIGITS = 20


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If it is not valid JSON, which has no words for NaN and infinities, nests values deeper than
            Python can follow, or holds a number beyond those of float64.
    """
    try:
        return json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse, parse_float=_read_float, parse_int=_read_integer
        )
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"{path} is not valid JSON ({error}); fetch it again, or remove it and run again the step that wrote it."
        ) from error


def _read_float(text: str) -> float:
    """Read a number that has to be finite."""
    number = float(text)
    return number if math.isfinite(number) else float(_refuse(text))


def _read_integer(text: str) -> int:
    """Read an integer that has to be near some float, as whatever computes with it turns it into one."""
    _read_float(text)
    return int(text)


def _refuse(constant: str) -> Any:
    """Stand in for the parser's own reading of NaN and infinities."""
    raise ValueError(f"it holds {constant[:_SHOWN_DIGITS]}")
