"""Take quarantined items of the API again, after they were mended: `python -m api.replay --rows bad.jsonl`."""

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from sqlalchemy import Engine

from api.intake import MAPPING, record_of, rejected_of
from voc.cli.database import using_store
from voc.cli.quarantine import print_replay, read_mended
from voc.errors import InputError, UsageError, VocError
from voc.language import LanguageDetector
from voc.pipeline.replay import ReplayReport, replay_rows
from voc.records import Feedback
from voc.store.quarantine import QuarantinedRow


def replay(
    rows: Annotated[Path | None, typer.Option(help="JSON Lines with id and mended raw", exists=True)] = None,
) -> None:
    """Take open items that came by API again, through the same checks as at first.

    To mend items: voc quarantine list --raw --output bad.jsonl, correct `raw` in it, then
    python -m api.replay --rows bad.jsonl
    """
    mended = read_mended(rows)
    with using_store() as engine:
        print_replay(replay_items(engine, mended, who=getpass.getuser()))


def replay_items(engine: Engine, mended: Mapping[int, Mapping[str, Any]], *, who: str) -> ReplayReport:
    """Take open items again; `mended` gives the item to use instead for some quarantine ids."""
    detector = LanguageDetector()

    def build(_row: QuarantinedRow, raw: Mapping[str, Any]) -> Sequence[Feedback] | str:
        try:
            return [record_of(dict(raw), detector)]
        except (ValidationError, InputError) as error:
            wrong = rejected_of(0, error)
            return f"{wrong.field}: {wrong.reason}" if wrong.field else wrong.reason

    return replay_rows(engine, build, mapping=MAPPING, source=None, who=who, mended=mended)


def main() -> None:
    """Exit 0: done; 1: failed, with the reason on stderr; 2: wrong usage."""
    try:
        typer.run(replay)
    except VocError as error:
        print(f"api.replay: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)


if __name__ == "__main__":
    main()
