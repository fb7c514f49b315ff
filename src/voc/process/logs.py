"""Event logs: CSV, JSON Lines, Parquet, XES or OCEL in, one ordered table of events out."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from voc.columns import likelier_separator, listed, separator_remedy
from voc.errors import InputError, LogError
from voc.files import refuse_utf16, tell_format, unopened
from voc.process.log_times import TIME, parse_times
from voc.process.ocel import read_ocel
from voc.process.xes import read_xes
from voc.records import Event
from voc.row_readers import parse_table

SCHEMA: Final[dict[str, pl.DataType]] = {
    "case_id": pl.String(),
    "activity": pl.String(),
    "timestamp": TIME,
    "resource": pl.String(),
    "attributes": pl.String(),
    "position": pl.Int64(),
}
# Column names that other tools write (PM4Py, Disco, Celonis): taken where ours is absent.
ALIASES = {
    "case:concept:name": "case_id",
    "case id": "case_id",
    "concept:name": "activity",
    "time:timestamp": "timestamp",
    "complete timestamp": "timestamp",
    "org:resource": "resource",
}


@dataclass(frozen=True, slots=True)
class EventLog:
    """A log ready to be checked.

    `events` has the columns of `SCHEMA`: cases in order of first appearance, events of a case by time,
    then by order in the file; `position` counts from 0 within the case. `n_duplicates` exact repeats
    (same case, activity, time, resource and attributes) were left out; `n_moved` events changed
    their place within the case.
    """

    events: pl.DataFrame
    n_duplicates: int
    n_moved: int

    @property
    def n_cases(self) -> int:
        """How many cases have at least one event."""
        return self.events["case_id"].n_unique()

    @property
    def has_times(self) -> bool:
        """Whether events have times; if not, the order of the file counts."""
        return self.events["timestamp"].null_count() < self.events.height


def read_log(
    source: str | Path | bytes,
    *,
    object_type: str | None = None,
    name: str | None = None,
    now: datetime | None = None,
) -> EventLog:
    """Read an event log.

    Parameters
    ----------
    source : path, or the bytes of a file
        CSV, JSON Lines, Parquet, XES, OCEL 2.0 (JSON, XML, SQLite); gzipped or not. The format is told
        from the first bytes.
    object_type : for OCEL, the type of object whose instances are the cases
    name : what to call the source in messages
    now : a time more than a day after this is an error

    Raises
    ------
    LogError
        A column is missing, a case id, activity or time cannot be read, or the file is empty.
    UsageError
        The file cannot be opened.
    """
    name = name or ("-" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else _read_bytes(source, name)
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise LogError("is not a whole gzip file", file=name, remedy="fetch it again") from error
    if not data.strip():
        raise LogError("is empty", file=name, remedy="give a log with a header and at least one event")
    return order_events(_parse(data, name, object_type), file=name, now=now)


def _read_bytes(source: str | Path, name: str) -> bytes:
    try:
        return Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise unopened(name, error) from error


def _parse(data: bytes, name: str, object_type: str | None) -> pl.DataFrame:
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[:4] == b"PAR1":
        kind = "parquet"
    elif data[:15] == b"SQLite format 3":
        return read_ocel(data, "sqlite", file=name, object_type=object_type)
    elif head[:1] == b"<":
        if b"<object-types" in data or b"<event-types" in data:
            return read_ocel(data, "xml", file=name, object_type=object_type)
        return read_xes(data, file=name)
    elif head[:1] == b"{" and b'"objectTypes"' in data:
        return read_ocel(data, "json", file=name, object_type=object_type)
    else:
        kind = "jsonl" if head[:1] == b"{" else "csv"
    try:
        refuse_utf16(name, data[:2])
        if data[:4] == b"PK\x03\x04":
            tell_format(name, data[:4])  # refuses a spreadsheet
        return parse_table(data, kind, path=name)
    except InputError as error:
        raise LogError(
            error.reason, file=name, row=error.row, field=error.field, remedy=error.remedy
        ) from error


def order_events(table: pl.DataFrame, *, file: str | None = None, now: datetime | None = None) -> EventLog:
    """Check a table of events, drop exact repeats and put each case in order.

    `table` has `case_id`, `activity` and, where known, `timestamp`, `resource`, `attributes`; other
    columns are left out. Raises `LogError` as `read_log` does.
    """
    table = _rename(table, file)
    if table.height == 0:
        raise LogError("has a header but no events", file=file, remedy="give at least one event")
    for field in ("case_id", "activity"):
        blank = (table[field].is_null() | (table[field].str.strip_chars() == "")).arg_true()
        if blank.len():
            raise LogError("is empty", file=file, row=int(blank[0]) + 1, field=field, remedy="fill it in")
    times = parse_times(table["timestamp"], file=file, now=now or datetime.now(UTC))
    rows = table.with_columns(times).with_row_index("row")
    identity = ["case_id", "activity", "timestamp", "resource"]
    if times.null_count() < times.len() and rows.select(identity).is_duplicated().any():
        # Without times two equal rows are two events; with them, one event delivered twice. Attributes
        # are long: they are looked at only where all else is equal.
        rows = rows.unique([*identity, "attributes"], keep="first", maintain_order=True)
    n_duplicates = table.height - rows.height
    rows = rows.with_columns(first=pl.col("row").min().over("case_id"))
    in_file = rows.sort("first", maintain_order=True)
    rows = in_file.sort("first", "timestamp", "row")
    n_moved = int((in_file["row"] != rows["row"]).sum())
    at = pl.int_range(pl.len(), dtype=pl.Int64)
    start = pl.when(pl.col("first").ne_missing(pl.col("first").shift(1))).then(at).forward_fill()
    return EventLog(rows.with_columns(position=at - start).select(*SCHEMA), n_duplicates, n_moved)


def _rename(table: pl.DataFrame, file: str | None) -> pl.DataFrame:
    known = {
        column: ALIASES[column.strip().lower()]
        for column in table.columns
        if column.strip().lower() in ALIASES and ALIASES[column.strip().lower()] not in table.columns
    }
    table = table.rename(known)
    for field, remedy in (
        ("case_id", "name the column that tells cases apart case_id"),
        ("activity", "name the column that says what happened activity"),
    ):
        if field not in table.columns:
            sign = likelier_separator(table.columns, ",")
            raise LogError(
                f"column is missing; the columns are {listed(table.columns)}",
                file=file,
                field=field,
                remedy=separator_remedy(sign) if sign else remedy,
            )
    for field in ("timestamp", "resource", "attributes"):
        if field not in table.columns:
            table = table.with_columns(pl.lit(None, pl.String).alias(field))
    attributes = pl.col("attributes")
    if isinstance(table.schema["attributes"], pl.Struct):
        attributes = attributes.struct.json_encode()
    resource = pl.col("resource").cast(pl.String).str.strip_chars()
    return table.select(
        pl.col("case_id").cast(pl.String),
        pl.col("activity").cast(pl.String),
        "timestamp",
        pl.when(resource != "").then(resource).alias("resource"),
        attributes.cast(pl.String),
    )


def log_of(events: Iterable[Event]) -> EventLog:
    """The log of events that are already records, in the order given."""
    rows = [
        (
            event.case_id,
            event.activity,
            event.timestamp,
            event.resource,
            json.dumps(dict(event.attributes), sort_keys=True, default=str) if event.attributes else None,
        )
        for event in events
    ]
    table = pl.DataFrame(
        rows, schema={name: kind for name, kind in SCHEMA.items() if name != "position"}, orient="row"
    )
    return order_events(table)
