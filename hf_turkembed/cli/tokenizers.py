"""`hf-turkembed tokenizer-report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hf_turkembed.cli.parameters import Json, QuietProgress, Verbose
from hf_turkembed.cli.printing import print_json
from hf_turkembed.json_files import as_plain

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def tokenizer_report(
    tokenizer: Annotated[str, typer.Argument(help="Folder, tokenizer.json, or ORG/NAME[@REVISION].")],
    text: Annotated[
        list[Path] | None,
        typer.Option(help="Text file, one line a text; repeatable. Named by its stem; parity needs an aligned en."),
    ] = None,
    against: Annotated[str | None, typer.Option(help="Tokenizer to compare with, named in the same way.")] = None,
    as_json: Json = False,
    quiet: QuietProgress = False,
    verbose: Verbose = False,
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
    report: Any = (
        describe_tokenizer(loaded, texts, stem_lengths)
        if against is None
        else compare_tokenizers(_load_tokenizer(against), loaded, texts, stem_lengths)
    )
    if as_json:
        print_json(report)
    else:
        typer.echo(format_report(as_plain(report)), nl=False)


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

    if Path(name).is_file():
        return read_tokenizer(Path(name))
    from hf_turkembed.publishing import fetch_folder

    path = fetch_folder(name, only="tokenizer.json") / "tokenizer.json"
    if not path.is_file():
        raise FileNotFoundError(f"{name!r} holds no tokenizer.json; name a folder or a repo with a fast tokenizer.")
    return read_tokenizer(path)
