"""Arguments and options that several commands share."""

import logging
from pathlib import Path
from typing import Annotated

import typer


def _set_verbose(verbose: bool) -> bool:
    """Log what the library does to standard error."""
    if verbose:
        logging.basicConfig(format="%(message)s")
    logging.getLogger("hf_turkembed").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    return verbose


def _set_quiet(quiet: bool) -> bool:
    """Draw no progress bars."""
    if quiet:
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

        disable_progress_bars()
    return quiet


Folder = Annotated[Path, typer.Argument(help="Output folder of a step.", metavar="DIR")]
RepoId = Annotated[str, typer.Option(help="Name of the repo, ORG/NAME.")]
License = Annotated[str | None, typer.Option(help="Licence id of the Hub, such as apache-2.0 or gemma.")]
Languages = Annotated[
    list[str] | None, typer.Option("--language", help="ISO 639 code; repeatable. Default: those of the records.")
]
Scores = Annotated[Path | None, typer.Option(help="Folder of the score step, which holds scores.json.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do everything but the last step.")]
BaseModelId = Annotated[
    str | None, typer.Option("--base-model", help="Of an adapter: name of the model it is loaded onto, ORG/NAME.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print failures alone.", callback=_set_quiet)]
# Of commands whose whole output is what was asked for.
QuietProgress = Annotated[bool, typer.Option("--quiet", "-q", help="Draw no progress bars.", callback=_set_quiet)]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Say what is being done, and where an error came from.", callback=_set_verbose
    ),
]
