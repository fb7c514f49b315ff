"""`voc run`: the whole job from a YAML file."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from voc.cli.database import open_store
from voc.cli.ingest import file_progress
from voc.cli.score import open_scorer
from voc.pipeline.run import run as run_pipeline
from voc.pipeline.spec import read_spec
from voc.pipeline.summary import as_text


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("run")(run)


def run(
    pipeline: Annotated[Path, typer.Argument(help="YAML of the run, such as examples/star.yaml")],
    bundle: Annotated[
        Path | None, typer.Option(help="folder of a bundle; else VOC_BUNDLE, else models/LIVE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Ingest, score, find deviations, link, associate, store root causes, report.

    A run that was stopped goes on where it was: what is stored and scored is not done again. The
    report is printed, and written as result.json and report.html into the run's output folder.

        VOC_DATA_DIR=../shared/data voc run examples/star.yaml
    """
    spec = read_spec(pipeline)
    scorer = open_scorer(bundle, None)
    engine = open_store()
    result = run_pipeline(
        engine,
        scorer,
        spec,
        say=lambda line: print(line, file=sys.stderr, flush=True),
        progress=file_progress,
    )
    print(json.dumps(result, indent=1) if as_json else as_text(result))
