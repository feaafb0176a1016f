"""Time how fast models encode the same text beside a rival, on one machine and by turns.

python recipes/benchmarks/speed.py --text FILE.txt

A model is the folder or the Hub id of an encoder, or a shape, which gets random weights, as time does not depend on
them: `bert-base` (that of BERTurk, the rival), `gte-base` (gte-multilingual-base, the base of TurkEmbed), and
`gemma-200m` (EmbeddingGemma's network with 131,072 tokens and its two heads). Without `--models` it is these three.
Shapes read with the tokenizer given for them, or else all with one WordPiece of 32,000 tokens trained on the text: the
same tokens for all, so that the networks are compared and not what tokenizers save. The first model is the rival that
the others are held against: how many times longer they take for the same texts, run by run. Tokens are each model's
own, padding aside. A batch is never larger than the number of texts.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    Gemma3TextConfig,
    GteConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from hf_turkembed import record

_WIDTH = 768
_WORDPIECE_SIZE = 32_000
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_UNSAFE_IN_FLOAT16 = "gemma3_text"
_MODELS = ["bert=bert-base", "turkembed=gte-base", "magibu=gemma-200m"]
_DTYPES = ["float32", "bfloat16", "float16"]
SHAPES: dict[str, Callable[[], PreTrainedConfig]] = {
    "bert-base": lambda: BertConfig(vocab_size=32_000),
    "gte-base": lambda: GteConfig(vocab_size=250_048),
    "gemma-200m": lambda: Gemma3TextConfig(
        vocab_size=131_072,
        hidden_size=_WIDTH,
        intermediate_size=1152,
        num_hidden_layers=24,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=512,
        max_position_embeddings=8192,
        use_bidirectional_attention=True,
        pad_token_id=0,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the table."""

    kind: str
    texts: list[str]
    dtype: str
    batch_size: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="one sentence a line")
    parser.add_argument(
        "--models",
        nargs="+",
        default=_MODELS,
        metavar="NAME=MODEL",
        help=f"rival first (default: {' '.join(_MODELS)})",
    )
    parser.add_argument("--tokenizers", nargs="*", default=[], metavar="NAME=DIR", help="tokenizers of shapes")
    parser.add_argument("--dtypes", nargs="+", default=_DTYPES[:2], choices=_DTYPES, help="(default: the first two)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32], help="(default: 1 8 32)")
    parser.add_argument("--short-texts", type=int, default=32, help="sentences to encode (default: 32)")
    parser.add_argument("--long-texts", type=int, default=4, help="texts of joined sentences (default: 4)")
    parser.add_argument("--long-characters", type=int, default=1200, help="of a long text, at least (default: 1200)")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each model (default: 3)")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(default: %(default)s)"
    )
    arguments = parser.parse_args()
    started = time.perf_counter()
    lines = [line for line in arguments.text.read_text(encoding="utf-8").splitlines() if line]
    tokenizers = dict(entry.split("=", 1) for entry in arguments.tokenizers)
    encoders = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, source in (entry.split("=", 1) for entry in arguments.models):
            folder = tokenizers.get(name)
            encoders[name] = load(source, None if folder is None else Path(folder), lines, Path(scratch, name))
            encoders[name].to(arguments.device).eval()
    describe(encoders, arguments.runs)
    rival, *others = encoders
    header = ["text", "precision", "batch"]
    header += [f"{name}: {unit}" for name in encoders for unit in ("texts/s", "tokens/s")]
    header += [f"{name} takes, times {rival}" for name in others]
    print("\n| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for setting in settings(arguments, lines):
        print("| " + " | ".join(row_of(setting, encoders, arguments.runs)) + " |", flush=True)
    print(f"\nload average at the end: {os.getloadavg()[0]:.2f}; {(time.perf_counter() - started) / 60:.1f} minutes")


def load(source: str, tokenizer: Path | None, lines: Sequence[str], folder: Path) -> SentenceTransformer:
    """Load a model, or build one of a shape in an empty folder."""
    if source not in SHAPES:
        return SentenceTransformer(source, device="cpu", model_kwargs={"dtype": torch.float32})
    config = SHAPES[source]()
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    chosen = train_wordpiece(tuple(lines)) if tokenizer is None else AutoTokenizer.from_pretrained(tokenizer)
    if len(chosen) > config.vocab_size:
        raise SystemExit(f"error: {tokenizer} has {len(chosen):,} tokens; {source} has {config.vocab_size:,} rows.")
    chosen.model_max_length = config.max_position_embeddings
    chosen.save_pretrained(folder)
    modules = [Transformer(str(folder)), Pooling(_WIDTH, pooling_mode="cls" if source == "gte-base" else "mean")]
    if source == "gemma-200m":
        for inner, outer in ((_WIDTH, 4 * _WIDTH), (4 * _WIDTH, _WIDTH)):
            modules.append(Dense(inner, outer, bias=False, activation_function=torch.nn.Identity()))
    return SentenceTransformer(modules=[*modules, Normalize()], device="cpu")


@cache
def train_wordpiece(lines: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Train a cased WordPiece tokenizer."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=_WORDPIECE_SIZE, special_tokens=_SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def network_of(encoder: SentenceTransformer) -> Any:
    """Return the network below pooling and heads."""
    return encoder[0].model


def describe(encoders: dict[str, SentenceTransformer], runs: int) -> None:
    """Print what is measured, and on what."""
    for name, encoder in encoders.items():
        parameters = sum(parameter.numel() for parameter in encoder.parameters())
        table = network_of(encoder).get_input_embeddings().weight.numel()
        print(f"{name}: {parameters / 1e6:.1f} M parameters, {(parameters - table) / 1e6:.1f} M beside the table")
    hardware = record.observe_hardware()
    machine = ", ".join(hardware["accelerators"]) or f"{hardware['cpus']} CPUs ({torch.get_num_threads()} threads)"
    print(f"{hardware['machine']}, {machine}, torch {torch.__version__}; load average {os.getloadavg()[0]:.2f};")
    print(f"medians of {runs} runs by turns after one that does not count, tokenizer included")


def settings(arguments: argparse.Namespace, lines: Sequence[str]) -> Iterator[Setting]:
    """Yield what is measured: short and long text, precisions, batch sizes."""
    texts = {"short": list(lines[: arguments.short_texts]), "long": []}
    remaining = iter(lines)
    while len(texts["long"]) < arguments.long_texts:
        parts: list[str] = []
        while sum(map(len, parts)) < arguments.long_characters:
            if (line := next(remaining, None)) is None:
                raise SystemExit(f"error: {arguments.text} does not fill {arguments.long_texts} long texts.")
            parts.append(line)
        texts["long"].append(" ".join(parts))
    for kind, chosen in texts.items():
        for dtype in arguments.dtypes if chosen else ():
            for batch_size in dict.fromkeys(min(size, len(chosen)) for size in arguments.batch_sizes):
                yield Setting(kind=kind, texts=chosen, dtype=dtype, batch_size=batch_size)


def row_of(setting: Setting, encoders: dict[str, SentenceTransformer], runs: int) -> list[str]:
    """Measure one row: texts and tokens a second of each model, and the others' time as a multiple of the rival's."""
    times = measure(setting, encoders, runs)
    cells = []
    for name, encoder in encoders.items():
        if name not in times:
            cells += ["overflows", ""]
            continue
        seconds = statistics.median(times[name])
        tokens = count_tokens(encoder, setting.texts)
        cells += [
            f"{len(setting.texts) / seconds:,.1f}",
            f"{tokens / seconds:,.0f} ({tokens / len(setting.texts):.0f} a text)",
        ]
    rival, *others = encoders
    for name in others:
        ratios = [own / first for own, first in zip(times.get(name, ()), times.get(rival, ()), strict=False)]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else "")
    return [setting.kind, setting.dtype, str(setting.batch_size), *cells]


def measure(setting: Setting, encoders: dict[str, SentenceTransformer], runs: int) -> dict[str, list[float]]:
    """Time the models by turns, after one run of each that does not count; those that would overflow are left out."""
    safe = {
        name: encoder.to(getattr(torch, setting.dtype))
        for name, encoder in encoders.items()
        if setting.dtype != "float16" or network_of(encoder).config.model_type != _UNSAFE_IN_FLOAT16
    }
    times: dict[str, list[float]] = {name: [] for name in safe}
    for run in range(runs + 1):
        for name, encoder in safe.items():
            started = time.perf_counter()
            # Embeddings come back to the processor, so that an accelerator is waited for.
            encoder.encode(setting.texts, batch_size=setting.batch_size, prompt="", convert_to_numpy=True)
            if run:
                times[name].append(time.perf_counter() - started)
    return times


def count_tokens(encoder: SentenceTransformer, texts: list[str]) -> int:
    """Count the tokens that a model reads, cut at its window."""
    encoded: Any = encoder.tokenizer(texts, truncation=True, max_length=encoder.max_seq_length)
    return sum(map(len, encoded["input_ids"]))


if __name__ == "__main__":
    main()
