"""YAML mappings into frozen dataclasses, strictly: every key known, every type as declared."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal


def build(kind: Any, content: Any, path: str, where: str = "") -> Any:
    """Build a dataclass from what YAML gave.

    Args:
        kind: The dataclass. Its fields may be scalars, `X | None`, tuples, mappings, Literals and dataclasses.
        content: The mapping read from YAML.
        path: Name of the file, for messages.
        where: Dotted key of `content` in the file, for messages.

    Raises:
        ValueError: If a key is unknown (the nearest known one is named) or missing, a value has another type than
            declared, or the dataclass itself refuses the values.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{path}: {_key(where)} is {content!r}, expected a section with keys.")
    hints = typing.get_type_hints(kind)
    for key in content:
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(hints)}."
            raise ValueError(f"{path}: unknown key {key!r} in {_key(where)}; {hint}")
    for entry in dataclasses.fields(kind):
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and entry.name not in content:
            raise ValueError(f"{path}: {_key(where)} lacks the key {entry.name!r}; add it.")
    values = {key: convert(hints[key], value, path, f"{where}.{key}".lstrip(".")) for key, value in content.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {_key(where)}: {error}") from error


def convert(kind: Any, value: Any, path: str, where: str) -> Any:
    """Check one value against its type, turning lists into tuples and mappings into dataclasses.

    Args:
        kind: Type of a field, see `build`.
        value: What YAML gave.
        path: Name of the file, for messages.
        where: Dotted key of `value` in the file, for messages.

    Raises:
        ValueError: If the value is not of the type.
    """
    if value is None and type(None) in typing.get_args(kind):
        return None
    kind = strip_optional(kind)
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return build(kind, value, path, where)
    if origin is Literal:
        return _choice(kind, value, path, where)
    if origin is tuple:
        return _sequence(kind, value, path, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{path}: {_key(where)} is {value!r}, expected a mapping.")
        item = typing.get_args(kind)[1]
        return {str(key): convert(item, entry, path, f"{where}.{key}") for key, entry in value.items()}
    return value if kind is Any else _scalar(kind, value, path, where)


def _choice(kind: Any, value: Any, path: str, where: str) -> Any:
    """Check a value against a Literal."""
    if value not in typing.get_args(kind):
        names = ", ".join(map(repr, typing.get_args(kind)))
        raise ValueError(f"{path}: {_key(where)} is {value!r}, expected one of {names}.")
    return value


def _sequence(kind: Any, value: Any, path: str, where: str) -> tuple[Any, ...]:
    """Check a list against a tuple type of fixed or any length."""
    kinds = typing.get_args(kind)
    fixed = len(kinds) if Ellipsis not in kinds else None
    if not isinstance(value, list) or (fixed is not None and len(value) != fixed):
        expected = "a list" if fixed is None else f"a list of {fixed}"
        raise ValueError(f"{path}: {_key(where)} is {value!r}, expected {expected}.")
    return tuple(convert(kinds[0], item, path, f"{where}.{index}") for index, item in enumerate(value))


def _scalar(kind: Any, value: Any, path: str, where: str) -> Any:
    """Check a number, a string or a flag; whole numbers pass as floats, nothing else is converted."""
    plain = getattr(kind, "__supertype__", kind)
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not plain or (plain is float and not math.isfinite(value)):
        # YAML 1.1 reads 5e-5 as text; only 5.0e-5 is a number.
        hint = " (write 5e-5 as 5.0e-5)" if plain is float and isinstance(value, str) else ""
        raise ValueError(f"{path}: {_key(where)} is {value!r}, expected {plain.__name__}{hint}.")
    return value


def strip_optional(kind: Any) -> Any:
    """Return X for the type `X | None`, and any other type as it is."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return next(k for k in typing.get_args(kind) if k is not type(None))
    return kind


def _key(where: str) -> str:
    """Name a dotted key, or the top level, for an error message."""
    return f"`{where}`" if where else "the top level"
