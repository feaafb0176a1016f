"""Embed the same text with this package and with SentenceTransformer.encode, by turns.

python recipes/benchmarks/embed.py --model DIR --text FILE.txt [--texts 2000] [--batch-sizes 32 64 128 256]

The other one sorts by characters and cuts into batches of so many texts; it runs at its default of 32 and at the sizes
given. `--compile` adds both with a compiled network, compiling aside. Printed are medians, the share of padding, and
which part of this machine's own rate of matrix products is reached, measured at the shapes of the model.
`--processes 2` then shows what a second process adds, one thread each.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from hf_turkembed.distillation import MOST_PADDING, BatchedEncoder, compile_network, padding_share

_SECONDS = 1.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a sentence-transformers model")
    parser.add_argument("--text", type=Path, required=True, help="one text a line")
    parser.add_argument("--texts", type=int, default=2000, help="lines to embed (default: 2000)")
    parser.add_argument("--batch-tokens", type=int, default=8192, help="ours (default: 8192)")
    parser.add_argument("--max-length", type=int, default=512, help="tokens that texts are cut to (default: 512)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 64, 128, 256], help="the other one's")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--compile", action="store_true", help="also both with a compiled network")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--processes", type=int, default=1, help="also measure so many processes of one thread each")
    arguments = parser.parse_args()
    texts = read_lines(arguments.text, arguments.texts)
    encoder = load(arguments.model, arguments.precision, arguments.batch_tokens, arguments.max_length)
    tokens = encoder.embed(texts).tokens
    contenders: dict[str, Callable[[], object]] = {
        f"hf_turkembed, {arguments.batch_tokens:,} tokens a batch": lambda: encoder.embed(texts)
    }
    if arguments.compile:
        compiled = load(arguments.model, arguments.precision, arguments.batch_tokens, arguments.max_length)
        compile_network(compiled.model)
        contenders["hf_turkembed, compiled"] = lambda: compiled.embed(texts)
    for size in arguments.batch_sizes:
        name = f"SentenceTransformer.encode, {size} texts a batch"
        contenders[name] = partial(encode_plainly, encoder.model, texts, size)
        if arguments.compile:
            contenders[f"{name}, compiled"] = partial(encode_plainly, compiled.model, texts, size)
    times = measure(list(contenders.values()), arguments.runs)
    rate = matrix_rate(encoder.model, arguments.precision)
    work = 2 * backbone_parameters(encoder.model) * sum(tokens)
    ours = statistics.median(times[0])
    print(f"{len(texts):,} texts, {sum(tokens):,} tokens, {arguments.precision}, {torch.get_num_threads()} threads;")
    padding = padding_share(tokens, arguments.batch_tokens, most_padding=MOST_PADDING)
    print(f"padding of ours {padding:.2%}; matrix products {rate / 1e9:,.0f} GFLOP/s")
    print("\n| | tokens/s | seconds | of the matrix rate | ours is faster by |\n|---|---|---|---|---|")
    for name, measured in zip(contenders, times, strict=True):
        median = statistics.median(measured)
        spread = f"{median:.2f} ({min(measured):.2f} to {max(measured):.2f})"
        share = f"{work / median / rate:.0%}"
        print(f"| {name} | {sum(tokens) / median:,.0f} | {spread} | {share} | {median / ours:.2f} |")
    if arguments.processes > 1:
        report_processes(arguments, sum(tokens))


def read_lines(path: Path, number: int) -> list[str]:
    """Read the first lines that are not empty."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line][:number]


def load(folder: Path, precision: str, batch_tokens: int, max_length: int) -> BatchedEncoder:
    """Load a model."""
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": precision})
    return BatchedEncoder(model, max_length=max_length, batch_tokens=batch_tokens)


def encode_plainly(model: SentenceTransformer, texts: list[str], batch_size: int) -> Any:
    """Embed with sentence-transformers."""
    return model.encode(texts, batch_size=batch_size, normalize_embeddings=True, prompt="", show_progress_bar=False)


def measure(contenders: Sequence[Callable[[], object]], runs: int) -> list[list[float]]:
    """Time contenders by turns, after one run of each that does not count."""
    times: list[list[float]] = [[] for _ in contenders]
    for run in range(runs + 1):
        for contender, measured in zip(contenders, times, strict=True):
            started = time.perf_counter()
            contender()
            if run:
                measured.append(time.perf_counter() - started)
    return times


def backbone_parameters(model: SentenceTransformer) -> int:
    """Count the numbers that every token is multiplied with: all but those of the embedding table."""
    first: Any = model[0]
    table: torch.Tensor = first.model.get_input_embeddings().weight
    return sum(parameter.numel() for parameter in model.parameters()) - table.numel()


def matrix_rate(model: SentenceTransformer, precision: str) -> float:
    """Measure matrix products a second, in floating-point operations, for 2,048 tokens at the model's widest layer."""
    dtype = getattr(torch, precision)
    matrices = [parameter for parameter in model[0].parameters() if parameter.ndim == 2]
    table: Any = model[0]
    widest = max((m for m in matrices if m is not table.model.get_input_embeddings().weight), key=torch.numel)
    left, right = torch.randn(2048, widest.shape[1]).to(dtype), widest.detach().to(dtype).T.contiguous()
    left @ right
    started, products = time.perf_counter(), 0
    while time.perf_counter() - started < _SECONDS:
        left @ right
        products += 1
    return 2 * left.shape[0] * right.numel() * products / (time.perf_counter() - started)


def report_processes(arguments: argparse.Namespace, tokens: int) -> None:
    """Print what more processes add; each embeds its share, one thread each, and the slowest counts."""
    rates = []
    for number in (1, arguments.processes):
        with ProcessPoolExecutor(number, mp_context=get_context("spawn")) as pool:
            settings = (arguments.model, arguments.text, arguments.texts, arguments.batch_tokens, arguments.max_length)
            share = partial(embed_share, *settings, number)
            slowest = [max(pool.map(share, range(number))) for _ in range(arguments.runs)]
        rates.append(tokens / statistics.median(slowest))
        print(f"{number} processes of one thread: {rates[-1]:,.0f} tokens/s", flush=True)
    print(f"efficiency of {arguments.processes} processes: {rates[1] / rates[0] / arguments.processes:.0%}")


def embed_share(
    folder: Path, text: Path, number: int, batch_tokens: int, max_length: int, processes: int, rank: int
) -> float:
    """Embed every so-manieth text on one thread; return the seconds, loading aside."""
    torch.set_num_threads(1)
    encoder = load(folder, "float32", batch_tokens, max_length)
    texts = read_lines(text, number)[rank::processes]
    encoder.embed(texts[:64])
    started = time.perf_counter()
    encoder.embed(texts)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
