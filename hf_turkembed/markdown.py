"""Values and tables as Markdown text."""

from collections.abc import Mapping, Sequence
from typing import Any

from hf_turkembed.record import Input
from hf_turkembed.scores import ScoreDataset


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table; cells may hold Markdown, and what would end a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def format_value(value: Any) -> str:
    """Write a number, a list or a text of a record.

    Integers get a thousands separator, other numbers four significant digits.
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def format_settings(settings: Mapping[str, Any]) -> str:
    """Write `key value` pairs in one line, leaving out what is not set."""
    pairs = ((key, value) for key, value in settings.items() if value is not None)
    return "; ".join(f"{key.replace('_', ' ')} {format_value(value)}" for key, value in pairs)


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
    name = f"`{format_name(source.name)}`"
    if source.revision is not None:
        return f"{name} @ `{source.revision[:7]}`"
    return name if source.digest is None else f"{name} (sha256 `{source.digest[:8]}`)"


def _cell(text: str) -> str:
    """Escape what would end a cell or a row."""
    return text.replace("|", "\\|").replace("\n", " ")
