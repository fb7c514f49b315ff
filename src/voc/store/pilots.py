"""Pilots in the database: the plan as it was before the first look, and every look after it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from voc.errors import StoreError
from voc.store.rootcauses import lock_root_cause, note_history


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a pilot; `rollback` says that a guardrail broke."""

    at: datetime
    verdict: str
    result: Mapping[str, Any]
    rollback: bool


def save_plan(
    conn: Connection, pilot_id: str, plan: Mapping[str, Any], *, root_cause: int | None, who: str
) -> bool:
    """Keep a plan; False where the same is there already.

    Raises
    ------
    StoreError
        The plan is there with other contents: what is looked for must not follow what was seen. Or
        there is no such root cause.
    """
    stored = conn.execute(
        text("SELECT plan, root_cause_id FROM pilot WHERE id = :id"), {"id": pilot_id}
    ).one_or_none()
    if stored is not None:
        if stored.plan != dict(plan) or stored.root_cause_id != root_cause:
            raise StoreError(
                f"pilot '{pilot_id}' is planned otherwise in the database; "
                "a plan stays as it was before the first look: give a changed one a new id"
            )
        return False
    if root_cause is not None:
        lock_root_cause(conn, root_cause)
        note_history(conn, root_cause, who, "pilot", {}, f"pilot '{pilot_id}' planned")
    conn.execute(
        text("INSERT INTO pilot (id, root_cause_id, plan, who) VALUES (:id, :cause, :plan, :who)"),
        {"id": pilot_id, "cause": root_cause, "plan": json.dumps(dict(plan)), "who": who},
    )
    return True


def save_look(
    conn: Connection, pilot_id: str, verdict: str, result: Mapping[str, Any], *, rollback: bool, who: str
) -> None:
    """Keep a look at a planned pilot; its root cause's history tells the verdict, and a rollback."""
    row = conn.execute(text("SELECT root_cause_id FROM pilot WHERE id = :id"), {"id": pilot_id}).one_or_none()
    if row is None:
        raise StoreError(f"pilot '{pilot_id}' is not in the database; record its plan first")
    conn.execute(
        text(
            "INSERT INTO pilot_look (pilot_id, verdict, result, rollback) "
            "VALUES (:id, :verdict, :result, :rollback)"
        ),
        {
            "id": pilot_id,
            "verdict": verdict,
            "result": json.dumps(dict(result), allow_nan=False),
            "rollback": rollback,
        },
    )
    if row.root_cause_id is not None:
        action = "rollback" if rollback else "pilot"
        note_history(conn, row.root_cause_id, who, action, {}, f"pilot '{pilot_id}': {verdict}")


def list_looks(conn: Connection, pilot_id: str) -> list[Look]:
    """The looks at a pilot, oldest first."""
    rows = conn.execute(
        text("SELECT at, verdict, result, rollback FROM pilot_look WHERE pilot_id = :id ORDER BY id"),
        {"id": pilot_id},
    )
    return [Look(*row) for row in rows]
