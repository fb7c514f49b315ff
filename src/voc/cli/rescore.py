"""`voc rescore`: history through another bundle; the old scores stay."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from voc.cli.database import open_store
from voc.cli.score import open_scorer
from voc.pipeline.scoring import score_stored


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("rescore")(rescore)


def rescore(
    bundle: Annotated[
        Path | None, typer.Option(help="folder of a bundle; else VOC_BUNDLE, else models/LIVE")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="only this source; may be given again")] = None,
) -> None:
    """Score stored feedback that this bundle has not scored. Scores of other bundles are kept.

    Every score carries the name and version of its bundle; `/v1/sentiment` marks where the model
    behind its figures changes.
    """
    scorer = open_scorer(bundle, None)
    engine = open_store()
    n = score_stored(
        engine, scorer, sources=source, progress=lambda n: print(f"scored {n:,}", file=sys.stderr)
    )
    print(f"scored {n:,} with {scorer.bundle.id}")
