"""Verification: a folder is loaded in every way its card names, in separate processes, and the results compared."""

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
from hf_turkembed.json_files import read_json
from hf_turkembed.publishing import comparisons, lineage
from hf_turkembed.publishing.comparisons import Check
from hf_turkembed.publishing.staging import CARD_FILE

_PROBE = Path(__file__).with_name("loader_probe.py")
# Settings of the caller that would let a probe see more than a fresh machine does.
_HIDDEN_SETTINGS = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "SENTENCE_TRANSFORMERS_")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What the loaders gave, check by check."""

    kind: lineage.RepoKind
    checks: tuple[Check, ...]
    # Wall time.
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every check passed, and there was one."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return the form that `--json` prints."""
        return {"passed": self.passed, **records.as_plain(self)}

    def describe_failures(self) -> str:
        """Name the checks that failed, in one line; empty if none did."""
        return "; ".join(f"{check.name}: {check.detail}" for check in self.checks if not check.passed)


def verify_folder(folder: Path) -> Verification:
    """Load a model, a tokenizer or a dataset offline as its users would, and compare what the loaders give.

    A model is loaded in float32 at every trained width with our package, with the code in the repo, with stock
    sentence-transformers, and as the native class; the last three in a process that cannot import our package.

    Args:
        folder: A staged or published repo.

    Returns:
        The checks, passed or not; a loader that fails is a failed check with its message.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it holds neither a model, nor a tokenizer, nor a dataset.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected the output of a step or a repo made from one.")
    started = time.monotonic()
    kind = lineage.kind_of_folder(folder)
    check = {"model": _verify_model, "tokenizer": _verify_tokenizer, "dataset": _verify_dataset}[kind]
    with tempfile.TemporaryDirectory(prefix="hf_turkembed_verify_") as scratch:
        checks = check(folder.resolve(), Path(scratch))
    return Verification(kind=kind, checks=tuple(checks), seconds=round(time.monotonic() - started, 2))


def _verify_model(folder: Path, scratch: Path) -> list[Check]:
    """Run both probes of a model side by side and compare them."""
    widths = read_json(folder / "config.json").get("matryoshka_dims")
    if not widths:
        detail = (
            "config.json has no `matryoshka_dims`; write them with "
            "`hf_turkembed.modeling.repository.write_matryoshka_code(folder, matryoshka_dims)`"
        )
        return [Check(name="trained widths", passed=False, detail=detail)]
    options = ["--widths", ",".join(map(str, widths))]
    probes = {"without package": options, "with package": [*options, "--with-package"]}
    arrays, failures = _run_probes("model", folder, scratch, probes)
    return failures or comparisons.compare_models(arrays["without package"], arrays["with package"], widths)


def _verify_tokenizer(folder: Path, scratch: Path) -> list[Check]:
    """Probe a tokenizer."""
    arrays, failures = _run_probes("tokenizer", folder, scratch, {"tokenizer": []})
    return failures or comparisons.check_tokenizer(arrays["tokenizer"])


def _verify_dataset(folder: Path, scratch: Path) -> list[Check]:
    """Probe a dataset, and compare its rows with its record."""
    if not (folder / CARD_FILE).is_file():
        detail = f"{CARD_FILE}, which names the configs, is missing; verify the published folder, or publish this one"
        return [Check(name="configs", passed=False, detail=detail)]
    configs = sorted({path.parent.name for path in folder.glob("data/*/*.parquet")})
    rows = {
        config: sum(pq.read_metadata(path).num_rows for path in (folder / "data" / config).glob("*.parquet"))
        for config in configs
    }
    arrays, failures = _run_probes("dataset", folder, scratch, {"dataset": ["--configs", ",".join(configs)]})
    has_record = (folder / records.PROVENANCE_FILE).is_file()
    counts = records.read_provenance(folder).observed.counts if has_record else {}
    return failures or comparisons.check_dataset(arrays["dataset"], rows, counts)


def _run_probes(
    kind: lineage.RepoKind, folder: Path, scratch: Path, probes: Mapping[str, Sequence[str]]
) -> tuple[dict[str, dict[str, NDArray[Any]]], list[Check]]:
    """Run probes side by side, each in a fresh environment; return the arrays they gave and those that failed."""
    running = {}
    for number, (name, options) in enumerate(probes.items()):
        home = scratch / str(number)
        home.mkdir()
        command = [sys.executable, str(_PROBE), kind, str(folder), str(home / "out.npz"), *options]
        with (home / "log").open("wb") as log:
            running[name] = (
                home,
                subprocess.Popen(
                    command, cwd=home, env=_environment(home), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                ),
            )
    arrays, failures = {}, []
    for name, (home, process) in running.items():
        if code := process.wait():
            failures.append(Check(name=f"loads {name}", passed=False, detail=_reason(home / "log", code)))
        else:
            with np.load(home / "out.npz", allow_pickle=False) as archive:
                arrays[name] = dict(archive)
    return arrays, failures


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
