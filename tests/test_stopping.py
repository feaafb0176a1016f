"""What asks a pipeline or a launcher to stop reaches the worker, which saves first."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from samples import ROOT
from scripts import run_script
from test_launch import write_inputs

import pipeline

LAUNCH = [
    sys.executable,
    "-m",
    "accelerate.commands.launch",
    "--config_file",
    str(ROOT / "accelerate_configs/cpu.yaml"),
]
COMMANDS = {
    "the pipeline": [sys.executable, str(ROOT / "recipes" / "pipeline.py")],
    "the launcher": [*LAUNCH, str(ROOT / "recipes" / "distill.py")],
}


@pytest.fixture(scope="module")
def recipe(gemma, tmp_path_factory):
    """A recipe whose vectors are there already, with long training."""
    folder = tmp_path_factory.mktemp("stopping")
    write_inputs(folder, gemma)
    assert run_script("embed", folder / "recipe.yaml", f"output_dir={folder / 'run'}", folder=folder) is None
    return folder / "recipe.yaml"


@pytest.mark.launch
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_told_to_stop_the_worker_saves_and_nothing_stays_behind(recipe, tmp_path, command):
    overrides = ["steps=[distill]", f"output_dir={tmp_path}", "distill.epochs=5000", "distill.checkpoint_steps=5"]
    overrides += [f"distill.vectors={recipe.parent / 'run' / 'embed'}"]
    process = subprocess.Popen(
        [*command, str(recipe), *overrides],
        cwd=tmp_path,
        env={**os.environ, "ACCELERATE_USE_CPU": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while process.poll() is None and not list((tmp_path / "distill.partial").glob("checkpoint-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    # Ends when the last process has closed its output.
    output, _ = process.communicate(timeout=100)
    stopped = re.search(r"stopped by SIGTERM after step (\d+) of \d+; run again", output)
    assert stopped is not None and process.returncode, output
    assert (tmp_path / "distill.partial" / f"checkpoint-{stopped[1]}").is_dir()
    assert not [found for found in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in read(found)]


# Leads a group in which one process has ended, while its parent, of another group, never waits for it.
UNWAITED = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
leader, (reading, writing) = os.getpid(), os.pipe()
parent = os.fork()
if parent == 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setpgrp()
    child = os.fork()
    if child == 0:
        os.setpgid(0, leader)
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    os.write(writing, b"x")
    time.sleep(15)
    os._exit(0)
os.read(reading, 1)
print(parent, flush=True)
time.sleep(60)
"""


def test_a_process_that_ended_but_was_never_waited_for_keeps_nobody_waiting():
    process = subprocess.Popen(
        [sys.executable, "-c", UNWAITED], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    parent = int(process.stdout.readline())
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert pipeline.wait_for_group(process) == 143
    os.kill(parent, signal.SIGKILL)


def read(file):
    try:
        return file.read_bytes()
    except OSError:
        # It ended meanwhile.
        return b""
