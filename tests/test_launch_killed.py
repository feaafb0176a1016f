"""One of two processes killed by SIGKILL at random moments: the step then ends with the bytes of one left alone."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from samples import ROOT
from test_launch import write_inputs

from hf_turkembed import record

SETTINGS = {
    "embed": ["embed.shard_rows=2"],
    "distill": ["distill.epochs=30", "distill.checkpoint_steps=10", "distill.vectors={data_root}/alone/embed"],
}


def run_two(step, folder, output, victim=None, delay=0.0):
    """Run a step as two processes; kill one of them, or return the seconds that it worked for."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    command += [str(ROOT / "accelerate_configs" / "cpu_x2.yaml"), str(ROOT / "recipes" / f"{step}.py")]
    command += [str(folder / "recipe.yaml"), f"output_dir={output}", *SETTINGS[step]]
    # Written where work begins, after all that is imported.
    sign = output / f"{step}.progress.json"
    before = sign.stat().st_mtime_ns if sign.exists() else None
    with (folder / "two.log").open("wb") as log, subprocess.Popen(command, cwd=folder, stderr=log) as launcher:
        while launcher.poll() is None and (not sign.exists() or sign.stat().st_mtime_ns == before):
            time.sleep(0.002)
        began = time.monotonic()
        seconds = None
        if victim is None:
            while launcher.poll() is None and not (output / step).exists():
                time.sleep(0.002)
            seconds = time.monotonic() - began
        else:
            workers = find_workers(launcher.pid)
            time.sleep(delay)
            # It may have come to its end before.
            with suppress(KeyError, ProcessLookupError):
                os.kill(workers[victim], signal.SIGKILL)
        status = launcher.wait(timeout=120)
    assert victim is not None or status == 0, (folder / "two.log").read_text()[-3000:]
    return seconds


def find_workers(launcher):
    """Return the processes that a launcher started, by rank."""
    found = {}
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        found |= {int(entry[5:]): int(child) for entry in environment if entry.startswith(b"RANK=")}
    return found


def digests(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != record.PROVENANCE_FILE)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
@pytest.mark.launch
def test_a_step_one_of_whose_processes_is_killed_ends_with_the_same_bytes(gemma, tmp_path):
    write_inputs(tmp_path, gemma)
    moments = random.Random(0)
    for step in SETTINGS:
        seconds = run_two(step, tmp_path, tmp_path / "alone")
        expected, kills, output = digests(tmp_path / "alone" / step), 0, tmp_path / f"killed-{step}"
        for _ in range(3):
            run_two(step, tmp_path, output, moments.choice([0, 1]), moments.uniform(0.2, 0.8) * seconds)
            if (output / step).exists():
                break
            kills += 1
        else:
            run_two(step, tmp_path, output)
        assert kills and digests(output / step) == expected
