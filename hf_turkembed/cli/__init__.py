"""The command `hf-turkembed`; each of its commands calls one function of the library and prints what it returns.

It is `hf turkembed` too, where `hf extensions install OWNER/hf-turkembed` has put it.
"""

import logging
import sys
import traceback

import typer

from hf_turkembed.cli.conversion import convert_gte
from hf_turkembed.cli.encoding import encode
from hf_turkembed.cli.publishing import card, publish, release
from hf_turkembed.cli.tokenizers import tokenizer_report
from hf_turkembed.cli.verification import verify

app = typer.Typer(
    name="hf-turkembed",
    help="Verify, publish and use Turkish sentence-embedding models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (verify, publish, release, card, tokenizer_report, convert_gte, encode):
    app.command()(command)


def main() -> None:
    """Run the command line; an error is one line on standard error and exit status 1, its trace with `--verbose`."""
    try:
        app(prog_name="hf-turkembed")
    except (ValueError, OSError) as error:
        if logging.getLogger("hf_turkembed").isEnabledFor(logging.DEBUG):
            traceback.print_exc()
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
