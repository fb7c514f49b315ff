"""Events that arrive a few at a time: added to their cases, in order of time, each once."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from voc.records import Deviation, Event
from voc.store.copying import stage
from voc.store.process import StoredMap

UNMAPPED: Final = "unmapped"  # version of a process that has events and no map yet
_COLUMNS: Final = "activity occurred_at resource attributes".split()
_STRATA: Final = ("customer_ref", "segment", "channel", "region")


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of events: `stored + duplicates` is how many there were."""

    stored: int
    duplicates: int
    cases: tuple[str, ...]  # those that have new events


def find_latest_map(conn: Connection, name: str) -> StoredMap | None:
    """The newest version of a process map."""
    row = conn.execute(
        text(
            "SELECT id, name, version, yaml, created_at FROM process_map WHERE name = :name "
            "ORDER BY version = :unmapped, id DESC LIMIT 1"
        ),
        {"name": name, "unmapped": UNMAPPED},
    ).one_or_none()
    return None if row is None else StoredMap(*row)


def append_events(conn: Connection, map_id: int, events: Iterable[Event]) -> Appended:
    """Add events to cases of a map, making cases that are new; an event that is there already is left out.

    An event is the same when case, activity, time, resource and attributes are. Within a case events
    stand by time, those without one last, those of one time in order of arrival.
    """
    n_rows = stage(conn, "event", _COLUMNS, _rows(events), extra={"case_id": "text", "n": "bigint"})
    here = {"map_id": map_id}
    conn.execute(
        text(
            "INSERT INTO process_case (map_id, case_id) SELECT DISTINCT :map_id, case_id FROM staged_event "
            "ORDER BY 2 ON CONFLICT DO NOTHING"
        ),
        here,
    )
    # Whoever adds to the same cases waits here, always in the same order.
    conn.execute(
        text(
            "SELECT id FROM process_case WHERE map_id = :map_id AND case_id IN "
            "(SELECT case_id FROM staged_event) ORDER BY case_id FOR UPDATE"
        ),
        here,
    )
    conn.execute(text("DROP TABLE IF EXISTS pg_temp.merged_event"))
    conn.execute(
        text(
            """
            CREATE TEMP TABLE merged_event ON COMMIT DROP AS
            WITH all_events AS (
                SELECT c.id AS case_pk, s.activity, s.occurred_at, s.resource, s.attributes,
                    1 AS is_new, s.n AS place
                FROM staged_event s JOIN process_case c ON c.map_id = :map_id AND c.case_id = s.case_id
                UNION ALL
                SELECT e.case_pk, e.activity, e.occurred_at, e.resource, e.attributes, 0, e.position
                FROM event e JOIN process_case c ON c.id = e.case_pk
                WHERE c.map_id = :map_id AND c.case_id IN (SELECT case_id FROM staged_event)
            ), distinct_events AS (
                SELECT DISTINCT ON (case_pk, activity, occurred_at, resource, attributes) * FROM all_events
                ORDER BY case_pk, activity, occurred_at, resource, attributes, is_new, place
            )
            SELECT *, row_number() OVER (
                PARTITION BY case_pk ORDER BY occurred_at NULLS LAST, is_new, place) - 1 AS position
            FROM distinct_events
            """
        ),
        here,
    )
    conn.execute(
        text("DELETE FROM event WHERE case_pk IN (SELECT case_pk FROM merged_event WHERE is_new = 1)")
    )
    names = ", ".join(_COLUMNS)
    conn.execute(
        text(
            f"INSERT INTO event (case_pk, position, {names}) SELECT case_pk, position, {names} "  # noqa: S608
            "FROM merged_event WHERE case_pk IN (SELECT case_pk FROM merged_event WHERE is_new = 1)"
        )
    )
    found = conn.execute(text(_UPDATE_CASES)).all()
    n_new: int = conn.execute(text("SELECT count(*) FROM merged_event WHERE is_new = 1")).scalar_one()
    return Appended(n_new, n_rows - n_new, tuple(sorted(row.case_id for row in found)))


_UPDATE_CASES: Final = f"""
UPDATE process_case c SET started_at = m.started_at, ended_at = m.ended_at,
    {", ".join(f"{name} = coalesce(c.{name}, m.{name})" for name in _STRATA)}
FROM (
    SELECT case_pk, min(occurred_at) AS started_at, max(occurred_at) AS ended_at,
        {", ".join(f"max(attributes -> 'case' ->> '{name}') AS {name}" for name in _STRATA)}
    FROM merged_event GROUP BY case_pk HAVING max(is_new) = 1
) m WHERE c.id = m.case_pk RETURNING c.case_id
"""  # noqa: S608


def replace_case_deviations(
    conn: Connection, map_id: int, case_ids: Sequence[str], deviations: Iterable[Deviation]
) -> int:
    """Make the deviations of these cases be these; returns how many there are now."""
    here = {"map_id": map_id, "case_ids": list(case_ids)}
    conn.execute(
        text(
            "DELETE FROM deviation d USING process_case c WHERE d.case_pk = c.id AND c.map_id = :map_id "
            "AND c.case_id = ANY(:case_ids)"
        ),
        here,
    )
    columns = "kind step from_step occurred_at magnitude_s event_index basis owner".split()
    rows = (
        (d.kind, d.step, d.from_step, d.timestamp, d.magnitude_s, list(d.event_index), d.basis, d.owner,
         d.case_id) for d in deviations
    )  # fmt: skip
    stage(conn, "deviation", columns, rows, extra={"case_id": "text"})
    return conn.execute(
        text(
            f"INSERT INTO deviation (case_pk, {', '.join(columns)}) "  # noqa: S608
            f"SELECT c.id, {', '.join(f's.{name}' for name in columns)} FROM staged_deviation s "
            "JOIN process_case c ON c.map_id = :map_id AND c.case_id = s.case_id"
        ),
        here,
    ).rowcount


def _rows(events: Iterable[Event]) -> Iterator[tuple[Any, ...]]:
    for n, event in enumerate(events):
        attributes = json.dumps(dict(event.attributes), allow_nan=False, ensure_ascii=False, default=str)
        yield event.activity, event.timestamp, event.resource, attributes, event.case_id, n
