"""What was found, compared with what was expected: each comparison is a check with its number and its verdict."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

_COLUMNS = {"embedding", "language", "text", "tokens"}
_OPTIONAL_COLUMNS = {"pre_dense", "teacher_text"}
# Two loaders in float32 differ by rounding only.
_LOWEST_COSINE = 0.99999
_NORM_TOLERANCE = 1e-5
_HIDDEN_TOLERANCE = 1e-5
# Snippets load a model in its own precision, which may be bfloat16.
_LOWEST_SNIPPET_COSINE = 0.999
_SNIPPET_NORM_TOLERANCE = 1e-2
_SHOWN_FAULTS = 5
# Stored vectors are float16, whose rounding moves the norm of a unit vector by less than this.
_STORED_NORM_TOLERANCE = 5e-3


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison."""

    name: str
    # The measured number; None where there is none, or it is not finite.
    value: float | None = None
    passed: bool
    # What was found, and for a failure what was expected.
    detail: str


def check_faults(name: str, faults: Iterable[str]) -> Check:
    """Make a check of what is wrong, each fault said in words; what cannot be read is a fault as well."""
    try:
        found = list(faults)
    except Exception as error:
        found = [describe_error(error)]
    more = f"; and {len(found) - _SHOWN_FAULTS} more" if len(found) > _SHOWN_FAULTS else ""
    return Check(name=name, passed=not found, detail="; ".join(found[:_SHOWN_FAULTS]) + more or "as expected")


def describe_error(error: Exception) -> str:
    """Say in one line why something could not be checked.

    Files that others made end the code that reads them with errors of any class: to list these would miss some.
    """
    said = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError)):
        return said
    return f"a file has another form than expected ({type(error).__name__}: {said})"


def compare_models(without: Arrays, with_package: Arrays, widths: Sequence[int]) -> list[Check]:
    """Compare the loaders of a model.

    Args:
        without: What the probe without our package gave, see `loader_probe.probe_model`.
        with_package: What the probe with our package gave.
        widths: Trained widths.

    Returns:
        For every width: cosine between loaders, unit norm, and agreement with the cut of the full width; then the
        hidden states and the refusal of an untrained width.
    """
    checks: list[Check] = []
    full = with_package[f"auto.{max(widths)}"]
    for width in widths:
        ours = with_package[f"auto.{width}"]
        others = {"repo code": without[f"auto.{width}"], "sentence-transformers": without[f"plain.{width}"]}
        loaders = {"package": ours, **others}
        checks += [_check_cosine(f"{name} = package at {width}", other, ours) for name, other in others.items()]
        checks += [_check_unit(f"{name} unit norm at {width}", v) for name, v in loaders.items()]
        checks.append(_check_cosine(f"{width} = normalised cut of {max(widths)}", full[:, :width], ours))
    checks += [
        _check_hidden("repo code hidden states = package", without["hidden"], with_package["hidden"]),
        _check_hidden("native hidden states = package", without["native"], with_package["hidden"]),
    ]
    for name, arrays in {"package": with_package, "repo code": without}.items():
        refused = str(arrays["refused"])
        detail = refused or "a width that was not trained was accepted, expected a ValueError"
        checks.append(Check(name=f"{name} refuses an untrained width", passed=bool(refused), detail=detail))
    return [*checks, *_check_vocabulary(with_package), _check_rows(with_package)]


def check_snippets(arrays: Arrays) -> list[Check]:
    """Check what the snippets of a card gave, see `loader_probe.run_snippets`.

    Args:
        arrays: What the probes gave; `snippet.<number>` is empty where a snippet gives no sentence embeddings.

    Returns:
        One check a snippet: unit norm, and agreement with the other snippets.
    """
    found = {key: arrays[key] for key in sorted(arrays) if key.startswith("snippet.")}
    # The last is farthest from sentence-transformers, whose own defaults enter into its snippet.
    reference = next((vectors for vectors in reversed(found.values()) if vectors.size), None)
    checks = []
    for key, vectors in found.items():
        name = f"{key.replace('.', ' ')} runs"
        if reference is None or not vectors.size:
            checks.append(Check(name=name, passed=True, detail="it ran, and gives no embeddings"))
            continue
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        unit = _check_norms(name, norms, _SNIPPET_NORM_TOLERANCE)
        same = _check_cosine(name, vectors, reference, _LOWEST_SNIPPET_COSINE)
        checks.append(same if unit.passed else unit)
    return checks


def check_tokenizer(arrays: Arrays) -> list[Check]:
    """Check what the probe of a tokenizer measured, see `loader_probe.probe_tokenizer`."""
    return [*_check_vocabulary(arrays), _check_share("restores text", arrays["restored"])]


def check_adapter(arrays: Arrays) -> list[Check]:
    """Check what the probe of an adapter measured, see `loader_probe.probe_adapter`."""
    unread = json.loads(str(arrays["unread"]))
    base, adapted = arrays["base"], arrays["adapted"]
    apart = float(np.max(np.abs(adapted - base)))
    detail = f"embeddings with it are up to {apart:.2e} from those of the base alone, expected more than rounding"
    return [
        check_faults("adapter is read whole", (f"`{name}` has no counterpart" for name in unread)),
        _check_unit("adapter unit norm", adapted),
        _check_number("adapter changes embeddings", apart, apart > _NORM_TOLERANCE, detail),
    ]


def check_corpus(arrays: Arrays, configs: Sequence[str], columns: Sequence[str]) -> list[Check]:
    """Check what the probe of a set of texts found, see `loader_probe.probe_corpus`.

    Args:
        arrays: What the probe gave.
        configs: The languages, from the folders.
        columns: What the record names.
    """
    checks = []
    for config in configs:
        facts = json.loads(str(arrays[f"{config}.facts"]))
        expected = {"columns": sorted(columns), "types": ["string"], "languages": [config]}
        detail = f"found {facts}, expected {expected}"
        checks.append(Check(name=f"{config} columns", passed=facts == expected, detail=detail))
    return checks


def check_dataset(arrays: Arrays, rows: Mapping[str, int], counts: Mapping[str, Any]) -> list[Check]:
    """Check what the probe of a dataset measured, see `loader_probe.probe_dataset`.

    Args:
        arrays: What the probe gave.
        rows: Rows of each config, from the files.
        counts: What the record counted; a key that is missing is not compared.
    """
    checks = []
    for config in rows:
        checks.append(_check_config(config, json.loads(str(arrays[f"{config}.facts"])), counts))
        checks.append(_check_norms(f"{config} unit norm", arrays[f"{config}.norms"], _STORED_NORM_TOLERANCE))
    total = sum(rows.values())
    found = {"rows": total, "languages": dict(rows)}
    recorded = {key: counts[key] for key in found if key in counts}
    detail = f"the files hold {found}, the record counts {recorded}"
    same = all(found[key] == value for key, value in recorded.items())
    return [*checks, Check(name="rows", value=float(total), passed=same, detail=detail)]


def _check_vocabulary(arrays: Arrays) -> list[Check]:
    """Check ids, special tokens and Turkish letters of a tokenizer, alone or beside its model."""
    length, entries, highest = (int(size) for size in arrays["sizes"])
    sizes = f"len is {length}, get_vocab has {entries}, the highest id + 1 is {highest}"
    return [
        Check(name="dense ids", value=float(length), passed=length == entries == highest, detail=sizes),
        _check_share("begins and ends with its special tokens", arrays["framed"]),
        _check_share("no unknown token in Turkish", arrays["known"]),
    ]


def _check_rows(arrays: Arrays) -> Check:
    """Check that every token that text can give has a row in the embedding table."""
    needed, rows = (int(size) for size in arrays["rows"])
    detail = f"text gives ids below {needed}, the table has {rows} rows"
    return Check(name="every token has a row", value=float(rows), passed=needed <= rows, detail=detail)


def _check_config(config: str, facts: Mapping[str, Any], counts: Mapping[str, Any]) -> Check:
    """Check columns, type and width of the vectors, and that a config holds its own language alone."""
    expected = {
        "columns": sorted(_COLUMNS | _OPTIONAL_COLUMNS.intersection(facts["columns"])),
        "type": "float16",
        "width": counts.get("embedding_dim", facts["width"]),
        "languages": [config],
    }
    passed = facts == expected and facts["width"] > 0
    return Check(name=f"{config} columns", passed=passed, detail=f"found {facts}, expected {expected}")


def _check_cosine(name: str, left: NDArray[Any], right: NDArray[Any], least: float = _LOWEST_COSINE) -> Check:
    """Check that the rows of two arrays point the same way."""
    if left.shape != right.shape:
        return Check(name=name, passed=False, detail=f"shapes {left.shape} and {right.shape} differ")
    left, right = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(invalid="ignore"):
        cosines = np.sum(left * right, axis=1) / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))
    lowest = float(np.min(cosines))
    return _check_number(name, lowest, lowest >= least, f"lowest cosine {lowest:.8f}, at least {least}")


def _check_unit(name: str, vectors: NDArray[Any]) -> Check:
    """Check that the rows of an array have unit L2 norm."""
    return _check_norms(name, np.linalg.norm(vectors.astype(np.float64), axis=1), _NORM_TOLERANCE)


def _check_norms(name: str, norms: NDArray[Any], tolerance: float) -> Check:
    """Check that all norms are 1."""
    worst = float(np.max(np.abs(norms - 1)))
    return _check_number(name, worst, worst <= tolerance, f"norm off by {worst:.2e}, at most {tolerance}")


def _check_hidden(name: str, left: NDArray[Any], right: NDArray[Any]) -> Check:
    """Check that two sets of hidden states are equal up to rounding, relative to their largest entry."""
    if left.shape != right.shape:
        return Check(name=name, passed=False, detail=f"shapes {left.shape} and {right.shape} differ")
    worst = float(np.max(np.abs(left - right)) / np.max(np.abs(right)))
    return _check_number(name, worst, worst <= _HIDDEN_TOLERANCE, f"off by {worst:.2e}, at most {_HIDDEN_TOLERANCE}")


def _check_share(name: str, flags: NDArray[Any]) -> Check:
    """Check that every sentence of the probe passed."""
    detail = f"{int(flags.sum())} of {flags.size} sentences"
    return _check_number(name, float(np.mean(flags)), bool(flags.all()), detail)


def _check_number(name: str, value: float, passed: bool, detail: str) -> Check:
    """Build a check; a NaN compares as failed and is not kept as a value."""
    return Check(name=name, value=value if np.isfinite(value) else None, passed=passed, detail=detail)
