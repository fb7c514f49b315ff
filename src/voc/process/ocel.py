"""OCEL 2.0 object-centric event logs (JSON, XML, SQLite), flattened: one object of a named type, one case."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # types alone; defusedxml parses

import polars as pl
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from voc.errors import LogError
from voc.process.xes import TABLE

_RESOURCE = ("resource", "org:resource", "user", "employee")  # OCEL names none; these are in use


@dataclass(slots=True)
class _Ocel:
    """What all three formats hold: objects by id with their type; events with the objects they touch."""

    types: dict[str, str] = field(default_factory=dict)
    events: list[tuple[str, str | None, dict[str, Any], list[str]]] = field(default_factory=list)


def read_ocel(
    data: bytes, form: str, *, file: str | None = None, object_type: str | None = None
) -> pl.DataFrame:
    """Read an OCEL 2.0 log and flatten it: each object of `object_type` is a case with its events.

    An event that touches several such objects is told once in each of their cases, so counts of events
    may exceed the log's; an event that touches none is left out.

    Raises
    ------
    LogError
        The file is broken, or `object_type` is missing or unknown (the message lists the types).
    """
    try:
        log = {"json": _from_json, "xml": _from_xml, "sqlite": _from_sqlite}[form](data)
    except (ParseError, DefusedXmlException, sqlite3.Error, KeyError, TypeError, ValueError) as error:
        raise LogError(
            f"is not OCEL 2.0 {form} ({type(error).__name__}: {error})", file=file, remedy="export it again"
        ) from error
    types = sorted(set(log.types.values()))
    if object_type is None and len(types) == 1:
        object_type = types[0]
    if object_type not in types:
        reason = "needs the type of object to follow" if object_type is None else f"has no '{object_type}'"
        raise LogError(
            f"{reason}; the types are {', '.join(types) or 'none'}",
            file=file,
            field="object type",
            remedy="name one with --object-type",
        )
    rows = [
        (object_id, activity, time, _resource(values, related, log), _json(values))
        for activity, time, values, related in log.events
        for object_id in dict.fromkeys(related)
        if log.types.get(object_id) == object_type
    ]
    if not rows:
        raise LogError(
            f"has no event that touches a '{object_type}'", file=file, remedy="choose another object type"
        )
    return pl.DataFrame(rows, schema=TABLE, orient="row")


def _resource(values: dict[str, Any], related: list[str], log: _Ocel) -> str | None:
    for key in _RESOURCE:
        if values.get(key) not in (None, ""):
            return str(values[key])
    of_people = (one for one in related if log.types.get(one, "").lower() in _RESOURCE)
    return next(of_people, None)


def _json(values: dict[str, Any]) -> str | None:
    return json.dumps(values, ensure_ascii=False, default=str) if values else None


def _from_json(data: bytes) -> _Ocel:
    document = json.loads(data)
    log = _Ocel({one["id"]: one["type"] for one in document["objects"]})
    for event in document["events"]:
        values = {one["name"]: one["value"] for one in event.get("attributes") or ()}
        related = [one["objectId"] for one in event.get("relationships") or ()]
        log.events.append((event["type"], event.get("time"), values, related))
    return log


def _from_xml(data: bytes) -> _Ocel:
    root: Element = fromstring(data, forbid_dtd=True)
    log = _Ocel({one.attrib["id"]: one.attrib["type"] for one in root.iterfind("./objects/object")})
    for event in root.iterfind("./events/event"):
        values = {one.attrib["name"]: one.text for one in event.iterfind("./attributes/attribute")}
        related = [
            one.get("object-id") or one.attrib["id"]
            for one in event.iterfind("./objects/*")
            if one.tag in ("relationship", "object")
        ]
        log.events.append((event.attrib["type"], event.get("time"), values, related))
    return log


def _from_sqlite(data: bytes) -> _Ocel:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.sqlite")
        path.write_bytes(data)
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return _from_tables(connection)
        finally:
            connection.close()


def _from_tables(connection: sqlite3.Connection) -> _Ocel:
    log = _Ocel(dict(connection.execute("SELECT ocel_id, ocel_type FROM object")))
    related: dict[str, list[str]] = {}
    for event_id, object_id in connection.execute("SELECT ocel_event_id, ocel_object_id FROM event_object"):
        related.setdefault(event_id, []).append(object_id)
    tables = list(connection.execute("SELECT ocel_type, ocel_type_map FROM event_map_type"))
    found: list[tuple[str, str, str | None, dict[str, Any]]] = []
    for activity, table in tables:
        for values in _rows(connection, f"event_{table}"):
            event_id, time = values.pop("ocel_id"), values.pop("ocel_time", None)
            known = {key: value for key, value in values.items() if value is not None}
            found.append((event_id, activity, time, known))
    # Tables stand by type, not by time: where times tie, the order of the table `event` counts.
    order = {one: at for at, (one,) in enumerate(connection.execute("SELECT ocel_id FROM event"))}
    for event_id, activity, time, values in sorted(found, key=lambda row: order.get(row[0], 0)):
        log.events.append((activity, time, values, related.get(event_id, [])))
    return log


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    name = table.replace('"', '""')
    cursor = connection.execute(f'SELECT * FROM "{name}"')  # noqa: S608  (a name can't be a parameter)
    columns = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(columns, row, strict=True))
