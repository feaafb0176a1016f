"""Killed at any moment, embedding and distillation end with the bytes of a run that nothing disturbed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples import ROOT
from scripts import run_script
from test_launch import write_inputs

FOLDER = Path(__file__).parent
STEPS = {
    "embed": ["embed.pre_dense=true", "embed.shard_rows=4"],
    "distill": ["distill.vectors={data_root}/run/embed", "distill.pre_dense_weight=0.5", "distill.checkpoint_steps=3"],
}
MADE = {"embed": "embed/data/tr/train-00000.parquet", "distill": "distill-best/model.safetensors"}


@pytest.fixture(scope="module")
def recipe(gemma, tmp_path_factory):
    """A recipe whose vectors are there already."""
    folder = tmp_path_factory.mktemp("killed")
    write_inputs(folder, gemma)
    arguments = [f"output_dir={folder / 'run'}", "embed.pre_dense=true"]
    assert run_script("embed", folder / "recipe.yaml", *arguments, folder=folder) is None
    return folder / "recipe.yaml"


@pytest.mark.parametrize("repeats", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_is_killed_at_random_moments_ends_with_the_same_bytes(recipe, tmp_path, step, repeats):
    command = [sys.executable, FOLDER / "killing.py", step, repeats, tmp_path, recipe, *STEPS[step]]
    environment = {
        **os.environ,
        "PYTHONPATH": ":".join(map(str, (ROOT, ROOT / "recipes", ROOT / "tests"))),
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=environment, timeout=800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] >= repeats and MADE[step] in found["files"]
    # Nothing but what is finished is left.
    assert {name.split("/")[0] for name in found["files"]} == {
        "embed": {"embed"},
        "distill": {"distill", "distill-best"},
    }[step]
