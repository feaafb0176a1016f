"""The metadata of a card: YAML that parses, and the few keys whose form the Hub is known to check."""

import re
from typing import Any

import yaml
from starlette.responses import JSONResponse, Response

from hub_server.store import Call

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)


def read_metadata(card: str) -> Any:
    """Parse what stands between the dashes; None where nothing does."""
    match = _FRONT_MATTER.match(card)
    return yaml.safe_load(match[1]) if match else None


def find_errors(card: str) -> list[str]:
    """List what is wrong with a card's metadata."""
    try:
        metadata = read_metadata(card)
    except yaml.YAMLError as error:
        return [f"YAML is invalid: {error}"]
    if metadata is None:
        return []
    if not isinstance(metadata, dict):
        return ['"metadata" must be a mapping']
    errors = []
    for key in ("license", "language", "base_model"):
        values = metadata.get(key, "")
        if not all(isinstance(value, str) for value in (values if isinstance(values, list) else [values])):
            errors.append(f'"{key}" must be a string or a list of strings')
    if not isinstance(metadata.get("tags", []), list):
        errors.append('"tags" must be an array')
    for place, entry in enumerate(metadata.get("model-index", [])):
        if not isinstance(entry, dict) or not {"name", "results"} <= entry.keys():
            errors.append(f'"model-index[{place}]" must have "name" and "results"')
    return errors


def validate(call: Call) -> Response:
    card = call.json()["content"]
    errors = [{"message": message} for message in find_errors(card)]
    warnings = [] if errors or read_metadata(card) else [{"message": "empty or missing yaml metadata in repo card"}]
    return JSONResponse({"errors": errors, "warnings": warnings}, 400 if errors else 200)


ROUTES = [("POST", "/api/validate-yaml", validate)]
