"""Time and memory of a clone at EmbeddingGemma's full size, beside transformer-cloner on smaller vocabularies.

python recipes/benchmarks/clone.py --teacher DIR --tokenizer DIR [--runs 5] [--peer-sizes 2048 4096 8192]

`--teacher` gives the old tokenizer and the pooling, `--tokenizer` is the folder of the adapted one. Weights are
random, in EmbeddingGemma-300m's shape; `--keep DIR` leaves the models there as `teacher` and `student`. Each figure is
of a process of its own. The other tool runs where it is installed (pip install --no-deps transformer-cloner==0.2.10),
on a network of one layer, which it loads whole.
"""

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

_WIDTH = 768
_KIB_PER_UNIT = 1 if sys.platform != "darwin" else 1 / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="also leave teacher and student in this new folder")
    parser.add_argument("--peer-sizes", type=int, nargs="*", default=(2048, 4096, 8192))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        teacher, small = Path(scratch, "teacher"), Path(scratch, "small")
        apart(write_teacher, teacher, arguments.teacher, arguments.layers)
        apart(write_teacher, small, arguments.teacher, 1)
        report("table alone", compose, arguments.runs, teacher, arguments.tokenizer)
        report("whole clone", clone, arguments.runs, teacher, arguments.tokenizer)
        if arguments.keep is not None:
            shutil.copytree(teacher, arguments.keep / "teacher")
            (arguments.keep / "student").mkdir()
            apart(clone_into, teacher, arguments.tokenizer, arguments.keep / "student")
        for size in arguments.peer_sizes:
            tokenizer = Path(scratch, f"tokenizer-{size}")
            cut_tokenizer(arguments.tokenizer, tokenizer, size)
            report(f"one layer, {size:,} tokens, hf_turkembed", clone, arguments.runs, small, tokenizer)
            if find_spec("transformer_cloner") is not None:
                report(f"one layer, {size:,} tokens, transformer-cloner", clone_with_peer, 1, small, tokenizer)


def report(label: str, work: Callable[[Path, Path], str], runs: int, teacher: Path, tokenizer: Path) -> None:
    """Do the work in processes of their own and print what it took."""
    seconds, peaks, notes = zip(*(apart(timed, work, teacher, tokenizer) for _ in range(runs)), strict=True)
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
    print(f"{label}: {statistics.median(seconds):.2f} s ({spread}, {runs} runs), {max(peaks):.2f} GB; {notes[0]}")


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do work in a process of its own, so that its peak of memory is not another's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def timed(work: Callable[[Path, Path], str], teacher: Path, tokenizer: Path) -> tuple[float, float, str]:
    """Do the work; return its seconds, the peak of this process in GB, and what it says."""
    note = work(teacher, tokenizer)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB_PER_UNIT * 1024 / 1e9
    seconds, _, text = note.partition("|")
    return float(seconds), peak, text


def compose(teacher: Path, tokenizer: Path) -> str:
    """Plan and compose the table, both tokenizers being loaded."""
    from tokenizers import Tokenizer

    from hf_turkembed.cloning import compose_table, find_table, plan_rows

    old, new = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (teacher, tokenizer))
    vocabulary = new.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    table = find_table(teacher)
    started = time.perf_counter()
    plan = plan_rows(old, tokens, table.shape[0])
    planned = time.perf_counter()
    made = compose_table(table, plan, "mean", seed=0)
    ended = time.perf_counter()
    rows = f"{made.shape[0]:,} x {made.shape[1]}, {len(plan.composed):,} rows composed"
    return f"{ended - started}|{rows}; plan {planned - started:.2f} s, rows {ended - planned:.2f} s"


def clone(teacher: Path, tokenizer: Path) -> str:
    """Clone from folder to folder."""
    with tempfile.TemporaryDirectory() as output:
        return clone_into(teacher, tokenizer, Path(output))


def clone_into(teacher: Path, tokenizer: Path, output: Path) -> str:
    """Clone into an empty folder."""
    from hf_turkembed.cloning import clone_model

    started = time.perf_counter()
    made = clone_model(teacher, tokenizer, output, matryoshka_dims=[_WIDTH, 512, 256, 128], max_length=8192, seed=0)
    seconds = time.perf_counter() - started
    return f"{seconds}|{made.teacher_parameters:,} -> {made.parameters:,} parameters"


def clone_with_peer(teacher: Path, tokenizer: Path) -> str:
    """Clone with transformer-cloner, from loaded models to a model in memory."""
    from transformer_cloner import TransformerCloner

    cloner = TransformerCloner(str(teacher), str(tokenizer))
    started = time.perf_counter()
    model = cloner.clone(verbose=False)
    seconds = time.perf_counter() - started
    rows = len(model.get_input_embeddings().weight)
    return f"{seconds}|{1000 * seconds / rows:.2f} ms a row, loading aside"


def write_teacher(folder: Path, like: Path, layers: int) -> None:
    """Write a model of EmbeddingGemma-300m's shape with random weights and another model's tokenizer."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer
    from transformers import AutoModel, Gemma3TextConfig

    tokenizer = Tokenizer.from_file(str(like / "tokenizer.json"))
    added = tokenizer.get_added_tokens_decoder().values()
    # Like the original's, the tokenizer may have an added token past the table.
    past = {token.content for token in added if tokenizer.token_to_id(token.content) == tokenizer.get_vocab_size() - 1}
    config = Gemma3TextConfig(
        vocab_size=tokenizer.get_vocab_size() - len(past),
        hidden_size=_WIDTH,
        intermediate_size=1152,
        num_hidden_layers=layers,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=512,
        max_position_embeddings=2048,
        use_bidirectional_attention=True,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(like / name, folder / name)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("3_Dense", "Dense")]
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed), encoding="utf-8")
    shutil.copytree(like / "1_Pooling", folder / "1_Pooling")
    for path, (inner, outer) in {"2_Dense": (_WIDTH, 3072), "3_Dense": (3072, _WIDTH)}.items():
        (folder / path).mkdir()
        activation = "torch.nn.modules.linear.Identity"
        settings = {"in_features": inner, "out_features": outer, "bias": False, "activation_function": activation}
        (folder / path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        weight = torch.randn(outer, inner) / inner**0.5
        save_file({"linear.weight": weight}, folder / path / "model.safetensors", metadata={"format": "pt"})


def cut_tokenizer(source: Path, folder: Path, size: int) -> None:
    """Write the half of a tokenizer's vocabulary that comes first and the newest tokens, `size` in all."""
    folder.mkdir()
    content = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    tokens = [*tokens[: size // 2], *tokens[-(size - size // 2) :]]
    content["model"] |= {"vocab": {token: row for row, token in enumerate(tokens)}, "merges": []}
    content["added_tokens"] = [
        {**token, "id": tokens.index(token["content"])}
        for token in content["added_tokens"]
        if token["content"] in tokens
    ]
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    shutil.copyfile(source / "tokenizer_config.json", folder / "tokenizer_config.json")


if __name__ == "__main__":
    main()
