"""Fine-tune on triplets with this package and with the bare trainer, and watch what large batches take.

python recipes/benchmarks/finetune.py --model DIR --triplets FILE.jsonl [--rows 2048] [--batch-sizes 64 256 1024]

Both train with MatryoshkaLoss(MultipleNegativesRankingLoss) on the same rows, in batches of the first size, by turns,
with one thread: the quotient of their processor time is what the package adds to each row, loading aside. Whole
commands, from start to saved model, then show what the step adds once, whatever the rows: checks, digests, record.
Last, one batch of each size is trained on, plain and cached in mini-batches of 32, and the most memory that a process
ever took is printed. Each run is a process of its own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml

_STEP = Path(__file__).resolve().parents[1] / "finetune.py"
_MINI_BATCH_SIZE = 32
# Tokens; the texts are shorter.
_MAX_LENGTH = 128
_SETTINGS: dict[str, Any] = {
    "num_train_epochs": 1,
    "learning_rate": 2e-5,
    "warmup_steps": 0.1,
    "report_to": "none",
    "use_cpu": True,
    "disable_tqdm": True,
    "save_strategy": "no",
    "dataloader_pin_memory": False,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a sentence-transformers model")
    parser.add_argument("--triplets", type=Path, required=True, help=".jsonl with anchor, positive and negative")
    parser.add_argument("--rows", type=int, default=2048, help="rows that both train on, once (default: 2048)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--matryoshka-dims", type=int, nargs="+", default=[128, 64, 32])
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    report_overhead(arguments)
    report_commands(arguments)
    report_memory(arguments)


def report_overhead(arguments: argparse.Namespace) -> None:
    """Print what the package adds to the trainer."""
    times: dict[str, list[float]] = {"hf_turkembed": [], "SentenceTransformerTrainer": []}
    size = arguments.batch_sizes[0]
    for _ in range(arguments.runs):
        for name, measured in times.items():
            measured.append(in_a_process(train, name, arguments, arguments.rows, size, None)[0])
    bare = statistics.median(times["SentenceTransformerTrainer"])
    print(f"{arguments.rows:,} rows, batches of {size}, one thread, {arguments.runs} runs\n")
    print("| | processor seconds | of the bare trainer |\n|---|---|---|")
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"| {name} | {median:.2f} ({min(measured):.2f} to {max(measured):.2f}) | {median / bare:.3f} |")


def report_commands(arguments: argparse.Namespace) -> None:
    """Print what whole commands take."""
    times: dict[str, list[float]] = {"recipes/finetune.py": [], "SentenceTransformerTrainer": []}
    for _ in range(arguments.runs):
        for name, measured in times.items():
            with tempfile.TemporaryDirectory() as scratch:
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                if name == "SentenceTransformerTrainer":
                    in_a_process(train_and_save, arguments, Path(scratch, "model"))
                else:
                    recipe = write_recipe(arguments, Path(scratch))
                    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                    subprocess.run([sys.executable, _STEP, recipe], check=True, capture_output=True, env=environment)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                measured.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    print("\n| whole command | processor seconds |\n|---|---|")
    for name, measured in times.items():
        print(
            f"| {name} | {statistics.median(measured):.1f} ({min(measured):.1f} to {max(measured):.1f}) |", flush=True
        )


def write_recipe(arguments: argparse.Namespace, folder: Path) -> Path:
    """Write a recipe of one stage with the settings of the bare trainer."""
    train = {"source": str(arguments.triplets.resolve()), "columns": ["anchor", "positive", "negative"]}
    stage = {
        "tasks": {"nli": {"train": {**train, "rows": arguments.rows}, "loss": "multiple_negatives_ranking"}},
        "matryoshka_dims": arguments.matryoshka_dims,
        "batch_size": arguments.batch_sizes[0],
        "training": _SETTINGS,
    }
    finetune = {"base_model": str(arguments.model.resolve()), "max_length": _MAX_LENGTH, "stages": {"nli": stage}}
    content = {"output_dir": str(folder / "output"), "seed": 0, "steps": ["finetune"], "finetune": finetune}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def train_and_save(arguments: argparse.Namespace, folder: Path) -> None:
    """Train with the bare trainer and save the model."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(str(arguments.model), device="cpu", model_kwargs={"dtype": "float32"})
    model.max_seq_length = _MAX_LENGTH
    with arguments.triplets.open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in islice(stream, arguments.rows)]
    table = {name: [row[name] for row in rows] for name in ("anchor", "positive", "negative")}
    with_trainer(model, table, folder / "run", arguments.matryoshka_dims, arguments.batch_sizes[0], None)
    model.save_pretrained(str(folder))


def report_memory(arguments: argparse.Namespace) -> None:
    """Print what batches of growing size take."""
    print(f"\n| batch | plain, GiB | in mini-batches of {_MINI_BATCH_SIZE}, GiB |\n|---|---|---|")
    for size in arguments.batch_sizes:
        taken = [
            # Twice the rows, as those that share a text with another are left out of the batch.
            in_a_process(train, "hf_turkembed", arguments, 2 * size, size, mini_batch_size)[1]
            for mini_batch_size in (None, _MINI_BATCH_SIZE)
        ]
        print(f"| {size:,} | {taken[0]:.2f} | {taken[1]:.2f} |", flush=True)


def in_a_process(function: Any, *arguments: Any) -> Any:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def train(
    name: str, arguments: argparse.Namespace, rows: int, batch_size: int, mini_batch_size: int | None
) -> tuple[float, float]:
    """Train once; return the processor seconds of one thread, and the most memory taken in GiB."""
    import torch
    from sentence_transformers import SentenceTransformer

    import hf_turkembed.finetuning  # noqa: F401 - what importing takes is not counted
    from hf_turkembed.corpus import read_triplets

    torch.set_num_threads(1)
    model = SentenceTransformer(str(arguments.model), device="cpu", model_kwargs={"dtype": "float32"})
    table = read_triplets(arguments.triplets, rows=rows)
    with tempfile.TemporaryDirectory() as scratch:
        run = with_us if name == "hf_turkembed" else with_trainer
        started = time.process_time()
        run(model, table, Path(scratch), arguments.matryoshka_dims, batch_size, mini_batch_size)
        seconds = time.process_time() - started
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def with_us(
    model: Any, table: Any, folder: Path, dims: list[int], batch_size: int, mini_batch_size: int | None
) -> None:
    """Train with this package."""
    from hf_turkembed.finetuning import Task, finetune

    task = Task(rows=table, loss="multiple_negatives_ranking", mini_batch_size=mini_batch_size)
    finetune(model, {"nli": task}, folder, matryoshka_dims=dims, batch_size=batch_size, training=_SETTINGS, seed=0)


def with_trainer(
    model: Any, table: Any, folder: Path, dims: list[int], batch_size: int, mini_batch_size: int | None
) -> None:
    """Train with sentence-transformers alone."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss

    settings = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=batch_size,
        batch_sampler="no_duplicates",
        dataloader_drop_last=True,
        seed=0,
        **_SETTINGS,
    )
    loss = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model), dims)
    SentenceTransformerTrainer(model=model, args=settings, train_dataset=Dataset.from_dict(table), loss=loss).train()


if __name__ == "__main__":
    main()
