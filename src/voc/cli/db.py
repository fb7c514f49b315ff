"""`voc db`: the database's schema, brought up to date or looked at."""

import dataclasses
import json
from typing import Annotated

import typer

from voc.cli.database import using_store
from voc.store import schema
from voc.store.engine import place


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(
        name="db",
        help="The database: bring its schema up to date, or see where it stands.",
        no_args_is_help=True,
    )
    group.command("upgrade")(upgrade_command)
    group.command("status")(status_command)
    app.add_typer(group)


def upgrade_command() -> None:
    """Bring the schema up to date. Safe to run twice, and from several places at once.

    The database is the one VOC_DATABASE_URL names, else an embedded one in VOC_HOME.
    """
    with using_store(ready=False) as engine:
        before = schema.upgrade(engine)
    if before.pending:
        print(f"{place(engine.url)}: upgraded from {before.current or 'empty'} to {before.head}")
    else:
        print(f"{place(engine.url)}: up to date at {before.head}")


def status_command(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of words.")] = False,
) -> None:
    """Say where the schema stands: its revision, the one this release wants, and what lies between."""
    with using_store(ready=False) as engine:
        found = schema.status(engine)
    if as_json:
        values = {"database": place(engine.url), **dataclasses.asdict(found), "ready": found.ready}
        print(json.dumps(values))
        return
    print(f"database  {place(engine.url)}")
    print(f"revision  {found.current or 'none: the database is empty'}")
    print(f"wanted    {found.head}")
    if found.newer:
        print("newer     upgraded by a later release of voc; install that one")
    elif found.pending:
        print(f"pending   {', '.join(found.pending)}: run `voc db upgrade`")
    else:
        print("pending   none")
