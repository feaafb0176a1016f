"""`hf-turkembed encode`."""

import json
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from hf_turkembed.cli.parameters import QuietProgress, Verbose

# Sentences of one call of the model.
_ENCODE_BATCH = 256


def encode(
    repo: Annotated[str, typer.Argument(help="Folder or ORG/NAME of a model.", metavar="REPO|DIR")],
    truncate_dim: Annotated[int | None, typer.Option(help="A trained width. Default: the full width.")] = None,
    quiet: QuietProgress = False,
    verbose: Verbose = False,
) -> None:
    """Read sentences from standard input, one a line, and print one JSON list of unit norm for each."""
    import torch
    from sentence_transformers import SentenceTransformer

    from hf_turkembed.modeling.window import limit_length
    from hf_turkembed.publishing import fetch_folder

    # Compared with the Hub's digests, which the library that loads it does not do.
    folder = str(fetch_folder(repo))
    if truncate_dim is not None:
        _check_width(folder, truncate_dim)
    # A checkpoint in bfloat16 would give vectors whose norm is off by half a percent.
    model = SentenceTransformer(folder, truncate_dim=truncate_dim, model_kwargs={"dtype": torch.float32})
    limit_length(model)
    for batch in _batched(line.rstrip("\r\n") for line in sys.stdin):
        for vector in model.encode(batch, normalize_embeddings=True, show_progress_bar=False):
            typer.echo(json.dumps([float(value) for value in vector]))


def _check_width(repo: str, truncate_dim: int) -> None:
    """Raise unless the width was trained."""
    from transformers import AutoConfig

    trained = getattr(AutoConfig.from_pretrained(repo), "matryoshka_dims", None)
    if not trained:
        raise ValueError(f"`truncate_dim`={truncate_dim}: {repo} names no trained widths; leave `--truncate-dim` out.")
    if truncate_dim not in trained:
        names = ", ".join(map(str, trained))
        raise ValueError(
            f"`truncate_dim`={truncate_dim} is not one of the trained `matryoshka_dims` ({names}); pick one of them."
        )


def _batched(lines: Iterable[str]) -> Iterable[list[str]]:
    """Cut lines into lists of at most `_ENCODE_BATCH`."""
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _ENCODE_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
