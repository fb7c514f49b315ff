"""Changes (deployments, policies, campaigns, outages) in the database."""

import json
from collections.abc import Iterable

from sqlalchemy import Connection, select, text

from voc.records import Change
from voc.store.tables import change


def save_changes(conn: Connection, changes: Iterable[Change]) -> int:
    """Store changes by id; one that is there takes the new title, times and scope. Returns how many."""
    rows = [
        {
            "id": c.id, "title": c.title, "kind": c.kind, "started_at": c.started_at, "ended_at": c.ended_at,
            "scope": json.dumps(dict(c.scope)), "external": c.external,
        }
        for c in changes
    ]  # fmt: skip
    if rows:
        conn.execute(
            text(
                "INSERT INTO change (id, title, kind, started_at, ended_at, scope, external) "
                "VALUES (:id, :title, :kind, :started_at, :ended_at, CAST(:scope AS jsonb), :external) "
                "ON CONFLICT (id) DO UPDATE SET title = excluded.title, kind = excluded.kind, "
                "started_at = excluded.started_at, ended_at = excluded.ended_at, scope = excluded.scope, "
                "external = excluded.external"
            ),
            rows,
        )
    return len(rows)


def list_changes(conn: Connection) -> list[Change]:
    """All changes, oldest first."""
    rows = conn.execute(select(change).order_by(change.c.started_at, change.c.id))
    return [Change(r.id, r.title, r.started_at, r.ended_at, r.kind, r.scope, r.external) for r in rows]
