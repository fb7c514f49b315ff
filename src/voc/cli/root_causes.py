"""`voc root-causes`: what was found, with evidence; and what people decided."""

import getpass
import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from voc.cli.database import open_store
from voc.pipeline.summary import number
from voc.store.engine import transaction
from voc.store.rootcauses import (
    StoredRootCause,
    list_root_causes,
    read_evidence,
    read_history,
    set_owner,
    set_status,
)


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
    note: Annotated[str | None, typer.Option(help="why, for the history")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of a table")] = False,
) -> None:
    """Show root causes, heaviest first: which outcome goes with which deviation at which step.

    What people decide survives the next computation.

        voc root-causes

        voc root-causes --show 3 --status confirmed --note "seen on the floor"
    """
    engine = open_store()
    if show is None:
        with transaction(engine) as conn:
            found = list_root_causes(conn, processes=[process] if process else None)
        if as_json:
            print(json.dumps([_to_dict(f) for f in found], default=str, indent=1))
        else:
            _print_table(found)
        return
    with transaction(engine) as conn:
        if status:
            set_status(conn, show, status, who=getpass.getuser(), note=note)
        if owner:
            set_owner(conn, show, owner, who=getpass.getuser(), note=note)
        history = [asdict(entry) for entry in read_history(conn, show)]
        evidence = [asdict(pair) for pair in read_evidence(conn, show)]
        one = next((f for f in list_root_causes(conn, reported=None, current=None) if f.id == show), None)
    detail = {"root_cause": _to_dict(one) if one else None, "history": history, "evidence": evidence}
    if as_json:
        print(json.dumps(detail, default=str, indent=1))
        return
    if one:
        _print_table([one])
    for entry in history:
        moved = ", ".join(f"{k}: {a} -> {b}" for k, (a, b) in list(entry["changes"].items())[:4])
        print(
            f"{entry['at']:%Y-%m-%d %H:%M} {entry['who']}: {entry['action']} {moved} {entry['note'] or ''}".rstrip()
        )
    print(f"{len(evidence)} pairs of feedback and case (at most 100 shown):")
    for pair in evidence[:20]:
        print(f"  case {pair['case_id']}: {' '.join(pair['text'].split())[:100]}")


def _print_table(found: list[StoredRootCause]) -> None:
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
    )
    for f in found:
        a = f.cause.association
        table.add_row(
            str(f.id), f.cause.process, a.outcome, a.kind, a.step or "(whole case)",
            f"{number(a.odds_ratio)} ({number(a.ci_low)}-{number(a.ci_high)})", f"{a.q_value:.1g}",
            f"{a.n_exposed_outcome} of {a.n_exposed}", f.cause.owner or "nobody", f.cause.status,
        )  # fmt: skip
    # Not a terminal: wide enough for a file or a pipe to hold whole words.
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table if found else "no root causes yet: run `voc run PIPELINE.yaml`")


def _to_dict(found: StoredRootCause) -> dict[str, Any]:
    cause = found.cause
    rest = asdict(found)
    rest.pop("cause")
    return {**rest, "process": cause.process, "owner": cause.owner, "status": cause.status, "model": cause.bundle,
            "window": [t.isoformat() for t in cause.window], **asdict(cause.association)}  # fmt: skip
