"""`hf-turkembed verify`."""

from pathlib import Path
from typing import Annotated

import typer

from hf_turkembed.cli.parameters import Json, Quiet, Verbose
from hf_turkembed.cli.printing import print_json


def verify(
    repo: Annotated[str, typer.Argument(help="Folder, [datasets/]ORG/NAME[@REVISION].", metavar="REPO|DIR")],
    base_model: Annotated[
        str | None, typer.Option(help="Of an adapter: the model it is loaded onto.", metavar="REPO|DIR")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check what a repo holds and says, load it offline in every way its card names, and compare the results."""
    from hf_turkembed.publishing import fetch_folder, verify_folder

    repo_id = None if Path(repo).is_dir() else repo.partition("@")[0].removeprefix("datasets/")
    base = None if base_model is None else fetch_folder(base_model)
    verification = verify_folder(fetch_folder(repo), repo_id=repo_id, base=base)
    if as_json:
        print_json(verification.as_json())
    else:
        for check in verification.checks:
            if not (quiet and check.passed):
                typer.echo(f"{'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.detail}")
        if not quiet:
            verdict = "passed" if verification.passed else "failed"
            rest = "" if verification.loaded else "; nothing of it was loaded"
            typer.echo(f"{verification.kind} {verdict} in {verification.seconds} s{rest}")
    if not verification.passed:
        raise ValueError(f"{repo} failed verification: {verification.describe_failures()}.")
