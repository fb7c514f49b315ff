"""Processes in the database: maps, cases with their events and deviations."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text

from voc.errors import InputError, StoreError
from voc.records import Deviation, Event
from voc.store.copying import stage

CASE_COLUMNS: Final = "case_id customer_ref segment channel region started_at ended_at attributes".split()
EVENT_COLUMNS: Final = "position activity occurred_at resource attributes".split()
DEVIATION_COLUMNS: Final = "kind step from_step occurred_at magnitude_s event_index basis owner".split()
_TIME: Final = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class StoredMap:
    """A process map as it was given, in YAML."""

    id: int
    name: str
    version: str
    yaml: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a process."""

    case_id: str
    customer_ref: str | None = None
    segment: str | None = None
    channel: str | None = None
    region: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replaced:
    """What `replace_cases` wrote, and how many cases it took away."""

    cases: int
    events: int
    deviations: int
    removed: int


def save_map(conn: Connection, name: str, version: str, yaml: str) -> int:
    """The id of a process map, added if new.

    Raises
    ------
    StoreError
        This version is there with other contents.
    """
    values = {"name": name, "version": version, "yaml": yaml, "hash": hashlib.sha256(yaml.encode()).digest()}
    conn.execute(
        text(
            "INSERT INTO process_map (name, version, yaml, hash) VALUES (:name, :version, :yaml, :hash) "
            "ON CONFLICT DO NOTHING"
        ),
        values,
    )
    row = conn.execute(
        text("SELECT id, hash FROM process_map WHERE name = :name AND version = :version"), values
    ).one()
    if bytes(row.hash) != values["hash"]:
        raise StoreError(
            f"process map {name}@{version} is in the database with other contents; "
            "give the changed map a new version"
        )
    return int(row.id)


def list_maps(conn: Connection, *, names: Sequence[str] | None = None) -> list[StoredMap]:
    """Process maps by name and age, oldest first; `names` None: all."""
    rows = conn.execute(
        text(
            "SELECT id, name, version, yaml, created_at FROM process_map "
            "WHERE CAST(:names AS text[]) IS NULL OR name = ANY(:names) ORDER BY name, id"
        ),
        {"names": None if names is None else list(names)},
    )
    return [StoredMap(*row) for row in rows]


def replace_cases(
    conn: Connection,
    map_id: int,
    cases: Iterable[Case],
    deviations: Iterable[Deviation],
    *,
    events: Iterable[Event] | None = None,
) -> Replaced:
    """Make a map's cases and deviations be these; a case that stays keeps its links.

    Parameters
    ----------
    events : in order within each case; None leaves the stored events as they are

    Raises
    ------
    InputError
        A case is given twice, or a deviation or event names a case that is not given.
    """
    here = {"map_id": map_id}
    n_cases = stage(conn, "process_case", CASE_COLUMNS, _case_rows(cases))
    twice = conn.execute(
        text("SELECT case_id FROM staged_process_case GROUP BY case_id HAVING count(*) > 1 LIMIT 1")
    ).scalar_one_or_none()
    if twice is not None:
        raise InputError("is given twice", file="cases", field="case_id", remedy="give each case once")
    removed = conn.execute(
        text(
            "DELETE FROM process_case c WHERE map_id = :map_id "
            "AND NOT EXISTS (SELECT 1 FROM staged_process_case s WHERE s.case_id = c.case_id)"
        ),
        here,
    ).rowcount
    names = ", ".join(CASE_COLUMNS)
    changed = ", ".join(f"{name} = excluded.{name}" for name in CASE_COLUMNS[1:])
    conn.execute(
        text(
            f"INSERT INTO process_case (map_id, {names}) SELECT :map_id, {names} "  # noqa: S608
            f"FROM staged_process_case ON CONFLICT (map_id, case_id) DO UPDATE SET {changed}"
        ),
        here,
    )
    n_deviations = _replace(conn, map_id, "deviation", DEVIATION_COLUMNS, _deviation_rows(deviations))
    n_events = 0
    if events is not None:
        n_events = _replace(conn, map_id, "event", EVENT_COLUMNS, _event_rows(events))
    return Replaced(n_cases, n_events, n_deviations, removed)


def _replace(
    conn: Connection, map_id: int, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> int:
    n_rows = stage(conn, table, columns, rows, extra={"case_id": "text"})
    names = ", ".join(columns)
    conn.execute(
        text(
            f"DELETE FROM {table} t USING process_case c "  # noqa: S608
            "WHERE t.case_pk = c.id AND c.map_id = :map_id"
        ),
        {"map_id": map_id},
    )
    n_stored = conn.execute(
        text(
            f"INSERT INTO {table} (case_pk, {names}) SELECT c.id, {', '.join(f's.{n}' for n in columns)} "  # noqa: S608
            f"FROM staged_{table} s JOIN process_case c ON c.map_id = :map_id AND c.case_id = s.case_id"
        ),
        {"map_id": map_id},
    ).rowcount
    if n_stored != n_rows:
        raise InputError(
            f"{n_rows - n_stored} rows name a case that is not given",
            file=f"{table}s",
            field="case_id",
            remedy="give all cases, also those without any",
        )
    return n_stored


def _case_rows(cases: Iterable[Case]) -> Iterator[tuple[Any, ...]]:
    for case in cases:
        yield (*(getattr(case, name) for name in CASE_COLUMNS[:-1]), _json(case.attributes, case.case_id))


def _event_rows(events: Iterable[Event]) -> Iterator[tuple[Any, ...]]:
    n_before: dict[str, int] = {}
    for event in events:
        position = n_before.get(event.case_id, 0)
        n_before[event.case_id] = position + 1
        attributes = _json(event.attributes, event.case_id)
        yield position, event.activity, event.timestamp, event.resource, attributes, event.case_id


def _deviation_rows(deviations: Iterable[Deviation]) -> Iterator[tuple[Any, ...]]:
    for found in deviations:
        yield (
            found.kind,
            found.step,
            found.from_step,
            found.timestamp,
            found.magnitude_s,
            list(found.event_index),
            found.basis,
            found.owner,
            found.case_id,
        )


def _json(attributes: Mapping[str, Any], case_id: str) -> str:
    try:
        return json.dumps(dict(attributes), allow_nan=False, ensure_ascii=False, default=str)
    except ValueError as error:
        raise InputError(
            f"attributes of case {case_id} are not JSON (NaN, infinity or a circle)", remedy="leave it out"
        ) from error


CASES_SCHEMA: Final[dict[str, Any]] = {
    "map_id": pl.Int32,
    **dict.fromkeys(["process", "case_id", "customer_ref", "segment", "channel", "region"], pl.String),
    "started_at": _TIME,
    "ended_at": _TIME,
}
DEVIATIONS_SCHEMA: Final[dict[str, Any]] = {
    "map_id": pl.Int32,
    **dict.fromkeys(["process", "case_id", "kind", "step", "from_step"], pl.String),
    "timestamp": _TIME,
    "magnitude_s": pl.Float64,
    "event_index": pl.List(pl.Int64),
    "basis": pl.String,
    "owner": pl.String,
}


def read_cases(conn: Connection, map_ids: Sequence[int]) -> pl.DataFrame:
    """Cases of some maps; the columns of `CASES_SCHEMA`, `process` as "name@version"."""
    rows = conn.execute(
        text(
            "SELECT c.map_id, m.name || '@' || m.version, c.case_id, c.customer_ref, c.segment, c.channel, "
            "c.region, c.started_at, c.ended_at FROM process_case c JOIN process_map m ON m.id = c.map_id "
            "WHERE c.map_id = ANY(:map_ids) ORDER BY c.id"
        ),
        {"map_ids": list(map_ids)},
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=CASES_SCHEMA, orient="row")


def read_deviations(conn: Connection, map_ids: Sequence[int]) -> pl.DataFrame:
    """Deviations of some maps; the columns of `DEVIATIONS_SCHEMA`, `process` as "name@version"."""
    rows = conn.execute(
        text(
            "SELECT c.map_id, m.name || '@' || m.version, c.case_id, d.kind, d.step, d.from_step, "
            "d.occurred_at, d.magnitude_s, d.event_index, d.basis, d.owner FROM deviation d "
            "JOIN process_case c ON c.id = d.case_pk JOIN process_map m ON m.id = c.map_id "
            "WHERE c.map_id = ANY(:map_ids) ORDER BY d.id"
        ),
        {"map_ids": list(map_ids)},
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=DEVIATIONS_SCHEMA, orient="row")


def read_events(conn: Connection, map_id: int, case_id: str) -> list[Event]:
    """A case's events in order; none where the case or its events are not stored."""
    rows = conn.execute(
        text(
            "SELECT c.case_id, e.activity, e.occurred_at, e.resource, e.attributes FROM event e "
            "JOIN process_case c ON c.id = e.case_pk WHERE c.map_id = :map_id AND c.case_id = :case_id "
            "ORDER BY e.position"
        ),
        {"map_id": map_id, "case_id": case_id},
    )
    return [Event(*row) for row in rows]
