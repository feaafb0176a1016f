"""Kills work at random moments and lets it go on; run as a script, in a process that forks each attempt.

python killing.py embed|distill ENCODER VECTORS SCRATCH REPEATS
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from stores import SCHEDULE, embed

from hf_turkembed.distillation import Objective, checkpoints, distill
from hf_turkembed.distillation import vectors as stored
from hf_turkembed.step import remove_scratch


def embed_once(encoder: Path, vectors: Path, folder: Path) -> None:
    """Do what the embed step does."""
    embed(encoder, folder, settings={"pre_dense": True})
    remove_scratch(folder, stored.SCRATCH)


def distill_once(encoder: Path, vectors: Path, folder: Path) -> None:
    """Do what the distill step does."""
    student = SentenceTransformer(str(encoder), device="cpu")
    objective = Objective(matryoshka_dims=(32, 16, 8))
    accelerator = Accelerator(cpu=True)
    distill(student, vectors, accelerator, folder, schedule=SCHEDULE, objective=objective, max_length=64, seed=3)
    save_file(student.state_dict(), folder / "model.safetensors")
    remove_scratch(folder, checkpoints.SCRATCH)


def attempt(work, delay: float | None) -> bool:
    """Work in a child of this process, which is killed after a while; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the work failed")
    return os.WIFEXITED(status)


def digests(folder: Path) -> dict[str, str]:
    """Return what a folder holds, in full."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    """Compare a run that nothing disturbs with runs that are killed."""
    name, encoder, vectors, scratch, repeats = sys.argv[1:]
    # The pool of threads of a parent is not there in a child.
    torch.set_num_threads(1)
    once = {"embed": embed_once, "distill": distill_once}[name]

    def work_in(folder: Path):
        folder.mkdir(exist_ok=True)
        return lambda: once(Path(encoder), Path(vectors), folder)

    undisturbed = Path(scratch, "undisturbed")
    started = time.monotonic()
    attempt(work_in(undisturbed), None)
    seconds = time.monotonic() - started
    expected = digests(undisturbed)
    moments = random.Random(0)
    kills = repeat = 0
    # The undisturbed run may have been slowed down by other work, so that some of the others end before their moment.
    while min(kills, repeat) < int(repeats):
        repeat += 1
        folder = Path(scratch, str(repeat))
        work = work_in(folder)
        for _ in range(3):
            if attempt(work, moments.uniform(0, seconds)):
                break
            kills += 1
        else:
            attempt(work, None)
        assert digests(folder) == expected, (repeat, digests(folder), expected)
        shutil.rmtree(folder)
    sys.stdout.write(json.dumps({"kills": kills, "files": len(expected), "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
