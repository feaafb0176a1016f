"""Verification: what a repo holds and says is checked, then it is loaded in every way its card names, and compared."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hf_turkembed import record as records
from hf_turkembed.json_files import as_plain, read_json
from hf_turkembed.publishing import adapters, comparisons, lineage
from hf_turkembed.publishing.card_checks import check_card, read_snippets
from hf_turkembed.publishing.comparisons import Check
from hf_turkembed.publishing.contents import check_contents

_PROBE = Path(__file__).with_name("loader_probe.py")
# Where the probes run, and what runs there besides the loaders.
_WORK, _SNIPPETS = "work", "snippets.json"
# Settings of the caller that would let a probe see more than a fresh machine does.
_HIDDEN_SETTINGS = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "SENTENCE_TRANSFORMERS_")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found, check by check."""

    kind: lineage.RepoKind
    checks: tuple[Check, ...]
    # Whether the loaders ran, as they do once the files and the card are as expected.
    loaded: bool
    # Wall time.
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every check passed, and there was one."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return the form that `--json` prints."""
        return {"passed": self.passed, **as_plain(self)}

    def describe_failures(self) -> str:
        """Name the checks that failed, in one line; empty if none did."""
        return "; ".join(f"{check.name}: {check.detail.rstrip('.')}" for check in self.checks if not check.passed)


def verify_folder(folder: Path, *, repo_id: str | None = None, base: Path | None = None) -> Verification:
    """Check what a repo holds and says, then load it offline as its users would, and compare what the loaders give.

    Nothing of the folder runs before its files, its code, its card and its card's snippets were found to be what this
    package publishes.

    Args:
        folder: A staged or published repo.
        repo_id: Name that the card's snippets have to load; None for any one.
        base: Of an adapter: the model that it is loaded onto, else looked for among the downloads. Without it nothing
            is loaded, and a check says so.

    Returns:
        The checks, passed or not; a loader that fails is a failed check with its message.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it holds neither a model, nor an adapter, nor a tokenizer, nor a dataset, or `base` was given
            for another kind than an adapter.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; expected a repo that `publish` made, or a download of one."
        )
    started = time.monotonic()
    kind = lineage.kind_of_folder(folder)
    if base is not None and kind != "adapter":
        raise ValueError(f"{folder} holds a {kind}, which belongs to no base model; leave it out.")
    checks = check_contents(folder, kind)
    # Each rests on what was checked before it: a damaged file would fail its card too, and its loaders.
    if all(check.passed for check in checks):
        checks += check_card(folder, kind, repo_id)
    loaded = all(check.passed for check in checks)
    if loaded and kind == "adapter":
        base, found = adapters.find_base(folder, base)
        checks.append(found)
        loaded = base is not None
    if loaded:
        checks += check_loaders(folder, kind, with_snippets=True, base=base)
    seconds = round(time.monotonic() - started, 2)
    return Verification(kind=kind, checks=tuple(checks), loaded=loaded, seconds=seconds)


def check_loaders(
    folder: Path, kind: lineage.RepoKind, *, with_snippets: bool = False, base: Path | None = None
) -> list[Check]:
    """Load a folder offline as its users would, and compare what that gives.

    A model is loaded in float32 at every trained width with our package, with the code in the repo, with stock
    sentence-transformers, and as the native class; the last three in a process that cannot import our package.

    Args:
        folder: A repo. Its code runs: `verify_folder` looks at it before.
        kind: What it holds.
        with_snippets: Whether the snippets of its card run as well.
        base: Of an adapter: the model that it is loaded onto.

    Returns:
        The checks; a loader that fails is a failed check with its message.
    """
    load = {"model": _load_model, "tokenizer": _load_tokenizer, "corpus": _load_corpus, "dataset": _load_dataset}
    with tempfile.TemporaryDirectory(prefix="hf_turkembed_verify_") as scratch:
        if with_snippets:
            _place_snippets(folder.resolve(), Path(scratch), base)
        if kind == "adapter":
            return _load_adapter(folder.resolve(), Path(scratch), base)
        return load[kind](folder.resolve(), Path(scratch))


def _load_model(folder: Path, scratch: Path) -> list[Check]:
    """Run both probes of a model side by side and compare them."""
    widths = read_json(folder / "config.json")["matryoshka_dims"]
    options = ["--widths", ",".join(map(str, widths))]
    probes = {"without package": options, "with package": [*options, "--with-package"]}
    arrays, failures = _run_probes("model", folder, scratch, probes)
    if failures:
        return failures
    without, with_package = arrays["without package"], arrays["with package"]
    checks = comparisons.compare_models(without, with_package, widths)
    return [*checks, *comparisons.check_snippets({**without, **with_package})]


def _load_adapter(folder: Path, scratch: Path, base: Path | None) -> list[Check]:
    """Probe an adapter on its base."""
    if base is None:
        raise ValueError(f"{folder} holds an adapter, which cannot be loaded without its base; name it.")
    arrays, failures = _run_probes("adapter", folder, scratch, {"adapter": ["--base", str(base.resolve())]})
    if failures:
        return failures
    return [*comparisons.check_adapter(arrays["adapter"]), *comparisons.check_snippets(arrays["adapter"])]


def _load_tokenizer(folder: Path, scratch: Path) -> list[Check]:
    """Probe a tokenizer."""
    arrays, failures = _run_probes("tokenizer", folder, scratch, {"tokenizer": []})
    if failures:
        return failures
    return [*comparisons.check_tokenizer(arrays["tokenizer"]), *comparisons.check_snippets(arrays["tokenizer"])]


def _load_corpus(folder: Path, scratch: Path) -> list[Check]:
    """Probe a set of texts."""
    configs = sorted({path.parent.name for path in folder.glob("data/*/*.parquet")})
    arrays, failures = _run_probes("corpus", folder, scratch, {"corpus": ["--configs", ",".join(configs)]})
    if failures:
        return failures
    columns = records.read_provenance(folder).observed.counts["columns"]
    checks = comparisons.check_corpus(arrays["corpus"], configs, columns)
    return [*checks, *comparisons.check_snippets(arrays["corpus"])]


def _load_dataset(folder: Path, scratch: Path) -> list[Check]:
    """Probe a dataset, and compare its rows with its record."""
    configs = sorted({path.parent.name for path in folder.glob("data/*/*.parquet")})
    rows = {
        config: sum(pq.read_metadata(path).num_rows for path in (folder / "data" / config).glob("*.parquet"))
        for config in configs
    }
    arrays, failures = _run_probes("dataset", folder, scratch, {"dataset": ["--configs", ",".join(configs)]})
    if failures:
        return failures
    checks = comparisons.check_dataset(arrays["dataset"], rows, records.read_provenance(folder).observed.counts)
    return [*checks, *comparisons.check_snippets(arrays["dataset"])]


def _run_probes(
    kind: lineage.RepoKind, folder: Path, scratch: Path, probes: Mapping[str, Sequence[str]]
) -> tuple[dict[str, dict[str, NDArray[Any]]], list[Check]]:
    """Run probes side by side, each in a fresh environment; return the arrays they gave and those that failed."""
    running = {}
    snippets = scratch / _WORK / _SNIPPETS
    snippets.parent.mkdir(exist_ok=True)
    for number, (name, options) in enumerate(probes.items()):
        home = scratch / str(number)
        home.mkdir()
        command = [sys.executable, str(_PROBE), kind, str(folder), str(home / "out.npz"), *options]
        command += ["--snippets", str(snippets)] if snippets.is_file() else []
        settings: dict[str, Any] = {"cwd": snippets.parent, "env": _environment(home), "stdin": subprocess.DEVNULL}
        with (home / "log").open("wb") as log:
            running[name] = (home, subprocess.Popen(command, stdout=log, stderr=log, **settings))
    arrays, failures = {}, []
    for name, (home, process) in running.items():
        if code := process.wait():
            failures.append(Check(name=f"loads {name}", passed=False, detail=_reason(home / "log", code)))
        else:
            with np.load(home / "out.npz", allow_pickle=False) as archive:
                arrays[name] = dict(archive)
    return arrays, failures


def _place_snippets(folder: Path, scratch: Path, base: Path | None) -> None:
    """Write the card's snippets by number, beside links by which the names that they load lead to the folders."""
    name, snippets = read_snippets(folder)
    targets = {name: folder} if base is None else {name: folder, str(adapters.read_base(folder)): base.resolve()}
    for place, target in targets.items():
        link = scratch / _WORK / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target, target_is_directory=True)
    numbered = {str(number): code for number, code in enumerate(snippets, start=1)}
    (scratch / _WORK / _SNIPPETS).write_text(json.dumps(numbered), encoding="utf-8")


def _reason(log: Path, code: int) -> str:
    """Return the last line of a log that names an exception; what follows it is noise of the interpreter's end."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    raised = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception"))]
    return raised[-1] if raised else f"the probe ended with exit status {code}"


def _environment(home: Path) -> dict[str, str]:
    """Return a probe's environment: offline, an empty cache, no token, half of the cores, our package on its path."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_HIDDEN_SETTINGS)}
    roots = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **kept,
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HOME": str(home / "hf_home"),
        "HF_HUB_OFFLINE": "1",
        "HOME": str(home),
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) // 2)),
        "PYTHONPATH": os.pathsep.join(roots),
        "TOKENIZERS_PARALLELISM": "false",
    }
