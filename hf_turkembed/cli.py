"""The command `hf-turkembed`; each of its commands calls one function of the library and prints what it returns."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from hf_turkembed.scores import ScoreReport

app = typer.Typer(
    name="hf-turkembed",
    help="Verify, publish and use Turkish sentence-embedding models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Sentences of one call of the model.
_ENCODE_BATCH = 256

_Folder = Annotated[Path, typer.Argument(help="Output folder of a step.", metavar="DIR")]
_RepoId = Annotated[str, typer.Option(help="Name of the repo, ORG/NAME.")]
_License = Annotated[str | None, typer.Option(help="Licence id of the Hub, such as apache-2.0 or gemma.")]
_Languages = Annotated[
    list[str] | None, typer.Option("--language", help="ISO 639 code; repeatable. Default: those of the records.")
]
_Scores = Annotated[Path | None, typer.Option(help="Folder of the score step, which holds scores.json.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command()
def verify(
    repo: Annotated[str, typer.Argument(help="Folder, ORG/NAME, or datasets/ORG/NAME.", metavar="REPO|DIR")],
    as_json: _Json = False,
) -> None:
    """Load a repo offline in every way its card names and compare the results."""
    from hf_turkembed.publishing import fetch_folder, verify_folder

    verification = verify_folder(fetch_folder(repo))
    if as_json:
        _print_json(verification.as_json())
    else:
        for check in verification.checks:
            typer.echo(f"{'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.detail}")
        typer.echo(f"{verification.kind} {'passed' if verification.passed else 'failed'} in {verification.seconds} s")
    if not verification.passed:
        raise ValueError(f"{repo} failed verification: {verification.describe_failures()}.")


@app.command()
def publish(
    folder: _Folder,
    repo_id: _RepoId,
    outbox: Annotated[Path | None, typer.Option(help="Root of the local outbox. Default: outbox.")] = None,
    to_hub: Annotated[bool, typer.Option("--hub", help="Publish to the Hub instead; needs an access token.")] = False,
    license: _License = None,
    language: _Languages = None,
    scores: _Scores = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request on the Hub.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Create a new Hub repo as private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but the last step.")] = False,
    as_json: _Json = False,
) -> None:
    """Render the card of a step's folder, verify it, and publish it to the outbox or the Hub."""
    if to_hub and outbox is not None:
        raise ValueError("`--outbox` and `--hub` exclude each other; choose one target.")
    if (create_pr or private) and not to_hub:
        raise ValueError("`--create-pr` and `--private` are about the Hub; add `--hub`, or leave them out.")
    from hf_turkembed.publishing import publish_folder

    if scores is None and (beside := folder.parent / "score").is_dir():
        raise ValueError(
            f"{beside} holds scores of the same run, which the card shows and whose requirements have to hold; "
            f"add `--scores {beside}`."
        )
    published = publish_folder(
        folder,
        repo_id=repo_id,
        license=license,
        languages=language or (),
        report=_read_report(scores),
        target="hub" if to_hub else "outbox",
        outbox=outbox or Path("outbox"),
        private=private,
        create_pr=create_pr,
        dry_run=dry_run,
    )
    if as_json:
        _print_json(published)
        return
    for file in published.files:
        typer.echo(f"{file.sha256}  {file.size:>12}  {file.path}")
    typer.echo(f"{'would be published to' if dry_run else 'published to'} {published.location}")


@app.command()
def card(
    folder: _Folder,
    repo_id: Annotated[
        str | None, typer.Option(help="Name of the repo, ORG/NAME. Default: ORG and the folder's name.")
    ] = None,
    license: _License = None,
    language: _Languages = None,
    scores: _Scores = None,
) -> None:
    """Print the card of a step's folder."""
    from hf_turkembed.publishing import render_card
    from hf_turkembed.publishing.hub import check_repo_id

    repo_id = repo_id or f"ORG/{folder.resolve().name}"
    check_repo_id(repo_id)
    text = render_card(folder, repo_id=repo_id, license=license, languages=language or (), report=_read_report(scores))
    typer.echo(text, nl=False)


@app.command()
def tokenizer_report(
    tokenizer: Annotated[str, typer.Argument(help="Folder, tokenizer.json, or ORG/NAME.")],
    text: Annotated[
        list[Path] | None,
        typer.Option(help="Text file, one line a text; repeatable. Named by its stem; parity needs an aligned en."),
    ] = None,
    against: Annotated[str | None, typer.Option(help="Tokenizer to compare with, named in the same way.")] = None,
    as_json: _Json = False,
) -> None:
    """Describe a tokenizer, or compare two: tokens spent on text, inflected Turkish words, dropped and new tokens.

    The inflected words are generated from real stems and suffixes. They are left out where text is given, but none in
    Turkish (tr).
    """
    from hf_turkembed.sandbox.inflection import inflected_words
    from hf_turkembed.tokenizer.report import compare_tokenizers, describe_tokenizer
    from hf_turkembed.tokenizer_tables import format_report

    texts = _read_texts(text or [])
    stem_lengths = inflected_words() if not texts or "tr" in texts else {}
    loaded = _load_tokenizer(tokenizer)
    if against is None:
        report = _plain(describe_tokenizer(loaded, texts, stem_lengths))
    else:
        report = _plain(compare_tokenizers(_load_tokenizer(against), loaded, texts, stem_lengths))
    if as_json:
        _print_json(report)
    else:
        typer.echo(format_report(report), nl=False)


@app.command()
def convert_gte(
    source: Annotated[str, typer.Argument(help="Folder or ORG/NAME[@REVISION] of a model.", metavar="REPO|DIR")],
    output: Annotated[Path, typer.Argument(help="New folder.", metavar="OUTPUT")],
) -> None:
    """Rewrite gte-multilingual-base, which needs code of its own, as the GTE that transformers 5 knows."""
    from hf_turkembed.gte_checkpoint import convert_gte_checkpoint
    from hf_turkembed.publishing import fetch_folder

    repo = None if Path(source).is_dir() else source.partition("@")[0]
    report = convert_gte_checkpoint(fetch_folder(source), output, repo=repo)
    for name in report.dropped:
        typer.echo(f"left out {name}, which belongs to a head")
    typer.echo(f"{report.parameters:,} parameters in {report.dtype} written to {output}")


@app.command()
def encode(
    repo: Annotated[str, typer.Argument(help="Folder or ORG/NAME of a model.", metavar="REPO|DIR")],
    truncate_dim: Annotated[int | None, typer.Option(help="A trained width. Default: the full width.")] = None,
) -> None:
    """Read sentences from standard input, one a line, and print one JSON list of unit norm for each."""
    import torch
    from sentence_transformers import SentenceTransformer

    if truncate_dim is not None:
        _check_width(repo, truncate_dim)
    # A checkpoint in bfloat16 would give vectors whose norm is off by half a percent.
    model = SentenceTransformer(repo, truncate_dim=truncate_dim, model_kwargs={"dtype": torch.float32})
    for batch in _batched(line.rstrip("\r\n") for line in sys.stdin):
        for vector in model.encode(batch, normalize_embeddings=True, show_progress_bar=False):
            typer.echo(json.dumps([float(value) for value in vector]))


def main() -> None:
    """Run the command line; an error is one line on standard error and exit status 1."""
    try:
        app()
    except (ValueError, OSError) as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)


def _read_report(folder: Path | None) -> "ScoreReport":
    """Read the scores of a folder, or none."""
    from hf_turkembed.scores import SCORES_FILE, ScoreReport, read_scores

    return ScoreReport(scores=()) if folder is None else read_scores(folder / SCORES_FILE)


def _read_texts(paths: list[Path]) -> dict[str, list[str]]:
    """Read the lines of text files by their stems."""
    texts = {}
    for path in paths:
        try:
            texts[path.stem] = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not valid UTF-8 ({error}); convert it.") from error
    if len(texts) < len(paths):
        raise ValueError("two files given with `--text` have the same stem; rename one of them.")
    return texts


def _load_tokenizer(name: str) -> "Tokenizer":
    """Load a fast tokenizer from a folder, a file, or the Hub."""
    from hf_turkembed.tokenizer import read_tokenizer

    path = Path(name)
    if path.is_dir():
        path = path / "tokenizer.json"
    if path.is_file():
        return read_tokenizer(path)
    from huggingface_hub import hf_hub_download

    from hf_turkembed.publishing.hub import check_repo_id

    try:
        check_repo_id(name)
    except ValueError as error:
        raise FileNotFoundError(
            f"{name!r} is neither a tokenizer.json, nor a folder with one, nor ORG/NAME."
        ) from error
    return read_tokenizer(Path(hf_hub_download(name, "tokenizer.json")))


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


def _plain(value: Any) -> Any:
    """Turn dataclasses into plain data."""
    from hf_turkembed import record

    return record.as_plain(value)


def _print_json(value: Any) -> None:
    """Print a report as JSON."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))
