"""`voc pilot`: who gets a fix, and whether it worked."""

import getpass
import math
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from voc.cli.database import using_store
from voc.errors import InputError
from voc.files import read_table, write_json_lines
from voc.rootcause.cohorts import Effect, assign
from voc.rootcause.pilot_looks import PilotLook, look_at
from voc.rootcause.pilot_plans import Plan, read_plan
from voc.store.engine import transaction
from voc.store.pilots import list_looks, save_look, save_plan

PlanFile = Annotated[str, typer.Argument(metavar="PLAN", help="The plan (YAML).")]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Pilots: try a fix on a cohort, and say if it worked.")
    group.command("record")(record)
    group.command("assign")(assign_units)
    group.command("look")(look)
    group.command("history")(history)
    app.add_typer(group, name="pilot")


def record(plan: PlanFile) -> None:
    """Keep the plan in the database, before the first look; later it can't be changed.

    With `root_cause` in the plan, that root cause's history tells of the pilot and of each look.

    Example: voc pilot record fix.yaml
    """
    read = read_plan(plan)
    with using_store() as engine, transaction(engine) as conn:
        new = _save(conn, read)
    print(
        f"voc pilot: plan '{read.pilot.id}' {'recorded' if new else 'is recorded already'}", file=sys.stderr
    )


def assign_units(
    plan: PlanFile,
    units: Annotated[str, typer.Argument(help="A table of units (customers); '-' reads stdin.")],
    unit: Annotated[str, typer.Option(help="Column that holds the unit's id.")] = "unit",
    output: Annotated[str | None, typer.Option(help="Where to write; stdout if not given.")] = None,
) -> None:
    """Say for each unit whether it gets the fix: {"unit", "arm"}, one JSON line a row, same order.

    The arm is a hash of pilot and unit: the same at any time and place, with nothing to keep.

    Example: voc pilot assign fix.yaml customers.csv --unit customer_ref
    """
    read = read_plan(plan)
    table = read_table(units, required=[unit])
    ids = [str(value) if value is not None else "" for value in table[unit].to_list()]
    if "" in ids:
        raise InputError("is empty", file=units, row=ids.index("") + 1, field=unit, remedy="fill it in")
    treated = assign(read.pilot, ids)
    write_json_lines(
        (
            {"unit": one, "arm": "treated" if gets else "control"}
            for one, gets in zip(ids, treated, strict=True)
        ),
        output,
    )
    print(f"voc pilot: {int(treated.sum())} of {len(ids)} units get the fix", file=sys.stderr)


def look(
    plan: PlanFile,
    values: Annotated[
        str, typer.Argument(help="Table: unit, the metrics, and period (before, during) where known.")
    ],
    record_it: Annotated[
        bool,
        typer.Option("--record", help="Keep plan and look in the database and the root cause's history."),
    ] = False,
    output: Annotated[str | None, typer.Option(help="Where to write; stdout if not given.")] = None,
) -> None:
    """Judge a pilot by what is known so far; look as often as you like.

    One JSON line: the verdict (works, harms, no effect that matters, not enough data, assignment
    broken), the effect of treated less control with an interval that holds at every look, the guardrails,
    and under "rollback" an event for each that broke. Needs no database without --record.

    Example: voc pilot look fix.yaml so_far.csv
    """
    read = read_plan(plan)
    at = datetime.now(UTC)
    seen = look_at(read, read_table(values, required=["unit"]), at=at, file=values)
    row = to_json(read, seen, at)
    if record_it:
        with using_store() as engine, transaction(engine) as conn:
            _save(conn, read)
            save_look(
                conn, read.pilot.id, seen.verdict, row, rollback=bool(seen.rollbacks), who=getpass.getuser()
            )
    for note in seen.notes:
        print(f"voc pilot: {note}", file=sys.stderr)
    for event in seen.rollbacks:
        print(
            f"voc pilot: ROLL BACK '{event.pilot_id}': {event.metric} rose by at least "
            f"{event.effect.ci_low:.3g}, {event.tolerated:g} is tolerated",
            file=sys.stderr,
        )
    print(f"voc pilot: {seen.verdict}", file=sys.stderr)
    write_json_lines([row], output)


def history(
    pilot: Annotated[str, typer.Argument(help="The pilot's id.")],
    output: Annotated[str | None, typer.Option(help="Where to write; stdout if not given.")] = None,
) -> None:
    """The looks on record, oldest first, one JSON line each.

    Example: voc pilot history refund-fix
    """
    with using_store() as engine, transaction(engine) as conn:
        looks = list_looks(conn, pilot)
    write_json_lines((dict(one.result) for one in looks), output)


def to_json(plan: Plan, seen: PilotLook, at: datetime) -> dict[str, Any]:
    """The look as the command writes it: fixed keys, numbers that are not finite as null."""
    when = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "pilot": plan.pilot.id,
        "at": when,
        "metric": plan.metric,
        "verdict": seen.verdict,
        "effect": _effect(seen.effect),
        "guardrails": [
            {"metric": g.metric, "tolerated": g.tolerated, "broken": g.broken, "effect": _effect(g.effect)}
            for g in seen.guardrails
        ],
        "rollback": [
            {"event": "rollback", "pilot": r.pilot_id, "metric": r.metric, "tolerated": r.tolerated,
             "rose_by_at_least": r.effect.ci_low, "at": when}
            for r in seen.rollbacks
        ],
        "notes": list(seen.notes),
    }  # fmt: skip


def _effect(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(effect).items()
    }


def _save(conn: Any, plan: Plan) -> bool:
    return save_plan(conn, plan.pilot.id, plan.as_dict(), root_cause=plan.root_cause, who=getpass.getuser())
