"""Publish a folder to a Hub on this machine with this package and with HfApi.upload_folder, by turns.

python recipes/benchmarks/publish.py [--megabytes 500] [--shards 1] [--runs 5] [--modes xet lfs]

The Hub is the server of the tests (`tests/hub_server`), a new one for each run, so that no byte is there before; both
send the same random bytes. Ours is timed from the staged folder on: digests, what stands there, upload, commit, what
stands there now. Verification is not part of it. Then a changed card is published, and its requests are counted.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from hub_server.running import client_environment, running_server  # type: ignore[import-not-found]

_REPO = "acme/benchmark"
_CARD = "---\nlicense: apache-2.0\n---\n# A model {number}\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500, help="size of the weights (default: 500)")
    parser.add_argument("--shards", type=int, default=1, help="files that they are cut into (default: 1)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--modes", choices=("xet", "lfs"), nargs="+", default=["xet", "lfs"])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(time_one(arguments.folder, CONTENDERS[arguments.contender])))
        return
    print(f"{arguments.megabytes:,} MB of weights in {arguments.shards} files, {arguments.runs} runs each\n")
    print("| | publish (s) | of upload_folder | one changed card (s) | its requests | its bytes |")
    print("|---|---|---|---|---|---|")
    for mode in arguments.modes:
        found = measure(arguments.megabytes, arguments.shards, arguments.runs, mode)
        theirs = statistics.median(run["seconds"] for run in found["upload_folder"])
        for name, runs in found.items():
            seconds = [run["seconds"] for run in runs]
            median, again = statistics.median(seconds), statistics.median(run["again"] for run in runs)
            spread = f"{median:.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
            last = runs[-1]
            counted = f"{last['requests']} | {last['bytes']:,}"
            print(f"| {name}, {mode} | {spread} | {median / theirs:.2f} | {again:.2f} | {counted} |", flush=True)


def measure(megabytes: int, shards: int, runs: int, mode: str) -> dict[str, list[dict[str, Any]]]:
    """Let both publish the same folder to new servers, by turns."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for run in range(runs):
        # Each begins every other run, since the second finds the folder in memory.
        for name in sorted(CONTENDERS, reverse=bool(run % 2)):
            with tempfile.TemporaryDirectory(prefix="hf_turkembed_publish_") as scratch:
                write_folder(Path(scratch, "model"), megabytes, shards, seed=run)
                found[name].append(play(Path(scratch), name, mode))
    return found


def play(scratch: Path, contender: str, mode: str) -> dict[str, Any]:
    """Run one contender in a process of its own, which knows one Hub."""
    with running_server(scratch / "server", page_size=1000) as server:
        environment = client_environment(server.endpoint, "hf_writer", scratch / "home", xet=mode == "xet")
        command = [sys.executable, __file__, "--contender", contender, "--folder", str(scratch / "model")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        requests = server.requests()
        begin = max(place for place, request in enumerate(requests) if "/marker" in request["path"]) + 1
    again = requests[begin:]
    counted = {"requests": len(again), "bytes": sum(request["received"] for request in again)}
    return {**json.loads(done.stdout.splitlines()[-1]), **counted}


def write_folder(folder: Path, megabytes: int, shards: int, seed: int) -> None:
    """Write a model's folder with random weights, which nothing can compress."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "README.md").write_text(_CARD.format(number=1))
    for name in ("config.json", "tokenizer.json", "1_Pooling/config.json"):
        (folder / name).write_text(json.dumps({"name": name}))
    generator = np.random.default_rng(seed)
    for number in range(shards):
        weights = generator.integers(0, 2**32, megabytes * 250_000 // shards, dtype=np.uint32).view(np.float32)
        save_file({"weight": weights}, folder / f"model-{number + 1:05}-of-{shards:05}.safetensors")


def time_one(folder: Path, publish: Callable[[Path], object]) -> dict[str, float]:
    """Publish a folder, and once more with another card; return the seconds of both."""
    from huggingface_hub import HfApi

    import hf_turkembed.publishing  # noqa: F401 - imports and the first connection are not part of the time

    HfApi().whoami()
    started = time.perf_counter()
    publish(folder)
    seconds = time.perf_counter() - started
    (folder / "README.md").write_text(_CARD.format(number=2))
    HfApi().file_exists(_REPO, "marker")
    started = time.perf_counter()
    publish(folder)
    return {"seconds": seconds, "again": time.perf_counter() - started}


def publish_ours(folder: Path) -> None:
    """Publish with this package."""
    from huggingface_hub import HfApi

    from hf_turkembed.publishing.hub import HubSettings, push_folder
    from hf_turkembed.publishing.hub_state import HubRepo, read_state
    from hf_turkembed.publishing.planned_files import plan_files

    repo = HubRepo(repo_id=_REPO, repo_type="model")
    push_folder(folder, plan_files(folder), repo, read_state(HfApi(), repo), HubSettings(), subject="it")


def publish_plainly(folder: Path) -> None:
    """Publish with the client library alone."""
    from huggingface_hub import HfApi

    HfApi().create_repo(_REPO, exist_ok=True)
    HfApi().upload_folder(repo_id=_REPO, folder_path=folder)


CONTENDERS: dict[str, Callable[[Path], object]] = {"hf_turkembed": publish_ours, "upload_folder": publish_plainly}


if __name__ == "__main__":
    main()
