"""Embed and distil more and more rows, on one process and on two, one thread each.

python recipes/benchmarks/scaling.py RECIPE [section.key=value ...] [--rows 8000 16000 32000]

RECIPE names a teacher, a corpus with so many rows of `--language`, and a student that stands already. The steps
themselves are launched, so that the start of the processes, loading and the last checkpoint are in the seconds. What
every further row costs is the slope of a line through them; the efficiency of two processes is half the quotient of
the two slopes. Shards are small, so that both get as many. All is written below output_dir, anew each time.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from hf_turkembed.markdown import format_table
from hf_turkembed.recipe import Recipe, is_local, load_recipe, local_path, section_of

_ROOT = Path(__file__).resolve().parents[2]
_STEPS = ("embed", "distill")
_TOPOLOGIES = {1: "cpu", 2: "cpu_x2"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--rows", type=int, nargs="+", default=[8000, 16000, 32000])
    parser.add_argument("--language", default="tr", help="the language whose rows are counted (default: tr)")
    parser.add_argument("--runs", type=int, default=1, help="the fastest of so many counts (default: 1)")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe, arguments.overrides)
    seconds = {
        (step, processes): [measure(recipe, arguments, step, processes, rows) for rows in arguments.rows]
        for processes in _TOPOLOGIES
        for step in _STEPS
    }
    print(tabulate(arguments.rows, seconds))


def measure(recipe: Recipe, arguments: argparse.Namespace, step: str, processes: int, rows: int) -> float:
    """Run a step on so many rows; return its seconds, start included."""
    output = Path(recipe.output_dir, "scaling", f"{rows}-{processes}")
    student = section_of(recipe, "distill").student
    if is_local(student):
        # Made before, below the folder that the recipe itself names.
        student = str(local_path(recipe, student).absolute())
    changes = [
        f"output_dir={output}",
        f"corpus.text.languages=[{arguments.language}]",
        f"corpus.text.rows_by_language={{{arguments.language}: {rows}}}",
        "embed.shard_rows=1000",
        "embed.texts={output_dir}/corpus",
        "distill.vectors={output_dir}/embed",
        f"distill.student={student}",
        "distill.checkpoint_steps=1000000",
        "distill.sts=null",
    ]
    topology = str(_ROOT / "accelerate_configs" / f"{_TOPOLOGIES[processes]}.yaml")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", topology]
    settings = [str(arguments.recipe), *arguments.overrides, *changes]
    command = [*launch, str(_ROOT / "recipes" / f"{step}.py"), *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "ACCELERATE_USE_CPU": "true"}
    # Not timed; skipped where it is done.
    subprocess.run([sys.executable, str(_ROOT / "recipes" / "corpus.py"), *settings], env=environment, check=True)
    found = []
    for _ in range(arguments.runs):
        shutil.rmtree(output / step, ignore_errors=True)
        started = time.monotonic()
        subprocess.run(command, env=environment, check=True)
        found.append(time.monotonic() - started)
    return min(found)


def tabulate(rows: list[int], seconds: dict[tuple[str, int], list[float]]) -> str:
    """Lay out the seconds, the cost of a thousand further rows, and how far the seconds lie from a straight line."""
    lines, slopes = [], {}
    for (step, processes), measured in seconds.items():
        slope, start = np.polyfit(rows, measured, 1)
        slopes[step, processes] = slope
        apart = float(np.abs(np.polyval((slope, start), rows) / measured - 1).max())
        efficiency = f"{slopes[step, 1] / slope / processes:.0%}"
        times = [f"{value:.1f}" for value in measured]
        lines.append([step, str(processes), *times, f"{1000 * slope:.2f}", f"{start:.1f}", f"{apart:.1%}", efficiency])
    header = ["", "processes", *(f"{number:,} rows, s" for number in rows)]
    header += ["1,000 further rows, s", "start, s", "farthest from the line", "efficiency"]
    return format_table(header, lines)


if __name__ == "__main__":
    main()
