"""JSON files: written whole or not at all, and read so that a damaged one is named."""

import dataclasses
import json
import math
import numbers
import os
from collections.abc import Mapping
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


def read_versioned(path: Path, version: int) -> dict[str, Any]:
    """Read a JSON object that says which version of its schema it has.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If it is not valid JSON, or of another version.
    """
    content = read_json(path)
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != version:
        raise ValueError(f"{path} has schema version {found!r}, expected {version}; run its step again.")
    return dict(content)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON through a temporary name, so that a crash leaves the old file or the new one.

    Raises:
        ValueError: If `content` holds NaN or an infinity.
    """
    text = json.dumps(as_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)


def as_plain(value: Any) -> Any:
    """Turn dataclasses, mappings, tuples and NumPy's numbers into what `json` writes, keeping the order of keys."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    # NumPy's numbers are registered as such, and are none that `json` knows.
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else value


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
