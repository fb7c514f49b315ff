"""Changes in the database: releases, policy changes, campaigns and outages."""

import json
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, text

from voc.errors import NotFoundError
from voc.records import Change
from voc.store.copying import stage


def save_changes(conn: Connection, changes: Iterable[Change]) -> int:
    """Store changes; one with a known id takes the new values. Returns how many are new."""
    columns = "id title kind started_at ended_at scope external".split()
    rows = (
        (c.id, c.title, c.kind, c.started_at, c.ended_at, json.dumps(dict(c.scope)), c.external)
        for c in changes
    )
    stage(conn, "change", columns, rows)
    names = ", ".join(columns)
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
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
