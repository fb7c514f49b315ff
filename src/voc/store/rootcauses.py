"""Root causes in the database: computed again and again, while what people decided about them stays."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Integer,
    RowMapping,
    Select,
    cast,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from voc.errors import NotFoundError, StoreError
from voc.records import Association, RootCause
from voc.store.copying import copy_rows
from voc.store.moves import Moves, moved
from voc.store.tables import feedback, root_cause, root_cause_evidence, root_cause_history

STATUSES: Final = ("proposed", "confirmed", "rejected", "acting", "verifying", "closed")
Identity = tuple[str, str, str, str]  # process, outcome, kind, step
PageKey = tuple[int, int, float, float, int]  # rejected, not reported, -weight, q, id: in order
_STATISTICS: Final = tuple(
    name for name in Association.__dataclass_fields__ if name not in ("outcome", "kind", "step")
)
_PROVENANCE: Final = ("bundle", "theme_fit", "map_version", "window_start", "window_end", "fdr", "method")
_RECOMPUTED: Final = (*_STATISTICS, *_PROVENANCE, "details")


@dataclass(frozen=True, slots=True)
class StoredRootCause:
    """A root cause with what the database knows beyond it; its evidence is read on its own."""

    id: int
    cause: RootCause
    fdr: float
    method: str
    map_version: str | None
    owner_by: str | None  # the person who set the owner; None: taken from the process map
    is_current: bool  # found by the latest computation of its process
    first_found_at: datetime
    computed_at: datetime
    due_on: date | None
    n_evidence: int


@dataclass(frozen=True, slots=True)
class Saved:
    """What a computation did to the stored root causes."""

    found: int = 0  # never seen before
    back: int = 0  # seen before, gone since, found again
    recomputed: int = 0  # figures moved
    unchanged: int = 0
    gone: int = 0  # of these processes, and no longer found


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a root cause's history; `changes` is field -> (before, after)."""

    at: datetime
    who: str
    action: str  # found, recomputed, gone, back, status, owner, comment, due, pilot, rollback
    changes: Moves
    note: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One feedback behind a root cause, with the case it speaks about."""

    feedback_id: int
    case_id: str
    source: str
    external_id: str
    occurred_at: datetime
    text: str


def save_root_causes(
    conn: Connection,
    causes: Iterable[RootCause],
    *,
    processes: Sequence[str],
    fdr: float,
    method: str,
    who: str = "voc",
) -> Saved:
    """Store what a computation over `processes` found; statuses and owners that people set stay.

    A root cause is the same one when process (without its version), outcome, kind and step are. What
    moved goes into its history; nothing moved, nothing written there. Stored ones of these processes
    that are not among `causes` are kept and marked as no longer current.

    Parameters
    ----------
    causes : `process` as "name" or "name@version"; their status is ignored
    processes : names computed over, with or without "@version"
    """
    names = sorted({process_name(process)[0] for process in processes})
    rows = conn.execute(
        select(root_cause).where(root_cause.c.process.in_(names)).with_for_update()
    ).mappings()
    stored: dict[Identity, RowMapping] = {
        (row["process"], row["outcome"], row["kind"], row["step"]): row for row in rows
    }
    counts = dict.fromkeys(Saved.__dataclass_fields__, 0)
    seen: set[Identity] = set()
    for cause in causes:
        values = {**_values(cause), "fdr": fdr, "method": method}
        identity = (values["process"], values["outcome"], values["kind"], values["step"])
        if identity in seen:
            raise StoreError(f"root cause {' / '.join(identity)} is given twice; give each once")
        if identity[0] not in names:
            raise StoreError(f"process '{identity[0]}' is not among those computed; name it too")
        seen.add(identity)
        counts[_save(conn, stored.get(identity), values, cause, who)] += 1
    for identity, row in stored.items():
        if identity not in seen and row["is_current"]:
            conn.execute(update(root_cause).where(root_cause.c.id == row["id"]).values(is_current=False))
            note_history(conn, row["id"], who, "gone", {"is_current": (True, False)})
            counts["gone"] += 1
    return Saved(**counts)


def _save(
    conn: Connection, before: RowMapping | None, values: dict[str, Any], cause: RootCause, who: str
) -> str:
    if before is None:
        number = conn.execute(insert(root_cause).values(values).returning(root_cause.c.id)).scalar_one()
        copy_rows(conn, "root_cause_evidence", _EVIDENCE_COLUMNS, _evidence_rows(number, cause))
        note_history(conn, number, who, "found", moved({}, values, (*_RECOMPUTED, "owner")))
        return "found"
    number = before["id"]
    if before["owner_by"] is not None:
        values["owner"] = before["owner"]
    changes = moved(dict(before), values, (*_RECOMPUTED, "owner")) | _renew_evidence(conn, number, cause)
    action = "recomputed" if before["is_current"] else "back"
    conn.execute(
        update(root_cause)
        .where(root_cause.c.id == number)
        .values(**values, is_current=True, computed_at=func.now())
    )
    if action == "back":
        changes["is_current"] = (False, True)
    if not changes:
        return "unchanged"
    note_history(conn, number, who, action, changes)
    return action


_EVIDENCE_COLUMNS: Final = ("root_cause_id", "feedback_id", "case_id", "rank")


def _evidence_rows(number: int, cause: RootCause) -> list[tuple[Any, ...]]:
    pairs = dict.fromkeys(cause.evidence)  # each once, surest first
    return [(number, feedback_id, case_id, rank) for rank, (feedback_id, case_id) in enumerate(pairs)]


def _renew_evidence(conn: Connection, number: int, cause: RootCause) -> Moves:
    table = root_cause_evidence
    old = conn.execute(select(table).where(table.c.root_cause_id == number).order_by(table.c.rank)).all()
    rows = _evidence_rows(number, cause)
    if [tuple(row) for row in old] == rows:
        return {}
    conn.execute(delete(table).where(table.c.root_cause_id == number))
    copy_rows(conn, table.name, _EVIDENCE_COLUMNS, rows)
    pairs = {(row.feedback_id, row.case_id) for row in old}
    if pairs == set(cause.evidence):
        return {}
    return {"evidence": (len(pairs), len(rows))}


def _values(cause: RootCause) -> dict[str, Any]:
    name, version = process_name(cause.process)
    return {
        **asdict(cause.association),
        "process": name,
        "map_version": version,
        "owner": cause.owner,
        "bundle": cause.bundle,
        "theme_fit": cause.theme_fit,
        "details": dict(cause.details),
        "window_start": cause.window[0],
        "window_end": cause.window[1],
    }


def process_name(process: str) -> tuple[str, str | None]:
    """Name and version of "name@version"; version None where there is none."""
    name, _, version = process.partition("@")
    return name, version or None


def note_history(
    conn: Connection, number: int, who: str, action: str, changes: Moves, note: str | None = None
) -> None:
    """Write a line into a root cause's history."""
    conn.execute(
        insert(root_cause_history).values(
            root_cause_id=number,
            at=func.clock_timestamp(),
            who=who,
            action=action,
            changes={name: list(pair) for name, pair in changes.items()},
            note=note,
        )
    )


def set_status(conn: Connection, number: int, status: str, *, who: str, note: str | None = None) -> None:
    """A person's verdict on a root cause, or where the work on it stands.

    Raises
    ------
    StoreError
        The status is not one of `STATUSES`, or there is no such root cause.
    """
    if status not in STATUSES:
        raise StoreError(f"'{status}' is no status of a root cause; choose one of {', '.join(STATUSES)}")
    before = lock_root_cause(conn, number)["status"]
    if before != status:
        conn.execute(update(root_cause).where(root_cause.c.id == number).values(status=status))
        note_history(conn, number, who, "status", {"status": (before, status)}, note)


def set_owner(conn: Connection, number: int, owner: str | None, *, who: str, note: str | None = None) -> None:
    """Give a root cause an owner that computations leave alone; None: back to the process map's,
    from the next computation on."""
    before = lock_root_cause(conn, number)["owner"]
    values = {"owner": owner, "owner_by": who} if owner is not None else {"owner_by": None}
    conn.execute(update(root_cause).where(root_cause.c.id == number).values(**values))
    note_history(conn, number, who, "owner", {"owner": (before, owner)}, note)


def lock_root_cause(conn: Connection, number: int) -> RowMapping:
    """A root cause's row, held until the transaction ends; raises `StoreError` where there is none."""
    query = select(root_cause).where(root_cause.c.id == number).with_for_update()
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"root cause {number} is not in the database; list them first")
    return row


def list_root_causes(
    conn: Connection,
    *,
    processes: Sequence[str] | None = None,
    statuses: Sequence[str] | None = None,
    reported: bool | None = True,
    current: bool | None = True,
    limit: int = 1000,
    after: PageKey | None = None,
) -> list[StoredRootCause]:
    """Root causes, heaviest first: by how many cases with the outcome the deviation goes with beyond
    what cases without it would have had (risk difference times exposed cases); rejected ones last.

    `processes`, `statuses`, `reported`, `current`: None for any. `after`: `page_key` of the last one
    received, to go on from there.
    """
    table = root_cause.c
    order = (
        cast(table.status == "rejected", Integer),
        cast(~table.reported, Integer),
        -(table.risk_difference * table.n_exposed),
        table.q_value,
        table.id,
    )
    query = _with_evidence_counts().order_by(*order).limit(limit)
    if after is not None:
        query = query.where(tuple_(*order) > tuple_(*after))
    if processes is not None:
        query = query.where(table.process.in_([process_name(process)[0] for process in processes]))
    if statuses is not None:
        query = query.where(table.status.in_(statuses))
    if reported is not None:
        query = query.where(table.reported == reported)
    if current is not None:
        query = query.where(table.is_current == current)
    return [_record(row) for row in conn.execute(query).mappings()]


def page_key(stored: StoredRootCause) -> PageKey:
    """Where a root cause stands in the order of `list_root_causes`."""
    said = stored.cause.association
    rejected, silent = int(stored.cause.status == "rejected"), int(not said.reported)
    return rejected, silent, -(said.risk_difference * said.n_exposed), said.q_value, stored.id


def get_root_cause(conn: Connection, number: int) -> StoredRootCause:
    """One root cause.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    row = conn.execute(_with_evidence_counts().where(root_cause.c.id == number)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"root cause {number} is not in the database; list them first")
    return _record(row)


def _with_evidence_counts() -> Select[Any]:
    n_evidence = (
        select(func.count()).where(root_cause_evidence.c.root_cause_id == root_cause.c.id).scalar_subquery()
    )
    return select(root_cause, n_evidence.label("n_evidence"))


def _record(row: RowMapping) -> StoredRootCause:
    version = row["map_version"]
    return StoredRootCause(
        id=row["id"],
        cause=RootCause(
            association=Association(**{name: row[name] for name in Association.__dataclass_fields__}),
            process=row["process"] + (f"@{version}" if version else ""),
            owner=row["owner"],
            status=row["status"],
            bundle=row["bundle"],
            window=(row["window_start"], row["window_end"]),
            evidence=(),
            theme_fit=row["theme_fit"],
            details=row["details"],
        ),
        **{name: row[name] for name in StoredRootCause.__dataclass_fields__ if name not in ("id", "cause")},
    )


def read_evidence(conn: Connection, number: int, *, offset: int = 0, limit: int = 100) -> list[Evidence]:
    """The feedback behind a root cause with its text, surest first."""
    table, said = root_cause_evidence.c, feedback.c
    query = (
        select(table.feedback_id, table.case_id, said.source, said.external_id, said.occurred_at, said.text)
        .join(feedback, said.id == table.feedback_id)
        .where(table.root_cause_id == number)
        .order_by(table.rank)
        .offset(offset)
        .limit(limit)
    )
    return [Evidence(*row) for row in conn.execute(query)]


def read_history(conn: Connection, number: int) -> list[HistoryEntry]:
    """What happened to a root cause, oldest first."""
    table = root_cause_history.c
    query = select(root_cause_history).where(table.root_cause_id == number).order_by(table.id)
    return [
        HistoryEntry(row.at, row.who, row.action, {k: tuple(v) for k, v in row.changes.items()}, row.note)
        for row in conn.execute(query)
    ]
