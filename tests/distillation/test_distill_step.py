"""The step `distill`: which weights it keeps, and where."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
import yaml
from samples import MATRYOSHKA_DIMS, ROOT
from scripts import run_script
from sentence_transformers import SentenceTransformer
from stores import SCHEDULE

from hf_turkembed import record
from hf_turkembed.publishing.lineage import kind_of_output


@pytest.fixture
def folder(gemma, vectors, tmp_path):
    """Where a recipe and its inputs lie; the student is the teacher, and a rising rate leads it away."""
    (tmp_path / "encoder").symlink_to(gemma)
    (tmp_path / "vectors").symlink_to(vectors)
    names = ("batch_size", "batch_tokens", "max_grad_norm", "weight_decay")
    section = {name: getattr(SCHEDULE, name) for name in names}
    section |= {"student": "{data_root}/encoder", "vectors": "{data_root}/vectors"}
    section |= {"matryoshka_dims": list(MATRYOSHKA_DIMS), "max_length": 64}
    section |= {"epochs": 1, "checkpoint_steps": 1, "learning_rate": 0.003, "warmup_ratio": 0.9}
    content = {"output_dir": "unused", "seed": 5, "steps": ["distill"], "data_root": str(tmp_path), "distill": section}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return tmp_path


def distil(folder, keep):
    arguments = [f"output_dir={folder / keep}", f"distill.keep={keep}"]
    return run_script("distill", folder / "recipe.yaml", *arguments, folder=folder)


def test_the_weights_that_are_not_kept_lie_beside_whole_and_are_not_published(folder):
    assert [distil(folder, keep) for keep in ("last", "best")] == [None, None]
    counts = record.read_provenance(folder / "best" / "distill").observed.counts
    assert counts["best_step"] < counts["steps"]
    names = {"last": ["distill", "distill-best"], "best": ["distill", "distill-last"]}
    found = {keep: sorted(path.name for path in (folder / keep).iterdir()) for keep in names}
    assert found == names

    def weights(*path):
        return (folder.joinpath(*path) / "model.safetensors").read_bytes()

    assert weights("last", "distill") == weights("best", "distill-last")
    assert weights("best", "distill") == weights("last", "distill-best") != weights("last", "distill")
    other = folder / "last" / "distill-best"
    files = [{path.name for path in model.iterdir()} for model in (other, folder / "last" / "distill")]
    assert files[0] | {record.PROVENANCE_FILE} == files[1]
    assert SentenceTransformer(str(other), device="cpu").encode(["Kedi uyuyor."]).shape == (1, 32)
    with pytest.raises(FileNotFoundError, match=r"holds no provenance\.json"):
        kind_of_output(other)


def test_killed_while_it_finishes_nothing_is_trained_again(folder, monkeypatch):
    code = (
        "import os, signal, sys; from hf_turkembed import record; from scripts import run_script\n"
        "record.observe_hardware = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "run_script(*sys.argv[1:])\n"
    )
    command = ["distill", folder / "recipe.yaml", f"output_dir={folder / 'killed'}", "distill.keep=last"]
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, (ROOT, ROOT / "recipes", ROOT / "tests")))}
    killed = subprocess.run([sys.executable, "-c", code, *map(str, command)], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert distil(folder, "last") is None
    with monkeypatch.context() as patch:
        patch.setattr("accelerate.Accelerator.backward", lambda *arguments: pytest.fail("a step was trained again"))
        assert run_script(*command, folder=folder) is None
    finished = [(folder / run / "distill" / "model.safetensors").read_bytes() for run in ("killed", "last")]
    assert finished[0] == finished[1]
    assert record.read_provenance(folder / "killed" / "distill").observed.runs == 2


def test_the_best_weights_need_rows_to_be_compared_on(folder, vectors):
    (folder / "vectors").unlink()
    shutil.copytree(vectors, folder / "vectors", ignore=shutil.ignore_patterns("validation-*"))
    assert "`keep: best` needs rows for validation" in distil(folder, "best")
    assert not (folder / "best" / "distill.partial").exists()
