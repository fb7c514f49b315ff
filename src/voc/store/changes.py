"""Changes in the database: releases, policy changes, campaigns and outages."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from voc.errors import NotFoundError
from voc.records import Change
from voc.store.copying import stage


@dataclass(frozen=True, slots=True)
class Mark:
    """A person said whether a change is an external factor."""

    at: datetime
    who: str
    before: bool
    after: bool
    note: str | None


def save_changes(conn: Connection, changes: Iterable[Change]) -> int:
    """Store changes; one with a known id takes the new values. Returns how many are new.

    Whether a change is external stays as a person set it (`set_external`).
    """
    columns = "id title kind started_at ended_at scope external".split()
    rows = (
        (c.id, c.title, c.kind, c.started_at, c.ended_at, json.dumps(dict(c.scope)), c.external)
        for c in changes
    )
    stage(conn, "change", columns, rows)
    names = ", ".join(columns)
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns[1:-1])
    updates += (
        ", external = CASE WHEN change.external_by IS NULL THEN excluded.external ELSE change.external END"
    )
    n_new: int = conn.execute(
        text(
            f"WITH saved AS (INSERT INTO change ({names}) SELECT DISTINCT ON (id) {names} "  # noqa: S608
            f"FROM staged_change ORDER BY id ON CONFLICT (id) DO UPDATE SET {updates} "
            "RETURNING (xmax = 0) AS is_new) SELECT count(*) FILTER (WHERE is_new) FROM saved"
        )
    ).scalar_one()
    return n_new


def list_changes(
    conn: Connection, *, after: tuple[str, str] | None = None, limit: int | None = None
) -> list[Change]:
    """Changes by start and id; `after` is (start in ISO 8601, id) of the last one received, to go on.

    Raises
    ------
    NotFoundError
        The start in `after` is no time.
    """
    since: datetime | None = None
    if after is not None:
        try:
            since = datetime.fromisoformat(after[0])
        except ValueError as error:
            raise NotFoundError("no change begins at this place; start from the first page") from error
    rows = conn.execute(
        text(
            "SELECT id, title, started_at, ended_at, kind, scope, external FROM change "
            "WHERE CAST(:since AS timestamptz) IS NULL OR (started_at, id) > (:since, :id) "
            "ORDER BY started_at, id LIMIT :limit"
        ),
        {"since": since, "id": after[1] if after else "", "limit": limit},
    )
    return [Change(*row) for row in rows]


def set_external(
    conn: Connection, change_id: str, external: bool, *, who: str, note: str | None = None
) -> bool:
    """Say whether a change is an external factor; it stays on record. False where it was so already.

    External factors have their windows left out of figures; taken back, they are counted again.
    Raises `NotFoundError` where there is no such change.
    """
    before = conn.execute(
        text("SELECT external FROM change WHERE id = :id FOR UPDATE"), {"id": change_id}
    ).scalar_one_or_none()
    if before is None:
        raise NotFoundError(f"change '{change_id}' is not in the database; list them with `voc changes`")
    values = {"id": change_id, "who": who, "before": before, "after": external, "note": note}
    conn.execute(text("UPDATE change SET external = :after, external_by = :who WHERE id = :id"), values)
    if before == external:
        return False
    conn.execute(
        text(
            "INSERT INTO change_history (change_id, who, external_before, external_after, note) "
            "VALUES (:id, :who, :before, :after, :note)"
        ),
        values,
    )
    return True


def list_marks(conn: Connection, change_id: str) -> list[Mark]:
    """What people said of a change, oldest first."""
    rows = conn.execute(
        text(
            "SELECT at, who, external_before, external_after, note FROM change_history "
            "WHERE change_id = :id ORDER BY id"
        ),
        {"id": change_id},
    )
    return [Mark(*row) for row in rows]
