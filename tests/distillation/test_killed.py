"""Killed at any moment, embedding and distillation end with the bytes of a run that nothing disturbed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples import ROOT

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("repeats", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("work", ["embed", "distill"])
def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_bytes(gemma, vectors, tmp_path, work, repeats):
    command = [sys.executable, str(FOLDER / "killing.py"), work, gemma, vectors, tmp_path, str(repeats)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{FOLDER.parent}", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=environment, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] >= repeats and found["files"] >= 1
