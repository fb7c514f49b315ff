"""`voc root-causes`: what was found, with evidence; and what people decided."""

import getpass
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Connection

from voc.cli.database import using_store
from voc.pipeline.summary import number
from voc.store.engine import transaction
from voc.store.followup import add_comment, list_ownership_gaps, set_due
from voc.store.rootcauses import (
    StoredRootCause,
    list_root_causes,
    read_evidence,
    read_history,
    set_owner,
    set_status,
)
from voc.store.themes import read_theme_names


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("root-causes")(root_causes)


def root_causes(
    process: Annotated[str | None, typer.Option(help="of this process alone")] = None,
    show: Annotated[int | None, typer.Option(help="one root cause with its history and evidence")] = None,
    status: Annotated[
        str | None, typer.Option(help="with --show: set the status (confirmed, rejected, acting, ...)")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="with --show: set the owner")] = None,
    comment: Annotated[str | None, typer.Option(help="with --show: write a comment into the history")] = None,
    due: Annotated[
        str | None, typer.Option(help="with --show: the day it is due (2026-05-01), or 'none'")
    ] = None,
    note: Annotated[str | None, typer.Option(help="why, for the history")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of a table")] = False,
) -> None:
    """Show root causes, heaviest first: which outcome goes with which deviation at which step.

    What people decide survives the next computation.

        voc root-causes

        voc root-causes --show 3 --status confirmed --note "seen on the floor"

        voc root-causes --show 3 --comment "asked the carrier" --due 2026-05-01
    """
    if show is None and (status or owner or comment or due):
        raise typer.BadParameter("needs --show with the number of a root cause")
    due_on = None if due is None or due == "none" else _day(due)
    with using_store() as engine, transaction(engine) as conn:
        if show is None:
            _list(conn, process, as_json=as_json)
            return
        if status:
            set_status(conn, show, status, who=getpass.getuser(), note=note)
        if owner:
            set_owner(conn, show, owner, who=getpass.getuser(), note=note)
        if due:
            set_due(conn, show, due_on, who=getpass.getuser(), note=note)
        if comment:
            add_comment(conn, show, comment, who=getpass.getuser())
        _show(conn, show, as_json=as_json)


def _list(conn: Connection, process: str | None, *, as_json: bool) -> None:
    found = list_root_causes(conn, processes=[process] if process else None)
    if as_json:
        names = read_theme_names(conn)
        print(json.dumps([_to_dict(f, names) for f in found], default=str, indent=1))
    else:
        _print_table(found, read_theme_names(conn))
    for gap in list_ownership_gaps(conn):
        print(
            f"voc root-causes: nobody owns step '{gap.step}' of {gap.process} ({gap.n_root_causes} root "
            "causes); name its owner in the process map, or with --owner",
            file=sys.stderr,
        )


def _show(conn: Connection, number: int, *, as_json: bool) -> None:
    history = [asdict(entry) for entry in read_history(conn, number)]
    evidence = [asdict(pair) for pair in read_evidence(conn, number)]
    one = next((f for f in list_root_causes(conn, reported=None, current=None) if f.id == number), None)
    names = read_theme_names(conn)
    if as_json:
        detail = {
            "root_cause": _to_dict(one, names) if one else None,
            "history": history,
            "evidence": evidence,
        }
        print(json.dumps(detail, default=str, indent=1))
        return
    if one:
        _print_table([one], names)
        for line in _reading(one.cause.details):
            print(line)
    for entry in history:
        moved = ", ".join(f"{k}: {a} -> {b}" for k, (a, b) in list(entry["changes"].items())[:4])
        line = f"{entry['at']:%Y-%m-%d %H:%M} {entry['who']}: {entry['action']} {moved} {entry['note'] or ''}"
        print(line.rstrip())
    print(f"{len(evidence)} pairs of feedback and case (at most 100 shown):")
    for pair in evidence[:20]:
        print(f"  case {pair['case_id']}: {' '.join(pair['text'].split())[:100]}")


def _reading(details: Mapping[str, Any]) -> list[str]:
    """Lag and dose-response in words."""
    lines = []
    if after := details.get("lag"):
        lines.append(
            f"said after the deviation in {after['share_after']:.0%} of {after['n_cases']} cases"
            + (f", half of them within {after['median_h']:.1f} h" if after["median_h"] is not None else "")
        )
    if dose := details.get("dose_response"):
        ratios = ", ".join(number(level["odds_ratio"]) for level in dose["levels"])
        way = "rises" if dose["rising"] else "falls"
        lines.append(f"odds ratio by size of the deviation: {ratios} ({way}, p {dose['trend_p']:.1g})")
    return lines


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no day; write 2026-05-01, or none", param_hint="--due"
        ) from error


def _theme_name(outcome: str, names: Mapping[str, str]) -> str | None:
    """The name behind an outcome `theme:<id>`; None for a signal, or a theme that is not stored."""
    return names.get(outcome.removeprefix("theme:")) if outcome.startswith("theme:") else None


def _print_table(found: list[StoredRootCause], names: Mapping[str, str]) -> None:
    table = Table(
        "id",
        "process",
        "outcome",
        "goes with",
        "at step",
        "odds ratio (95 %)",
        "q",
        "cases",
        "owner",
        "status",
        "due",
    )
    for f in found:
        a = f.cause.association
        name = _theme_name(a.outcome, names)
        outcome = f"{a.outcome} {escape(name)}" if name else a.outcome
        table.add_row(
            str(f.id), f.cause.process, outcome, a.kind, a.step or "(whole case)",
            f"{number(a.odds_ratio)} ({number(a.ci_low)}-{number(a.ci_high)})", f"{a.q_value:.1g}",
            f"{a.n_exposed_outcome} of {a.n_exposed}", f.cause.owner or "nobody", f.cause.status,
            f"{f.due_on:%Y-%m-%d}" if f.due_on else "",
        )  # fmt: skip
    # Not a terminal: wide enough for a file or a pipe to hold whole words.
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table if found else "no root causes yet: run `voc run PIPELINE.yaml`")


def _to_dict(found: StoredRootCause, names: Mapping[str, str]) -> dict[str, Any]:
    cause = found.cause
    rest = asdict(found)
    rest.pop("cause")
    return {**rest, "process": cause.process, "owner": cause.owner, "status": cause.status,
            "model": cause.bundle, "theme_fit": cause.theme_fit, "details": cause.details,
            "theme": _theme_name(cause.association.outcome, names),
            "window": [t.isoformat() for t in cause.window], **asdict(cause.association)}  # fmt: skip
