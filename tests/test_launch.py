"""The steps that use the process group: one process, and two that `accelerate launch` starts, do the same."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.torch import load_file
from samples import MATRYOSHKA_DIMS, ROOT, TEXTS
from scripts import run_script

from hf_turkembed import record
from hf_turkembed.scores import read_scores

pytestmark = pytest.mark.launch

STEPS = ("embed", "distill", "finetune", "score")
DIMS = list(MATRYOSHKA_DIMS)


def write_inputs(folder, encoder):
    """Write a recipe and its data below `folder`."""
    (folder / "corpus").mkdir()
    lines = [f"{text} {number}" for number in range(6) for text in TEXTS]
    (folder / "corpus" / "tr.txt").write_text("\n".join(lines[:20]), encoding="utf-8")
    (folder / "corpus" / "en.txt").write_text("\n".join(lines[20:]), encoding="utf-8")
    pairs = [f"{i % 6}\t{lines[i]}\t{lines[-i - 1]}" for i in range(24)]
    (folder / "sts.tsv").write_text("\n".join(["score\tsentence1\tsentence2", *pairs]), encoding="utf-8")
    triplets = [{"anchor": a, "positive": a + "!", "negative": b} for a, b in pairwise(lines)]
    (folder / "nli.jsonl").write_text("\n".join(map(json.dumps, triplets)), encoding="utf-8")
    os.symlink(encoder, folder / "encoder")
    training = {
        "num_train_epochs": 1,
        "logging_steps": 2,
        "save_steps": 100,
        "dataloader_pin_memory": False,
    }
    sts = {"source": "{data_root}/sts.tsv", "columns": ["sentence1", "sentence2", "score"], "synthetic": True}
    nli = {"source": "{data_root}/nli.jsonl", "columns": ["anchor", "positive", "negative"], "synthetic": True}
    ranking = {
        "tasks": {"nli": {"train": nli, "loss": "multiple_negatives_ranking"}},
        "matryoshka_dims": DIMS,
        "batch_size": 8,
        # Steps as large as the gradient, which shows what normalised ones would hide.
        "training": {**training, "optim": "sgd", "learning_rate": 0.05},
        "base_model": "{data_root}/encoder",
    }
    # Of four rows of a process three and one, of eight three, three and two.
    cached = {**ranking, "tasks": {"nli": {**ranking["tasks"]["nli"], "mini_batch_size": 3}}}
    content = {
        "output_dir": "unused",
        "seed": 1,
        "data_root": str(folder),
        "steps": list(STEPS),
        "embed": {
            "teacher": "{data_root}/encoder",
            "corpus": {"languages": ["tr", "en"], "folders": ["{data_root}/corpus"]},
            # Else the student, which is the same model, would have nothing to learn but rounding.
            "prompt": "STS",
            "max_length": 64,
            "batch_tokens": 256,
            "shard_rows": 8,
            "validation_rows": 2,
        },
        "distill": {
            "student": "{data_root}/encoder",
            "vectors": "{output_dir}/embed",
            "matryoshka_dims": DIMS,
            "epochs": 2,
            "batch_size": 7,
            "batch_tokens": 64,
            "learning_rate": 1e-3,
            "warmup_ratio": 0.1,
            "weight_decay": 0.01,
            "max_grad_norm": 1.0,
            "max_length": 64,
        },
        "finetune": {
            "base_model": "{output_dir}/distill",
            "max_length": 64,
            "stages": {
                "nli": ranking,
                "sts": {
                    "tasks": {"sts": {"train": sts, "loss": "cosent"}},
                    "matryoshka_dims": DIMS,
                    "batch_size": 8,
                    "training": training,
                },
                "cached": cached,
                "adapter": {**ranking, "lora": {"rank": 4, "alpha": 64}},
            },
        },
        "score": {
            "models": {"teacher": "{data_root}/encoder", "distilled": "{output_dir}/distill"},
            "suites": {"sts": {"kind": "sts", "data": sts}, "nli": {"kind": "triplets", "data": nli}},
            "truncate_dims": DIMS,
            "batch_size": 4,
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def distance(left, right):
    """The Euclidean distance of two models, over all their weights."""
    return sum(float((left[name] - right[name]).square().sum()) for name in left) ** 0.5


def launch(step, topology, folder, *overrides):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(topology)]
    command += [str(ROOT / "recipes" / f"{step}.py"), str(folder / "recipe.yaml"), *overrides]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.fixture(scope="module")
def runs(gemma, tmp_path_factory):
    """The output folders of one process, this one, and of two."""
    folder = tmp_path_factory.mktemp("launch")
    write_inputs(folder, gemma)
    for step in STEPS:
        assert run_script(step, folder / "recipe.yaml", f"output_dir={folder / 'cpu'}", folder=folder) is None
        done = launch(step, ROOT / "accelerate_configs/cpu_x2.yaml", folder, f"output_dir={folder / 'cpu_x2'}")
        assert done.returncode == 0, done.stderr[-3000:]
    return folder / "cpu", folder / "cpu_x2"


def test_the_record_says_how_many_processes_ran(runs):
    for folder, processes in zip(runs, (1, 2), strict=True):
        for step in ("embed", "distill", "finetune-nli", "finetune-sts", "score"):
            assert record.read_provenance(folder / step).observed.num_processes == processes
            assert not (folder / f"{step}.partial").exists() and not (folder / f"{step}.progress.json").exists()


def test_two_processes_write_the_same_vectors_as_one(runs):
    one, two = runs
    files = sorted(path.relative_to(one) for path in one.glob("embed/data/*/*.parquet"))
    assert len(files) == 7 and files == sorted(path.relative_to(two) for path in two.glob("embed/data/*/*.parquet"))
    for file in files:
        left, right = pq.read_table(one / file), pq.read_table(two / file)
        assert left.column("text").equals(right.column("text"))
        np.testing.assert_allclose(
            np.stack(left.column("embedding").to_numpy()), np.stack(right.column("embedding").to_numpy()), atol=1e-3
        )


def test_two_processes_distil_the_same_student_as_one(runs):
    one, two = (load_file(folder / "distill" / "model.safetensors") for folder in runs)
    start = load_file(runs[0].parent / "encoder" / "model.safetensors")
    assert one.keys() == two.keys() == start.keys()
    moved, apart = distance(one, start), distance(one, two)
    # Of single numbers whose gradient is next to nothing, Adam makes steps as large as of any other.
    assert moved > 0.1 and apart < 0.01 * moved
    losses = [record.read_provenance(folder / "distill").observed.counts["final_loss"] for folder in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_two_processes_measure_the_same_scores_as_one(runs):
    one, two = (read_scores(folder / "score" / "scores.json").scores for folder in runs)
    assert len(one) == 2 * len(DIMS) * 3
    for left, right in zip(one, two, strict=True):
        assert (left.model, left.suite, left.metric, left.truncate_dim) == (
            right.model,
            right.suite,
            right.metric,
            right.truncate_dim,
        )
        # The students differ by rounding, which can swap two ranks.
        assert left.value == pytest.approx(right.value, abs=1e-6 if left.model == "teacher" else 0.02)


def test_each_stage_of_fine_tuning_changes_the_model(runs):
    for folder in runs:
        base = runs[0].parent / "encoder"
        stages = [
            load_file(path / "model.safetensors") for path in (base, folder / "finetune-nli", folder / "finetune-sts")
        ]
        for before, after in pairwise(stages):
            assert max((before[name] - after[name]).abs().max() for name in before) > 1e-6


@pytest.mark.parametrize("stage", ["nli", "cached", "adapter"])
def test_two_processes_rank_among_the_same_negatives_as_one(runs, stage):
    start = load_file(runs[0].parent / "encoder" / "model.safetensors")
    one, two = (load_file(folder / f"finetune-{stage}" / "model.safetensors") for folder in runs)
    assert one.keys() == two.keys() == start.keys()
    moved, apart = distance(one, start), distance(one, two)
    assert moved > 0.01 and apart < 1e-4 * moved, (moved, apart)
    counts = [record.read_provenance(folder / f"finetune-{stage}").observed.counts for folder in runs]
    assert [found["local_batch_size"] for found in counts] == [8, 4]
    assert counts[0]["steps"] == counts[1]["steps"] > 2
    assert counts[0]["final_loss"] == pytest.approx(counts[1]["final_loss"], rel=1e-4)


def test_ranking_in_parts_is_ranking_at_once(runs):
    plain, cached = (load_file(runs[0] / f"finetune-{name}" / "model.safetensors") for name in ("nli", "cached"))
    start = load_file(runs[0].parent / "encoder" / "model.safetensors")
    assert distance(plain, cached) < 1e-3 * distance(plain, start)


def test_a_step_that_is_done_is_skipped_and_says_so(runs, caplog):
    folder, output = runs[0].parent, runs[0]
    with caplog.at_level("INFO"):
        assert run_script("embed", folder / "recipe.yaml", f"output_dir={output}", folder=folder) is None
    assert "embed: already done" in caplog.text


def test_a_topology_that_runs_fewer_processes_than_it_says_is_an_error(runs, tmp_path):
    config = yaml.safe_load((ROOT / "accelerate_configs" / "cpu_x2.yaml").read_text())
    topology = tmp_path / "multi_cpu.yaml"
    topology.write_text(yaml.safe_dump({**config, "distributed_type": "MULTI_CPU"}))
    failed = launch("score", topology, runs[0].parent, f"output_dir={tmp_path / 'out'}")
    assert failed.returncode != 0
    assert "asks for several processes, but 1 forms the group" in failed.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "accelerate_configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_launch_configuration_holds_topology_only(path):
    config = yaml.safe_load(path.read_text())
    assert config["mixed_precision"] == "no", "precision belongs to the recipe"
    assert config["distributed_type"] != "MULTI_CPU", "accelerate would silently run one process"
    assert (config["num_processes"] > 1) == (config["distributed_type"] == "MULTI_GPU")
    assert Path(path).stem.startswith("cpu") == config["use_cpu"]


def launch_and_kill(step, folder, sign, *overrides):
    """Start a step and kill it, children and all, as soon as a path that matches `sign` exists."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    command += [str(ROOT / "accelerate_configs" / "cpu.yaml"), str(ROOT / "recipes" / f"{step}.py")]
    process = subprocess.Popen(
        [*command, str(folder / "recipe.yaml"), *overrides], cwd=folder, stderr=subprocess.PIPE, start_new_session=True
    )
    while process.poll() is None and not list(folder.glob(sign)):
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "sign", "settings", "compared"),
    [
        ("embed", "killed/embed.partial/data/*/*.parquet", ["embed.shard_rows=1"], "embed/data/*/*.parquet"),
        (
            "distill",
            "killed/distill.partial/checkpoint-*",
            ["distill.epochs=60", "distill.checkpoint_steps=20", "distill.vectors={data_root}/cpu/embed"],
            "distill/*.safetensors",
        ),
    ],
)
def test_a_step_killed_in_its_work_ends_with_the_same_bytes_as_one_left_alone(runs, step, sign, settings, compared):
    folder = runs[0].parent
    topology = ROOT / "accelerate_configs" / "cpu.yaml"
    alone = launch(step, topology, folder, f"output_dir={folder / 'alone'}", *settings)
    assert alone.returncode == 0, alone.stderr[-2000:]
    launch_and_kill(step, folder, sign, f"output_dir={folder / 'killed'}", *settings)
    assert (folder / "killed" / f"{step}.partial").is_dir() and not (folder / "killed" / step).exists()
    resumed = launch(step, topology, folder, f"output_dir={folder / 'killed'}", *settings)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert record.read_provenance(folder / "killed" / step).observed.runs == 2
    files = sorted(path.relative_to(folder / "alone") for path in (folder / "alone").glob(compared))
    assert files
    for file in files:
        assert (folder / "killed" / file).read_bytes() == (folder / "alone" / file).read_bytes()
