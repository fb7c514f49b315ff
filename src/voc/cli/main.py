"""The `voc` command: puts the groups together and turns errors into exit codes."""

import sys

import typer

from voc.cli import (
    associate,
    changes,
    db,
    effort,
    ingest,
    pilot,
    process,
    rescore,
    root_causes,
    run,
    score,
    spikes,
    themes,
)
from voc.errors import UsageError, VocError

app = typer.Typer(
    name="voc",
    help="Voice of the customer: every complaint, traced to the process step that causes it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def voc() -> None:
    """Voice of the customer: every complaint, traced to the process step that causes it."""


for group in (
    score,
    ingest,
    run,
    root_causes,
    rescore,
    process,
    associate,
    spikes,
    themes,
    changes,
    pilot,
    effort,
    db,
):
    group.register(app)


def main() -> None:
    """Run `voc`. Exit 0: done; 1: failed, with the reason on stderr; 2: wrong usage."""
    try:
        app()
    except VocError as error:
        print(f"voc: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
