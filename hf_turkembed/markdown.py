"""Values and tables as Markdown text; whatever comes from outside stands there as it is, never as markup."""

import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hf_turkembed.record import Input
from hf_turkembed.scores import ScoreDataset

# What begins or underlines a block of its own at the beginning of a line, besides the characters below.
_BLOCK = re.compile(r"^(?:(\d+)(?=[.)](?: |$))|(?=(?:#{1,6}|[+-])(?: |$)|[=-]+$))")
# Characters that begin markup, HTML or mathematics anywhere in a line; an underscore between letters does not.
_MARKUP = re.compile(r"[\\`*\[\]<>&$~]|(?<![^\W_])_|_(?![^\W_])")


def escape(text: str) -> str:
    """Write a text so that a Markdown reader shows its characters, in one line; control characters as escapes."""
    return _BLOCK.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", _visible(" ".join(text.split()))))


def format_code(text: str) -> str:
    """Write a text as code in a line, whatever backticks it holds; control characters are written as escapes."""
    shown = _visible(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    # A reader takes one space off both ends where both have one and the text is not all spaces.
    loses_spaces = bool(shown.strip()) and shown.startswith(" ") and shown.endswith(" ")
    return f"{fence} {shown} {fence}" if loses_spaces or "`" in shown or not shown else f"{fence}{shown}{fence}"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table; cells may hold Markdown, and what would end a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def format_value(value: Any) -> str:
    """Write a number, a list or a text of a record.

    Integers get a thousands separator, other numbers four significant digits.

    Raises:
        ValueError: If a number is not finite.
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    # NumPy's numbers are registered as such.
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}"
    if isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise ValueError(f"a record holds the number {value}; a card shows finite ones only. Run its step again.")
        return f"{float(value):.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(escape(str(item)) for item in value)
    return escape(str(value))


def format_settings(settings: Mapping[str, Any]) -> str:
    """Write `key value` pairs in one line, leaving out what is not set."""
    pairs = ((key, value) for key, value in settings.items() if value is not None)
    return "; ".join(f"{escape(key.replace('_', ' '))} {format_value(value)}" for key, value in pairs)


def format_seconds(seconds: float) -> str:
    """Write a wall time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def format_name(name: str) -> str:
    """Write a portable name without the placeholder of its root."""
    return name.removeprefix("{output_dir}/").removeprefix("../").removeprefix("{data_root}/")


def format_source(source: Input | ScoreDataset) -> str:
    """Name an input or a dataset with the beginning of its revision or digest."""
    name = format_code(format_name(source.name))
    if source.revision is not None:
        return f"{name} @ {format_code(source.revision[:7])}"
    return name if source.digest is None else f"{name} (sha256 {format_code(source.digest[:8])})"


def _visible(text: str) -> str:
    """Write control characters as Python does in quotes."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _cell(text: str) -> str:
    """Escape what would end a cell or a row: a bar has an odd number of backslashes before it."""
    return re.sub(r"(\\*)\|", lambda bar: bar[1] + "\\" * (1 + len(bar[1]) % 2) + "|", text.replace("\n", " "))
