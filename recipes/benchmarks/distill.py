"""Distil from the same stored vectors with this package and with SentenceTransformerTrainer.

python recipes/benchmarks/distill.py --student DIR --vectors DIR [--rows 6400] [--seeds 0 1 2]

`--student` is the folder of a clone, `--vectors` that of an embed step. The other one trains with
MatryoshkaLoss(EmbedDistillLoss("cosine")): with as many texts in a batch, once in batches as it makes them and once in
ours of texts of similar length, which it has no setting for; and with other numbers of texts, of which 8 is its own
default. Rates and rows are the same. Each run is a process of its own, by turns; its time is that of training, with
tokenising and one checkpoint at the end, loading aside. Beside the rows a second stands the mean cosine to the teacher
on rows that were kept from training.
"""

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

_BATCH_SIZE = 64
_OURS = "hf_turkembed"
_GROUPED = "SentenceTransformerTrainer, texts grouped by length"
_RATE, _TABLE_RATE = 1e-4, 1e-3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=6400, help="rows to train on, once (default: 6400)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--matryoshka-dims", type=int, nargs="+", default=[128, 64, 32])
    help_text = "other batches of SentenceTransformerTrainer (default: 8 32 128)"
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[8, 32, 128], help=help_text)
    arguments = parser.parse_args()
    # What trains, and the texts of its batches.
    sizes = {_OURS: _BATCH_SIZE, "SentenceTransformerTrainer": _BATCH_SIZE, _GROUPED: _BATCH_SIZE}
    sizes |= {f"SentenceTransformerTrainer, {size} texts in a batch": size for size in arguments.batch_sizes}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sizes}
    for seed in arguments.seeds:
        for name, results in found.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                results.append(pool.submit(run, name, sizes[name], arguments, seed).result())
    fastest = statistics.median(seconds for seconds, _ in found[_OURS])
    print(f"{arguments.rows:,} rows, {len(arguments.seeds)} seeds\n")
    print("| | rows/s | seconds | ours is faster by | held-out cosine |\n|---|---|---|---|---|")
    for name, results in found.items():
        times = [seconds for seconds, _ in results]
        cosines = [cosine for _, cosine in results]
        median = statistics.median(times)
        spread = f"{median:.1f} ({min(times):.1f} to {max(times):.1f})"
        cosine = f"{statistics.mean(cosines):.4f} ({min(cosines):.4f} to {max(cosines):.4f})"
        print(f"| {name} | {arguments.rows / median:,.0f} | {spread} | {median / fastest:.2f} | {cosine} |")


def run(name: str, batch_size: int, arguments: argparse.Namespace, seed: int) -> tuple[float, float]:
    """Train once; return the seconds, and the mean held-out cosine at full width."""
    from sentence_transformers import SentenceTransformer

    from hf_turkembed.distillation import BatchedEncoder
    from hf_turkembed.distillation.held_out import HeldOut, evaluate

    student = SentenceTransformer(str(arguments.student), device="cpu", model_kwargs={"dtype": "float32"})
    with tempfile.TemporaryDirectory() as scratch:
        vectors = take_rows(arguments.vectors, arguments.rows, seed, Path(scratch, "vectors"))
        train = train_with_us if name == _OURS else train_with_trainer
        folder, grouped = Path(scratch, "run"), name == _GROUPED
        seconds = train(student, vectors, folder, arguments, seed, batch_size=batch_size, grouped=grouped)
    encoder = BatchedEncoder(student, max_length=512, batch_tokens=arguments.batch_tokens, extend_window=True)
    return seconds, evaluate(HeldOut(encoder=encoder, vectors=arguments.vectors), 0).mean_cosine


def take_rows(store: Path, rows: int, seed: int, folder: Path) -> Path:
    """Write a store of some rows for training, drawn from all languages."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from hf_turkembed.distillation.vectors import shard_files

    table = pa.concat_tables([pq.read_table(file) for file in shard_files(store)])
    chosen = np.random.default_rng(seed).choice(len(table), size=min(rows, len(table)), replace=False)
    (folder / "data" / "all").mkdir(parents=True)
    pq.write_table(table.take(chosen), folder / "data" / "all" / "train-00000.parquet")
    return folder


def train_with_us(
    student: Any,
    vectors: Path,
    folder: Path,
    arguments: argparse.Namespace,
    seed: int,
    *,
    batch_size: int,
    grouped: bool,
) -> float:
    """Train with this package."""
    from accelerate import Accelerator

    from hf_turkembed.distillation import Objective, Schedule, distill

    schedule = Schedule(
        epochs=1,
        batch_size=batch_size,
        batch_tokens=arguments.batch_tokens,
        learning_rate=_RATE,
        embedding_learning_rate=_TABLE_RATE,
        warmup_ratio=0.01,
        weight_decay=0.01,
        max_grad_norm=1.0,
        checkpoint_steps=10**9,
    )
    folder.mkdir()
    accelerator = Accelerator(cpu=True)
    objective = Objective(matryoshka_dims=tuple(arguments.matryoshka_dims))
    started = time.perf_counter()
    distill(student, vectors, accelerator, folder, schedule=schedule, objective=objective, max_length=512, seed=seed)
    return time.perf_counter() - started


def train_with_trainer(
    student: Any,
    vectors: Path,
    folder: Path,
    arguments: argparse.Namespace,
    seed: int,
    *,
    batch_size: int,
    grouped: bool,
) -> float:
    """Train with sentence-transformers, the table at a rate of its own as here."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import EmbedDistillLoss, MatryoshkaLoss

    from hf_turkembed.distillation.batching import plan_batches

    rows = Dataset.from_parquet(str(vectors / "data" / "all" / "*.parquet"), cache_dir=str(folder / "cache"))
    batches = plan_batches(rows["tokens"][:], batch_size, seed=seed, epoch=0)
    rows = rows.select_columns(["text", "embedding"]).rename_columns({"embedding": "label"})
    steps = -(-len(rows) // batch_size)
    settings = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=batch_size,
        learning_rate=_RATE,
        learning_rate_mapping={r"embed_tokens": _TABLE_RATE},
        weight_decay=0.01,
        warmup_steps=max(1, steps // 100),
        num_train_epochs=1,
        save_steps=steps,
        logging_steps=steps,
        report_to="none",
        use_cpu=True,
        seed=seed,
        disable_tqdm=True,
    )

    class Grouped(SentenceTransformerTrainer):
        """Takes batches that are planned beforehand."""

        def get_batch_sampler(self, *arguments: Any, **settings: Any) -> Any:
            """Give the batches."""
            return [batch.tolist() for batch in batches]

    student.max_seq_length = 512
    dims = arguments.matryoshka_dims
    loss = MatryoshkaLoss(student, EmbedDistillLoss(student, "cosine"), dims, [1 / len(dims)] * len(dims))
    started = time.perf_counter()
    trainer = Grouped if grouped else SentenceTransformerTrainer
    trainer(model=student, args=settings, train_dataset=rows, loss=loss).train()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
