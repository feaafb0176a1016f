"""Kills a step at random moments and runs it again, until it is done; in a process that forks each attempt.

python killing.py embed|distill REPEATS SCRATCH RECIPE [section.key=value ...]
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

# What the steps import, once for all attempts.
import accelerate  # noqa: F401
import sentence_transformers  # noqa: F401
import torch
from scripts import run_script

from hf_turkembed import record


def attempt(step: str, folder: Path, arguments: list[str], delay: float | None) -> bool:
    """Run the step in a child of this process, which is killed after a while; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = run_script(step, *arguments, f"output_dir={folder}", folder=folder) is not None
        finally:
            os._exit(code)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the step failed")
    return os.WIFEXITED(status)


def digests(folder: Path) -> dict[str, str]:
    """Return what a folder holds, of a record the identity and the digests of outputs."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    found = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    for name, path in files.items():
        if path.name == record.PROVENANCE_FILE:
            read = record.read_provenance(path.parent)
            found[name] = record.digest_value([read.identity, read.observed.outputs])
    return found


def main() -> None:
    """Compare a run that nothing disturbs with runs that are killed."""
    step, repeats, scratch, *arguments = sys.argv[1:]
    # The pool of threads of a parent is not there in a child.
    torch.set_num_threads(1)
    undisturbed = Path(scratch, "undisturbed")
    undisturbed.mkdir()
    started = time.monotonic()
    attempt(step, undisturbed, arguments, None)
    seconds = time.monotonic() - started
    expected = digests(undisturbed)
    moments = random.Random(0)
    kills = repeat = 0
    # The undisturbed run may have been slowed down by other work, so that some of the others end before their moment.
    while min(kills, repeat) < int(repeats):
        repeat += 1
        folder = Path(scratch, str(repeat))
        folder.mkdir()
        for _ in range(3):
            if attempt(step, folder, arguments, moments.uniform(0, seconds)):
                break
            kills += 1
        else:
            attempt(step, folder, arguments, None)
        found = digests(folder)
        changed = sorted(name for name in {**found, **expected} if found.get(name) != expected.get(name))
        assert not changed, (repeat, changed)
        shutil.rmtree(folder)
    sys.stdout.write(json.dumps({"kills": kills, "files": sorted(expected), "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
