"""`hf-turkembed convert-gte`."""

from pathlib import Path
from typing import Annotated

import typer

from hf_turkembed.cli.parameters import Json, Quiet, Verbose
from hf_turkembed.cli.printing import print_json


def convert_gte(
    source: Annotated[str, typer.Argument(help="Folder or ORG/NAME[@REVISION] of a model.", metavar="REPO|DIR")],
    output: Annotated[Path, typer.Argument(help="New folder.", metavar="OUTPUT")],
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Rewrite gte-multilingual-base, which needs code of its own, as the GTE that transformers 5 knows."""
    from hf_turkembed.gte_checkpoint import convert_gte_checkpoint
    from hf_turkembed.publishing import fetch_folder

    repo = None if Path(source).is_dir() else source.partition("@")[0]
    report = convert_gte_checkpoint(fetch_folder(source), output, repo=repo)
    if as_json:
        print_json(report)
        return
    if quiet:
        return
    for name in report.dropped:
        typer.echo(f"left out {name}, which belongs to a head")
    typer.echo(f"{report.parameters:,} parameters in {report.dtype} written to {output}")
