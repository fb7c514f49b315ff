"""Aggregates: sentiment, signals and ratings over time and by group, answered from rollups.

What waits to be folded is read with the sums, so that figures are always those of the moment. Groups of
fewer than five customers are withheld.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from voc.errors import InputError
from voc.store.scores import find_model_id

INTERVALS: Final = ("hour", "day", "week", "month")
GROUPS: Final = ("source", "kind", "channel", "segment", "region", "step", "owner")
MIN_PEOPLE: Final = 5
_BITS: Final = {"source": 1, "kind": 1, "channel": 2, "segment": 4, "region": 8, "step": 16, "owner": 32}
_STORED: Final = (0, 1, 2, 4, 8, 15, 16, 31, 32, 47, 48, 63)  # `rollup_level`, the same at each level
_STORED_BY_DAY: Final = (*_STORED, 3, 5, 6, 9, 10, 12)

_SCORE_SUMS: Final = {
    "n": "p.sign",
    "sum_score": "p.sign * p.sentiment_score::double precision",
    "sum_squares": "p.sign * p.sentiment_score::double precision ^ 2",
    **{f"n_{s}": f"p.sign * (p.sentiment = '{s}')::int" for s in ("negative", "neutral", "positive")},
    "n_frustrated": "p.sign * p.frustrated::int",
}
_RATING_SUMS: Final = {
    "n_nps": "p.sign * (p.nps IS NOT NULL)::int",
    "n_promoters": "p.sign * coalesce(p.nps >= 9, false)::int",
    "n_detractors": "p.sign * coalesce(p.nps <= 6, false)::int",
    "n_csat": "p.sign * (p.csat IS NOT NULL)::int",
    "n_satisfied": "p.sign * coalesce(p.csat >= 4, false)::int",
    "sum_csat": "p.sign * coalesce(p.csat, 0)::double precision",
    "squares_csat": "p.sign * coalesce(p.csat, 0)::double precision ^ 2",
    "n_ces": "p.sign * (p.ces IS NOT NULL)::int",
    "sum_ces": "p.sign * coalesce(p.ces, 0)::double precision",
    "squares_ces": "p.sign * coalesce(p.ces, 0)::double precision ^ 2",
}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for.

    Parameters
    ----------
    interval : one of `INTERVALS` (weeks start on Monday, all in UTC); None: the whole span at once
    group_by, filters : names of `GROUPS`; a filter keeps the values listed
    start, end : of `occurred_at`, in whole hours: `start` is rounded down and `end` up
    """

    interval: str | None = None
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One group in one interval; `figures` is empty where there are too few customers to show any."""

    start: datetime | None  # UTC start of the interval; None without intervals
    group: Mapping[str, str | None]
    withheld: bool
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SourceAge:
    """How much there is of a source, and how fresh it is."""

    source: str
    kind: str
    n: int
    last_occurred_at: datetime | None
    last_ingested_at: datetime | None


def sentiment(conn: Connection, model: str, query: Query) -> list[Cell]:
    """Sums of what a model found, by interval and group, in their order.

    Counted are supported verbatims and conversations as wholes, never their turns: a long chat is one
    voice. Duplicates count once. The figures: `n`, `sum_score`, `sum_squares` (of the sentiment score),
    `n_negative`, `n_neutral`, `n_positive`, `n_frustrated`.

    Raises
    ------
    InputError
        An interval or group is not known.
    """
    return _read(conn, "rollup_score", _SCORE_SUMS, find_model_id(conn, model) or -1, query)


def ratings(conn: Connection, query: Query) -> list[Cell]:
    """Sums of what customers ticked: counts and sums of NPS, CSAT and CES (names of `_RATING_SUMS`).

    Raises
    ------
    InputError
        As `sentiment`.
    """
    return _read(conn, "rollup_rating", _RATING_SUMS, 0, query)


def signals(conn: Connection, model: str, query: Query) -> dict[tuple[Any, ...], dict[str, int]]:
    """How often each signal was raised: (start, *group values) -> signal -> n. Withhold what `sentiment`
    withholds.

    Raises
    ------
    InputError
        As `sentiment`.
    """
    plan = _plan(query)
    rows = conn.execute(
        text(
            f"""
            SELECT {plan.keys}, signal, sum(n)::bigint AS n FROM (
                SELECT {plan.stored_keys}, r.signal, r.n FROM rollup_signal r {plan.join.format("r")}
                WHERE r.model_id = :model_id AND {plan.stored}
                UNION ALL
                SELECT {plan.pending_keys}, signal, p.sign FROM rollup_pending p {plan.join.format("p")}
                CROSS JOIN unnest(p.flags) AS signal WHERE p.model_id = :model_id AND {plan.pending}
            ) x GROUP BY {plan.numbers}, signal ORDER BY {plan.numbers}, signal
            """  # noqa: S608
        ),
        {**plan.values, "model_id": find_model_id(conn, model) or -1},
    )
    found: dict[tuple[Any, ...], dict[str, int]] = {}
    for row in rows:
        found.setdefault(tuple(row[:-2]), {})[row.signal] = row.n
    return found


def _read(conn: Connection, table: str, sums: Mapping[str, str], model_id: int, query: Query) -> list[Cell]:
    plan = _plan(query)
    stored_sums = ", ".join(f"r.{name}" for name in sums)
    rows = conn.execute(
        text(
            f"""
            SELECT {plan.keys}, {", ".join(f"sum({name}) AS {name}" for name in sums)},
                cardinality(voc_people(people)) AS n_people
            FROM (
                SELECT {plan.stored_keys}, {stored_sums}, r.people FROM {table} r {plan.join.format("r")}
                WHERE r.model_id = :model_id AND {plan.stored}
                UNION ALL
                SELECT {plan.pending_keys}, {", ".join(sums.values())},
                    CASE WHEN p.sign = 1 THEN ARRAY[p.person] ELSE '{{}}' END
                FROM rollup_pending p {plan.join.format("p")}
                WHERE p.model_id = :model_id AND {plan.pending}
            ) x GROUP BY {plan.numbers} ORDER BY {plan.numbers}
            """  # noqa: S608
        ),
        {**plan.values, "model_id": model_id},
    ).mappings()
    return [_cell(row, query, sums) for row in rows if any(row[name] for name in sums)]


def _cell(row: RowMapping, query: Query, sums: Mapping[str, str]) -> Cell:
    group = {name: row[name] for name in dict.fromkeys(query.group_by)}
    if row["n_people"] < MIN_PEOPLE:
        return Cell(row["start"], group, True, {})
    return Cell(row["start"], group, False, {name: float(row[name]) for name in sums})


@dataclass(frozen=True, slots=True)
class _Plan:
    """The parts of a query over rollups and what waits; names are ours, values are bound."""

    keys: str
    numbers: str  # the keys' positions, for GROUP BY
    stored_keys: str
    pending_keys: str
    join: str
    stored: str
    pending: str
    values: dict[str, Any]


def _plan(query: Query) -> _Plan:
    _check(query)
    groups = tuple(dict.fromkeys(query.group_by))
    used = {*groups, *query.filters}
    needed = 0
    for name in used:
        needed |= _BITS[name]
    values: dict[str, Any] = {f"filter_{name}": list(v) for name, v in query.filters.items()}
    ranges = []
    for i, (level, start, end) in enumerate(_pieces(query)):
        values |= {f"level{i}": level, f"dims{i}": _mask(level, needed), f"start{i}": start, f"end{i}": end}
        limits = f"r.level = :level{i} AND r.dims = :dims{i}"
        limits += f" AND r.bucket >= :start{i}" if start else ""
        limits += f" AND r.bucket < :end{i}" if end else ""
        ranges.append(f"({limits})")
    stored = f"({' OR '.join(ranges)})" + _filters(query, "r")
    pending = "true" + _filters(query, "p")
    if query.start:
        pending += " AND p.occurred_at >= :from_hour"
        values["from_hour"] = _floor(query.start, "hour")
    if query.end:
        pending += " AND p.occurred_at < :to_hour"
        values["to_hour"] = _ceil(query.end, "hour")
    if needed & 48:  # of steps and owners nothing waits: they are renewed with the links
        pending = "false"
    bucket = "date_trunc('{0}', {1}, 'UTC')" if query.interval else "NULL::timestamptz"
    return _Plan(
        keys=", ".join(["start", *groups]),
        numbers=", ".join(str(i + 1) for i in range(len(groups) + 1)),
        stored_keys=", ".join([f"{bucket.format(query.interval, 'r.bucket')} AS start", *_keys(groups, "r")]),
        pending_keys=", ".join([bucket.format(query.interval, "p.occurred_at"), *_keys(groups, "p")]),
        join="JOIN source s ON s.name = {}.source" if "kind" in used else "",
        stored=stored,
        pending=pending,
        values=values,
    )


def _check(query: Query) -> None:
    if query.interval is not None and query.interval not in INTERVALS:
        raise InputError(
            f"'{query.interval}' is no interval",
            field="interval",
            remedy=f"choose one of {', '.join(INTERVALS)}",
        )
    used = (*query.group_by, *query.filters)
    for name in used:
        if name not in GROUPS:
            raise InputError(f"'{name}' is no group", remedy=f"choose among {', '.join(GROUPS)}")


def _keys(groups: Sequence[str], table: str) -> list[str]:
    # Of steps and owners nothing waits: the pending table has no such columns, and gives no rows.
    return [
        "s.kind" if name == "kind"
        else f"NULL::text AS {name}" if table == "p" and name in ("step", "owner")
        else f"nullif({table}.{name}, '') AS {name}"
        for name in groups
    ]  # fmt: skip


def _filters(query: Query, table: str) -> str:
    columns = {name: "s.kind" if name == "kind" else f"{table}.{name}" for name in query.filters}
    if table == "p":
        columns = {name: column for name, column in columns.items() if name not in ("step", "owner")}
    return "".join(f" AND {column} = ANY(:filter_{name})" for name, column in columns.items())


def _mask(level: str, needed: int) -> int:
    """The stored combination of dimensions with the fewest beyond those needed."""
    stored = _STORED_BY_DAY if level == "day" else _STORED
    return min((mask for mask in stored if mask & needed == needed), key=lambda mask: mask.bit_count())


def _pieces(query: Query) -> list[tuple[str, datetime | None, datetime | None]]:
    """The span as whole months, days and hours, as coarse as the interval allows: few sums to read."""
    finest = ("hour",)
    levels = {"hour": finest, "day": ("day", *finest), "week": ("day", *finest)}.get(
        query.interval or "", ("month", "day", *finest)
    )
    start = _floor(query.start, "hour") if query.start else None
    end = _ceil(query.end, "hour") if query.end else None
    return _cover(start, end, levels)


def _cover(
    start: datetime | None, end: datetime | None, levels: tuple[str, ...]
) -> list[tuple[str, datetime | None, datetime | None]]:
    level, finer = levels[0], levels[1:]
    first = _ceil(start, level) if start else None
    last = _floor(end, level) if end else None
    if not finer:
        return [(level, start, end)]
    if first and last and first >= last:
        return _cover(start, end, finer)
    parts: list[tuple[str, datetime | None, datetime | None]] = [(level, first, last)]
    if start and first and start < first:
        parts += _cover(start, first, finer)
    if end and last and last < end:
        parts += _cover(last, end, finer)
    return parts


def _floor(time: datetime, level: str) -> datetime:
    time = time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if level != "hour":
        time = time.replace(hour=0)
    return time.replace(day=1) if level == "month" else time


def _ceil(time: datetime, level: str) -> datetime:
    low = _floor(time, level)
    if low == time:
        return low
    if level == "month":
        return _floor(low + timedelta(days=31), "month")
    return low + (timedelta(hours=1) if level == "hour" else timedelta(days=1))


def source_ages(conn: Connection) -> list[SourceAge]:
    """Each source with its last ingest, by name; a source without feedback has n 0."""
    rows = conn.execute(
        text(
            "SELECT s.name, s.kind, count(f.id), max(f.occurred_at), max(f.created_at) FROM source s "
            "LEFT JOIN feedback f ON f.source = s.name GROUP BY s.name, s.kind ORDER BY s.name"
        )
    )
    return [SourceAge(*row) for row in rows]


def last_ingests(conn: Connection) -> dict[str, datetime | None]:
    """When feedback of each source last came in; None where none has."""
    rows = conn.execute(
        text(
            "SELECT s.name, (SELECT max(f.created_at) FROM feedback f WHERE f.source = s.name) AS at "
            "FROM source s ORDER BY s.name"
        )
    )
    return {row.name: row.at for row in rows}
