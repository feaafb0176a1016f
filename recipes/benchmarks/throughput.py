"""Embed and distil some rows of text with models of full size, and say what all rows of the paper would take.

python recipes/benchmarks/throughput.py --teacher DIR --student DIR --text FILE.txt [--measured-rows 8192]

Such models, with random weights, are left by `recipes/benchmarks/clone.py --keep DIR`. Rows are drawn with
replacement from the lines of the text, whose lengths decide the figures. On a GPU both run in bfloat16, else in
float32. Utilisation counts the products with weights alone, 2 operations for each weight and token, 6 with the
backward pass, against this machine's own rate of matrix products, or against `--peak-teraflops`. Each line includes
tokenising, writing shards and one checkpoint, so that hours are rather too many; loading is left out.
"""

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from sentence_transformers import SentenceTransformer

from hf_turkembed.corpus import TextRow, plan_shards
from hf_turkembed.distillation import BatchedEncoder, Objective, Schedule, compile_network, distill, embed_corpus
from hf_turkembed.distillation.vectors import count_rows
from hf_turkembed.markdown import format_table

_SHARD_ROWS = 5000
_PRODUCTS = 20
_SIDE = 4096


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True, help="one text a line")
    parser.add_argument("--measured-rows", type=int, default=8192, help="rows to embed and distil (default: 8192)")
    parser.add_argument("--rows", type=int, default=580_000, help="rows that hours are given for (default: 580000)")
    parser.add_argument("--batch-size", type=int, default=512, help="rows of an optimizer step (default: 512)")
    parser.add_argument("--batch-tokens", type=int, default=65_536, help="of a forward pass (default: 65536)")
    parser.add_argument("--max-length", type=int, default=2048, help="tokens that texts are cut to (default: 2048)")
    parser.add_argument("--attention", help="implementation that transformers knows, such as flash_attention_2")
    parser.add_argument("--compile", action="store_true", help="compile the teacher")
    parser.add_argument("--matryoshka-dims", type=int, nargs="+", default=[768, 512, 256, 128])
    parser.add_argument("--peak-teraflops", type=float, help="of the processor, as its maker gives it")
    parser.add_argument("--price-per-hour", type=float, help="US dollars")
    arguments = parser.parse_args()
    lines = [line for line in arguments.text.read_text(encoding="utf-8").splitlines() if line]
    texts = [TextRow(text) for text in random.Random(0).choices(lines, k=arguments.measured_rows)]
    on_gpu = torch.cuda.is_available()
    accelerator = Accelerator(cpu=not on_gpu, mixed_precision="bf16" if on_gpu else "no")
    rate = 1e12 * arguments.peak_teraflops if arguments.peak_teraflops else matrix_rate(accelerator.device)
    machine = torch.cuda.get_device_name() if on_gpu else f"{torch.get_num_threads()} threads"
    print(f"{machine}: {rate / 1e12:,.3f} TFLOP/s\n")
    with tempfile.TemporaryDirectory() as scratch:
        vectors, run = Path(scratch, "vectors"), Path(scratch, "run")
        run.mkdir()
        measured = {
            "embed": measure_embedding(arguments, texts, vectors, accelerator.device),
            "distil": measure_distillation(arguments, vectors, run, accelerator),
        }
    header = [
        "",
        "rows/s",
        "tokens/s",
        "utilisation",
        "peak memory, GiB",
        f"{arguments.rows:,} rows, hours",
        "US dollars",
    ]
    print(format_table(header, [row_of(arguments, name, *found, rate) for name, found in measured.items()]))


def measure_embedding(
    arguments: argparse.Namespace, texts: Sequence[TextRow], folder: Path, device: torch.device
) -> tuple[float, int, float, float]:
    """Write the teacher's vectors; return seconds, tokens, operations and the peak of memory in GiB."""
    settings = {"dtype": "bfloat16" if device.type == "cuda" else "float32"}
    settings |= {} if arguments.attention is None else {"attn_implementation": arguments.attention}
    model = SentenceTransformer(str(arguments.teacher), device=str(device), model_kwargs=settings)
    if arguments.compile:
        compile_network(model)
    teacher = BatchedEncoder(model, max_length=arguments.max_length, batch_tokens=arguments.batch_tokens)
    # The first pass compiles, and allocates memory.
    teacher.embed([row.text for row in texts[:64]])
    started = time.perf_counter()
    embed_corpus(teacher, plan_shards({"tr": texts}, _SHARD_ROWS), folder)
    seconds = time.perf_counter() - started
    tokens = int(count_rows(folder, arguments.batch_tokens)["tokens"])
    return seconds, tokens, 2.0 * tokens * weights_of(model), peak_memory(device)


def measure_distillation(
    arguments: argparse.Namespace, vectors: Path, folder: Path, accelerator: Accelerator
) -> tuple[float, int, float, float]:
    """Train the student on them once; return seconds, tokens, operations and the peak of memory in GiB."""
    device = accelerator.device
    student = SentenceTransformer(str(arguments.student), device=str(device), model_kwargs={"dtype": "float32"})
    schedule = Schedule(
        epochs=1,
        batch_size=arguments.batch_size,
        batch_tokens=arguments.batch_tokens,
        learning_rate=1e-4,
        embedding_learning_rate=1e-3,
        warmup_ratio=0.01,
        weight_decay=0.01,
        max_grad_norm=1.0,
        checkpoint_steps=10**9,
    )
    objective = Objective(matryoshka_dims=tuple(arguments.matryoshka_dims))
    started = time.perf_counter()
    report = distill(
        student,
        vectors,
        accelerator,
        folder,
        schedule=schedule,
        objective=objective,
        max_length=arguments.max_length,
        seed=0,
    )
    seconds = time.perf_counter() - started
    return seconds, report.tokens, 6.0 * report.tokens * weights_of(student), peak_memory(device)


def row_of(
    arguments: argparse.Namespace, name: str, seconds: float, tokens: int, operations: float, peak: float, rate: float
) -> list[str]:
    """Lay out what one step took, and what all rows would take."""
    hours = seconds / arguments.measured_rows * arguments.rows / 3600
    dollars = "" if arguments.price_per_hour is None else f"{hours * arguments.price_per_hour:,.2f}"
    figures = [
        f"{arguments.measured_rows / seconds:,.1f}",
        f"{tokens / seconds:,.0f}",
        f"{operations / seconds / rate:.0%}",
    ]
    return [name, *figures, f"{peak:.1f}", f"{hours:,.2f}", dollars]


def weights_of(model: SentenceTransformer) -> int:
    """Count the numbers that every token is multiplied with: all but those of the embedding table."""
    first: Any = model[0]
    table: torch.Tensor = first.model.get_input_embeddings().weight
    return sum(parameter.numel() for parameter in model.parameters()) - table.numel()


def peak_memory(device: torch.device) -> float:
    """Return the most memory in GiB that was taken since the last call on a GPU, or ever by this process."""
    if device.type != "cuda":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return peak


def matrix_rate(device: torch.device) -> float:
    """Measure products of large matrices, in floating-point operations a second."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    left = torch.randn(_SIDE, _SIDE, device=device, dtype=dtype)
    (left @ left).sum().item()
    started = time.perf_counter()
    for _ in range(_PRODUCTS):
        product = left @ left
    # Waits for the device.
    product.sum().item()
    return 2.0 * _SIDE**3 * _PRODUCTS / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
