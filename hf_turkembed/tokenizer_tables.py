"""The report on a tokenizer as the file beside it and as Markdown tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_turkembed.json_files import as_plain, read_versioned, write_json
from hf_turkembed.markdown import escape, format_code, format_table, format_value

REPORT_SCHEMA_VERSION = 1
REPORT_FILE = "tokenizer_report.json"
FIGURE_FILE = "fertility.png"
ID_MAP_FILE = "id_map.json"

# Columns of the table by language: the key, and the factor and format of its value.
_FERTILITY_COLUMNS = {
    "tokens per word": ("tokens_per_word", 1, ".3f"),
    "characters per token": ("characters_per_token", 1, ".3f"),
    "byte fallback (%)": ("byte_share", 100, ".3f"),
    "unknown (%)": ("unknown_share", 100, ".3f"),
    "parity": ("parity", 1, ".3f"),
    "Rényi efficiency": ("renyi_efficiency", 1, ".3f"),
}
# Scripts that have a row of their own; tables of a large vocabulary would have ninety.
_SHOWN_SCRIPTS = 12


def write_report(folder: Path, comparison: Any) -> None:
    """Write `tokenizer_report.json`.

    Args:
        folder: An existing folder.
        comparison: A `TokenizerComparison`.
    """
    write_json(folder / REPORT_FILE, {"schema_version": REPORT_SCHEMA_VERSION, **as_plain(comparison)})


def read_report(folder: Path) -> dict[str, Any] | None:
    """Read the report on the tokenizer in a folder, as plain data; None if there is none.

    Raises:
        ValueError: If it has another version.
    """
    path = folder / REPORT_FILE
    return read_versioned(path, REPORT_SCHEMA_VERSION) if path.is_file() else None


def format_report(report: Mapping[str, Any]) -> str:
    """Write all tables of a report.

    Args:
        report: A `TokenizerReport` or a `TokenizerComparison` as plain data.

    Returns:
        The tables, ending in a line break.
    """
    tables = [format_fertility(report), format_measures(report)]
    if "vocabulary" in report:
        tables += [describe_vocabulary(report["vocabulary"]), format_scripts(report["vocabulary"]["scripts"])]
    return "\n\n".join(filter(None, tables)) + "\n"


def format_fertility(report: Mapping[str, Any]) -> str:
    """Lay out what one or two tokenizers make of text, one row a language; nothing where no text was given.

    Args:
        report: A `TokenizerReport` or a `TokenizerComparison` as plain data.

    Returns:
        A table in which a column that has no value is left out.
    """
    sides = _sides(report)
    languages = sides[0]["fertility"]
    rows = {
        language: {
            column: _format_pair([side["fertility"][language][key] for side in sides], factor, form)
            for column, (key, factor, form) in _FERTILITY_COLUMNS.items()
        }
        for language in languages
    }
    columns = [column for column in _FERTILITY_COLUMNS if any(row[column] for row in rows.values())]
    if not columns:
        return ""
    header, cells = (
        ["language", *columns],
        [[escape(language), *(row[column] for column in columns)] for language, row in rows.items()],
    )
    if "change" in report:
        header.append("tokens (%)")
        cells = [
            [*row, f"{100 * report['change'][language]:+.1f}"] for row, language in zip(cells, languages, strict=True)
        ]
    return format_table(header, cells)


def format_measures(report: Mapping[str, Any]) -> str:
    """Lay out what holds for a whole tokenizer.

    Args:
        report: A `TokenizerReport` or a `TokenizerComparison` as plain data.

    Returns:
        A table, one row a measure.
    """
    sides = _sides(report)
    inflections = [side["inflection"] for side in sides]
    rows = [
        ["vocabulary size", *(format_value(side["vocab_size"]) for side in sides)],
        ["tokens that no text produces", *(format_value(side["unreachable"]) for side in sides)],
    ]
    if all(inflections):
        rows += [
            ["inflected Turkish words (generated)", *(format_value(one["words"]) for one in inflections)],
            ["of these one token (%)", *(_format_share(one["whole_word_share"]) for one in inflections)],
            ["of the others cut at the end of the stem (%)"]
            + [_format_share(one["stem_boundary_recall"]) for one in inflections],
        ]
    return format_table(["measure", "before", "after"] if "before" in report else ["measure", "value"], rows)


def describe_vocabulary(vocabulary: Mapping[str, Any]) -> str:
    """Count the tokens that stayed, went and came, in a sentence."""
    return (
        f"{vocabulary['kept']:,} tokens stay, {vocabulary['dropped']:,} are dropped and {vocabulary['new']:,} are new."
    )


def format_scripts(scripts: Sequence[Mapping[str, Any]]) -> str:
    """Lay out dropped and new tokens, one row a script; those that changed least share the last row.

    Args:
        scripts: `ScriptChange`s as plain data, the most changed first.

    Returns:
        A table, or nothing where nothing changed.
    """
    if not scripts:
        return ""
    rows = [_format_script(script) for script in scripts[:_SHOWN_SCRIPTS]]
    if rest := scripts[_SHOWN_SCRIPTS:]:
        dropped, new = (sum(script[key] for script in rest) for key in ("dropped", "new"))
        rows.append([f"{len(rest)} others", f"{dropped:,}", "", f"{new:,}", ""])
    return format_table(["script", "dropped", "such as", "new", "such as"], rows)


def _sides(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the one or two reports on a tokenizer."""
    return [report["before"], report["after"]] if "before" in report else [report]


def _format_pair(values: Sequence[float | None], factor: int, form: str) -> str:
    """Write one value, or two with an arrow; nothing where there is none."""
    return " → ".join(f"{factor * value:{form}}" for value in values if value is not None)


def _format_share(share: float | None) -> str:
    """Write a share in per cent."""
    return "" if share is None else f"{100 * share:.1f}"


def _format_script(script: Mapping[str, Any]) -> list[str]:
    """Write the row of a script."""
    cells = [escape(script["script"])]
    for key in ("dropped", "new"):
        cells += [f"{script[key]:,}", " ".join(map(_format_token, script[f"{key}_examples"]))]
    return cells


def _format_token(token: str) -> str:
    """Write a token as code, with what cannot be seen escaped."""
    return format_code(repr(token)[1:-1])
