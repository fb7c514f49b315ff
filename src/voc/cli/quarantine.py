"""`voc quarantine`: rows that could not be taken are seen, mended, and taken again or discarded."""

import getpass
import json
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from voc.cli.database import using_store
from voc.errors import InputError
from voc.files import stream_rows, write_json_lines
from voc.pipeline.replay import ReplayReport, replay_quarantine
from voc.store.engine import transaction
from voc.store.quarantine import (
    DISCARDED,
    PAGE,
    QuarantinedRow,
    count_quarantine,
    resolve_quarantine,
    stream_quarantine,
)

BY_API = "api"  # the mapping that items of the API are kept under
commands = typer.Typer(
    help="Rows that could not be taken: see them, mend them, take them again.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(commands, name="quarantine")


@commands.command("list")
def list_rows(
    source: Annotated[str | None, typer.Option(help="of this source alone")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="JSON Lines with the raw rows, to mend and replay")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of a table")] = False,
    output: Annotated[str | None, typer.Option(help="file for --raw; else stdout")] = None,
) -> None:
    """Show open rows with file, row, field, reason and remedy: all with --raw or --json, else the first thousand.

    To mend rows: voc quarantine list --raw --output bad.jsonl, correct `raw` in it, then
    voc quarantine replay --mapping M --rows bad.jsonl
    """
    with using_store() as engine, transaction(engine) as conn:
        rows = stream_quarantine(conn, source=source)
        if raw:
            write_json_lines((_with_raw(row) for row in rows), output)
        elif as_json:
            print(json.dumps([_to_dict(row) for row in rows], ensure_ascii=False, indent=1))
        else:
            _print_table(conn, list(islice(rows, PAGE)), source)


def _with_raw(row: QuarantinedRow) -> dict[str, Any]:
    bad = row.bad
    return {"id": row.id, "field": bad.field, "reason": bad.reason, "remedy": bad.remedy, "raw": bad.raw}


def _to_dict(row: QuarantinedRow) -> dict[str, Any]:
    bad = row.bad
    return {"id": row.id, "source": bad.source, "file": bad.file, "row": bad.row, "mapping": bad.mapping,
            "field": bad.field, "reason": bad.reason, "remedy": bad.remedy}  # fmt: skip


def _print_table(conn: Connection, rows: list[QuarantinedRow], source: str | None) -> None:
    # Not a terminal: wide enough for a file or a pipe to hold whole words. Reasons hold brackets.
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False)
    if not rows:
        console.print("quarantine is empty")
        return
    table = Table("id", "source", "file", "row", "field", "reason", "remedy")
    for row in rows:
        bad = row.bad
        table.add_row(
            str(row.id), bad.source, bad.file, str(bad.row), bad.field or "", bad.reason, bad.remedy
        )
    console.print(table)
    if len(rows) == PAGE:
        n_open = sum(n for (of, _, _), n in count_quarantine(conn).items() if source in (None, of))
        print(f"{PAGE:,} of {n_open:,} shown; --json or --raw gives all")


@commands.command("replay")
def replay_rows(
    mapping: Annotated[Path, typer.Option(help="the mapping of the source, mended or not", exists=True)],
    rows: Annotated[Path | None, typer.Option(help="JSON Lines with id and mended raw", exists=True)] = None,
) -> None:
    """Take open rows of a mapping again, through the same path as at first.

    What came by API goes through `python -m api.replay`.
    """
    mended = read_mended(rows)
    with using_store() as engine:
        report = replay_quarantine(engine, mapping, who=getpass.getuser(), mended=mended)
    print_replay(report)


def read_mended(path: Path | None) -> dict[int, Mapping[str, Any]]:
    """Mended raw rows by quarantine id, in the form of `voc quarantine list --raw`; none without a path.

    Raises
    ------
    InputError
        An id is no number, or a raw row is no object.
    """
    mended: dict[int, Mapping[str, Any]] = {}
    if path is None:
        return mended
    for number, row in enumerate(stream_rows(str(path), required=("id", "raw")), start=1):
        try:
            quarantine_id = int(str(row["id"]))
        except ValueError:
            raise InputError(
                "is no number", file=str(path), row=number, field="id", remedy="keep the id that was listed"
            ) from None
        if not isinstance(row["raw"], dict):
            raise InputError("is no object", file=str(path), row=number, field="raw", remedy="keep its form")
        mended[quarantine_id] = row["raw"]
    return mended


def print_replay(report: ReplayReport) -> None:
    """What became of the rows that were taken again, and which were left alone."""
    print(
        f"replayed {report.replayed:,}, stored before {report.duplicates:,}, "
        f"still in quarantine {len(report.still_bad):,}"
    )
    for number, reason in report.still_bad[:20]:
        print(f"  {number}: {reason}")
    for name, n_rows in report.other_mappings.items():
        way = "`python -m api.replay`" if name == BY_API else "--mapping with its file"
        print(f"left alone: {n_rows:,} rows of the source that came through mapping '{name}'; use {way}")
    if report.not_met:
        ids = ", ".join(map(str, report.not_met))
        print(f"not replayed, since not open, or of another source or mapping: {ids}")


@commands.command("discard")
def discard_rows(ids: Annotated[list[int], typer.Argument(help="ids from `voc quarantine list`")]) -> None:
    """Mark rows as not worth mending; they stay on record."""
    with using_store() as engine, transaction(engine) as conn:
        n = resolve_quarantine(conn, ids, status=DISCARDED, who=getpass.getuser())
    print(f"discarded {n:,} of {len(ids):,}")
