"""`voc changes`: the changes on record, and which of them are external factors."""

import getpass
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from voc.cli.database import using_store
from voc.rootcause.change_files import read_changes
from voc.store.changes import list_changes, list_marks, save_changes, set_external
from voc.store.engine import transaction


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("changes")(changes)


def changes(
    add: Annotated[
        str | None, typer.Option(help="A file of changes to store: id, timestamp, title, and ended_at, ...")
    ] = None,
    mark: Annotated[str | None, typer.Option(help="The id of a change to say something of.")] = None,
    external: Annotated[
        bool | None,
        typer.Option("--external/--not-external", help="With --mark: whether it is an external factor."),
    ] = None,
    note: Annotated[str | None, typer.Option(help="With --mark: why, for the record.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of a table.")] = False,
) -> None:
    """List changes; say that one is an external factor, whose window then stays out of every figure.

    Taken back with --not-external, its window counts again from the next computation on. Who said so and
    why stays on record; a file read later does not undo it.

        voc changes --add outages.csv

        voc changes --mark OUT-7 --external --note "carrier's network"
    """
    if (mark is None) != (external is None):
        raise typer.BadParameter("--mark goes with --external or --not-external")
    given = read_changes(add) if add is not None else []
    with using_store() as engine, transaction(engine) as conn:
        if given:
            save_changes(conn, given)
        if mark is not None and external is not None:
            set_external(conn, mark, external, who=getpass.getuser(), note=note)
        rows = [(change, list_marks(conn, change.id)) for change in list_changes(conn)]
    if as_json:
        told = [{**asdict(change), "marks": [asdict(m) for m in marks]} for change, marks in rows]
        print(json.dumps(told, default=str, indent=1))
        return
    table = Table("id", "start", "end", "kind", "title", "external", "said by")
    for change, marks in rows:
        table.add_row(
            change.id,
            f"{change.started_at:%Y-%m-%d %H:%M}",
            f"{change.ended_at:%Y-%m-%d %H:%M}" if change.ended_at else "",
            change.kind,
            change.title,
            "yes" if change.external else "",
            f"{marks[-1].who}: {marks[-1].note or ''}".rstrip(": ") if marks else "",
        )
    Console().print(table if rows else "no changes yet: voc changes --add FILE")
