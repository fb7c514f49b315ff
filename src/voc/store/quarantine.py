"""Quarantine: rows that could not be taken, until they are mended and replayed, or discarded."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, text

from voc.errors import InputError
from voc.store.copying import stage
from voc.store.tables import quarantine

OPEN: Final = "open"
REPLAYED: Final = "replayed"
DISCARDED: Final = "discarded"
PAGE: Final = 1000
COLUMNS: Final = (
    "source file row_number mapping mapping_version field reason remedy raw raw_hash import_file_id"
).split()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not stored; `raw` is what it held, safe to keep as JSON."""

    source: str
    file: str
    row: int
    mapping: str
    mapping_version: str
    field: str | None
    reason: str
    remedy: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A bad row as it stands in the database."""

    id: int
    bad: BadRow
    import_file_id: int | None
    status: str  # open, replayed, discarded
    resolved_by: str | None
    resolved_at: datetime | None
    created_at: datetime


def save_quarantine(conn: Connection, rows: Iterable[BadRow], *, import_file_id: int | None = None) -> int:
    """Keep bad rows; one that is there already, even resolved, is left as it is. Returns how many are new."""
    names = ", ".join(COLUMNS)
    stage(conn, "quarantine", COLUMNS, (_row(row, import_file_id) for row in rows))
    return conn.execute(
        text(
            f"INSERT INTO quarantine ({names}) SELECT {names} FROM staged_quarantine "  # noqa: S608
            "ON CONFLICT ON CONSTRAINT quarantine_once DO NOTHING"
        )
    ).rowcount


def _row(bad: BadRow, import_file_id: int | None) -> tuple[Any, ...]:
    try:
        raw = json.dumps(dict(bad.raw), allow_nan=False, ensure_ascii=False, sort_keys=True, default=str)
    except ValueError as error:
        raise InputError(
            "cannot be kept as JSON", file=bad.file, row=bad.row, remedy="leave NaN and infinity out"
        ) from error
    raw = raw.replace("\\u0000", "\\u2400")  # jsonb holds no NUL
    digest = hashlib.sha256(raw.encode("utf-8", "replace")).digest()[:16]
    return (
        bad.source,
        bad.file,
        bad.row,
        bad.mapping,
        bad.mapping_version,
        bad.field,
        bad.reason,
        bad.remedy,
        raw,
        digest,
        import_file_id,
    )


def list_quarantine(
    conn: Connection,
    *,
    status: str | None = OPEN,
    source: str | None = None,
    file: str | None = None,
    mapping: str | None = None,
    after_id: int = 0,
    limit: int = PAGE,
) -> list[QuarantinedRow]:
    """Quarantined rows by id, `after_id` on; None for any status, source, file or mapping."""
    table = quarantine.c
    query = select(quarantine).where(table.id > after_id).order_by(table.id).limit(limit)
    wanted = {table.status: status, table.source: source, table.file: file, table.mapping: mapping}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    return [
        QuarantinedRow(
            id=row.id,
            bad=BadRow(
                row.source,
                row.file,
                row.row_number,
                row.mapping,
                row.mapping_version,
                row.field,
                row.reason,
                row.remedy,
                row.raw,
            ),
            import_file_id=row.import_file_id,
            status=row.status,
            resolved_by=row.resolved_by,
            resolved_at=row.resolved_at,
            created_at=row.created_at,
        )
        for row in conn.execute(query)
    ]


def stream_quarantine(conn: Connection, *, source: str | None = None) -> Iterator[QuarantinedRow]:
    """All open rows by id, read a page at a time; None for any source."""
    after_id = 0
    while page := list_quarantine(conn, source=source, after_id=after_id, limit=PAGE):
        yield from page
        after_id = page[-1].id


def count_open_by_mapping(conn: Connection, source: str) -> dict[str, int]:
    """How many open rows a source has by the mapping they came through."""
    rows = conn.execute(
        text(
            "SELECT mapping, count(*) AS n FROM quarantine WHERE status = 'open' AND source = :source "
            "GROUP BY 1 ORDER BY 1"
        ),
        {"source": source},
    )
    return {row.mapping: row.n for row in rows}


def count_quarantine(
    conn: Connection, *, status: str | None = OPEN
) -> dict[tuple[str, str | None, str], int]:
    """How many rows there are by (source, field, reason), most first."""
    rows = conn.execute(
        text(
            "SELECT source, field, reason, count(*) AS n FROM quarantine "
            "WHERE CAST(:status AS text) IS NULL OR status = :status "
            "GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"
        ),
        {"status": status},
    )
    return {(row.source, row.field, row.reason): row.n for row in rows}


def resolve_quarantine(conn: Connection, ids: Sequence[int], *, status: str, who: str) -> int:
    """Mark open rows as `replayed` or `discarded`; returns how many were open until now."""
    return conn.execute(
        text(
            "UPDATE quarantine SET status = :status, resolved_by = :who, resolved_at = now() "
            "WHERE id = ANY(:ids) AND status = 'open'"
        ),
        {"status": status, "who": who, "ids": list(ids)},
    ).rowcount
