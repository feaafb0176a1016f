"""What a step leaves beside its output: provenance, which is an identity and an observation."""

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from hf_turkembed.json_files import as_plain, read_versioned, write_json

SCHEMA_VERSION = 1
PROVENANCE_FILE = "provenance.json"
# Weights, settings and tables; see `is_output`.
_OUTPUT = re.compile(
    r"(?!(.*/)?(provenance|lineage|scores)\.json$|adapter_config\.json$).*\.(safetensors|json)|(.*/)?vocab\.txt"
)
# Packages whose versions can change what a step computes.
_RECORDED_PACKAGES = (
    "accelerate",
    "datasets",
    "numpy",
    "peft",
    "scikit-learn",
    "scipy",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "transformers",
)


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of a step, named by reference: never a path of one machine, never nested."""

    # Key of the recipe section that names the input, such as `teacher` or `corpus.folders.0`.
    role: str
    # Which kind of Hub repo the input is, or could be.
    kind: Literal["model", "dataset"]
    # Hub id, or the portable form of a local path (see `recipe.portable_name`).
    name: str
    # Commit of a Hub input, 40 hex digits; None for local inputs.
    revision: str | None = None
    # SHA-256 of a local file or folder, see `digest_path`; None for Hub inputs.
    digest: str | None = None
    # Digest of the identity of the step that made a local folder, where one did: the link of the chain.
    record: str | None = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """All that decides what a step's output is; two runs with the same identity make the same output."""

    step: str
    # The recipe section the step reads, with defaults filled in and paths in portable form.
    recipe: Mapping[str, Any]
    inputs: tuple[Input, ...]
    code: str
    seed: int

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON form."""
        return digest_value(self)

    def input(self, role: str) -> Input:
        """Return the input that plays `role`.

        Raises:
            ValueError: If the step has no such input.
        """
        for candidate in self.inputs:
            if candidate.role == role:
                return candidate
        raise ValueError(f"step `{self.step}` has no input `{role}`; it has {[i.role for i in self.inputs]}")


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was seen while a step ran; two runs of one identity may differ here and nowhere else."""

    # UTC, ISO 8601, whole seconds.
    finished: str
    # Wall time of the run that finished the step, and in which run that was (1: never interrupted).
    seconds: float
    runs: int
    num_processes: int
    hardware: Mapping[str, Any]
    packages: Mapping[str, str]
    # Rows, tokens, parameters, losses: numbers the step itself counted.
    counts: Mapping[str, Any] = field(default_factory=dict)
    # SHA-256 of the files that others rely on: weights, tokenizer, and small results such as scores.json.
    outputs: Mapping[str, str] = field(default_factory=dict)
    # Licence that a model stated which is an input, by its role; none where it stated none.
    licenses: Mapping[str, str] = field(default_factory=dict)
    # US dollars: price per hour as given in the recipe, and price x seconds, which is the least that it cost where
    # there were runs before; None where no price was given.
    price_per_hour: float | None = None
    cost: float | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The content of provenance.json."""

    identity: Identity
    observed: Observed


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file as hex.

    Raises:
        FileNotFoundError: If `path` does not exist.
    """
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_output(name: str) -> bool:
    """Tell whether a record holds the digest of a file: weights, and all settings and tables that loaders read.

    Records themselves and scores come later, and an adapter is told the name of its base when it is published.

    Args:
        name: Path below the folder of a step.
    """
    return _OUTPUT.fullmatch(name) is not None


def digest_path(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder as the sorted list of its files' names and digests.

    provenance.json is left out: it holds observations, and the identity in it is linked by `Input.record`. So are
    `.cache` and `.git`, which downloads and clones leave beside what was asked for.

    Raises:
        FileNotFoundError: If `path` does not exist.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder.")
    if path.is_file():
        return digest_file(path)
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    kept = (name for name in names if not name.startswith((".cache/", ".git/")))
    return _digest_listing(path, [path / name for name in kept if Path(name).name != PROVENANCE_FILE])


def digest_model(folder: Path, *, without: str | None = None) -> str:
    """Return the SHA-256 of a model as the sorted list of names and digests of its weights and its tokenizer.

    Publishing adds files to a folder and rewrites small ones, but none of these, so a repo keeps the digest under
    which the folder was scored. A model without safetensors has the digest of its whole folder.

    Args:
        folder: The model.
        without: Name of a folder in it that is still to be removed.

    Raises:
        FileNotFoundError: If `folder` does not exist.
    """
    found = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.safetensors")}
    weights = [file for name, file in sorted(found.items()) if name.split("/")[0] != without]
    if not weights:
        return digest_path(folder)
    return _digest_listing(folder, [*weights, *folder.glob("tokenizer.json")])


def digest_value(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON form of a value.

    Raises:
        ValueError: If it holds NaN or an infinity.
    """
    return hashlib.sha256(_canonical_json(as_plain(value)).encode()).hexdigest()


def describe_differences(found: Identity, expected: Identity) -> list[str]:
    """List the keys in which two identities differ, as `key: found -> expected`."""
    left, right = _flatten(as_plain(found)), _flatten(as_plain(expected))
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    return [f"{key}: {left.get(key)!r} -> {right.get(key)!r}" for key in keys]


def observe_hardware() -> dict[str, Any]:
    """Describe the machine: processors, memory in GiB, accelerators; no host name, no user."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "accelerators": gpus,
    }


def observe_packages() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change what a step computes."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _RECORDED_PACKAGES}}


def write_provenance(folder: Path, provenance: Provenance) -> None:
    """Write provenance.json into `folder`.

    Raises:
        ValueError: If an observed number is not finite.
    """
    write_json(folder / PROVENANCE_FILE, {"schema_version": SCHEMA_VERSION, **as_plain(provenance)})


def find_damaged(folder: Path) -> list[Path]:
    """List the files of a finished step that are missing, or others than those whose digests its record holds.

    Of tables, which are found by their place, those that it does not name are listed too.
    """
    outputs = read_provenance(folder).observed.outputs
    found = {folder / name: digest for name, digest in outputs.items()}
    changed = [path for path, digest in found.items() if not path.is_file() or digest_file(path) != digest]
    tables = folder.rglob("*.parquet") if any(path.suffix == ".parquet" for path in found) else ()
    return changed + sorted(set(tables) - set(found))


def check_outputs(folder: Path) -> None:
    """Check that the files of a finished step are those whose digests its record holds.

    Raises:
        ValueError: If one is missing or another one.
    """
    if damaged := find_damaged(folder):
        step = read_provenance(folder).identity.step
        # The one step that makes its files anew one by one.
        remedy = "run that step again," if step == "embed" else f"remove {folder}, and run that step again"
        raise ValueError(f"{damaged[0]} is not as the step `{step}` wrote it; {remedy} or download all of it.")


def read_identity(content: Mapping[str, Any]) -> Identity:
    """Build an Identity from its JSON form.

    Raises:
        TypeError: If a key is unknown or missing, or the seed is no integer.
    """
    inputs = tuple(Input(**entry) for entry in content["inputs"])
    if type(content["seed"]) is not int:
        raise TypeError(f"`seed` is {content['seed']!r}, expected an integer")
    return Identity(**{**content, "inputs": inputs})


def read_provenance(folder: Path) -> Provenance:
    """Read provenance.json from `folder`.

    Raises:
        FileNotFoundError: If the folder has none, so was not made by a step of this package.
        ValueError: If it was written in another schema version, or is damaged.
    """
    path = folder / PROVENANCE_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {PROVENANCE_FILE}; expected the output folder of a step such as `clone` or `distill`."
        )
    content = read_versioned(path, SCHEMA_VERSION)
    try:
        return read_record(content)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); remove the folder and run its step again.") from error


def read_record(content: Mapping[str, Any]) -> Provenance:
    """Build a record from its JSON form.

    Raises:
        KeyError: If it has no identity or observation.
        TypeError: If a key of these is unknown or missing.
    """
    return Provenance(identity=read_identity(content["identity"]), observed=Observed(**content["observed"]))


def _digest_listing(folder: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 of a list of files as names and digests."""
    listing = hashlib.sha256()
    for file in files:
        listing.update(f"{digest_file(file)}  {file.relative_to(folder).as_posix()}\n".encode())
    return listing.hexdigest()


def _canonical_json(value: Any) -> str:
    """Serialise with sorted keys and no spaces, the form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings and lists into one mapping with dotted keys."""
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = {str(index): item for index, item in enumerate(value)}.items()
    else:
        return {prefix: value}
    return {key: leaf for name, item in items for key, leaf in _flatten(item, f"{prefix}.{name}".lstrip(".")).items()}
