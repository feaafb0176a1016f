"""Reports on standard output."""

import json
from typing import Any

import typer

from hf_turkembed.json_files import as_plain


def print_json(value: Any) -> None:
    """Print a report as JSON."""
    typer.echo(json.dumps(as_plain(value), indent=2, ensure_ascii=False, allow_nan=False))
