"""XES (IEEE 1849) event logs: a stream of XML in, a table of events out."""

import io
import json
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # types alone; defusedxml parses

import polars as pl
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from voc.errors import LogError

TABLE = dict.fromkeys(("case_id", "activity", "timestamp", "resource", "attributes"), pl.String())
_VALUES = {"string", "date", "int", "float", "boolean", "id"}
_OWN_COLUMNS = {"concept:name", "time:timestamp", "org:resource"}


def read_xes(data: bytes, *, file: str | None = None) -> pl.DataFrame:
    """Read an XES log: one row an event, in file order.

    The case id is the trace's `concept:name`; further attributes of an event are JSON in `attributes`,
    those of its trace stand under `"case"` at the first event. Entities are refused.

    Raises
    ------
    LogError
        The XML is broken, a trace or an event has no `concept:name`.
    """
    rows: list[tuple[str | None, ...]] = []
    n_traces = 0
    try:
        for _, node in iterparse(io.BytesIO(data), forbid_dtd=True):
            if _tag(node) == "trace":
                n_traces += 1
                rows.extend(_trace_rows(node, n_traces, len(rows), file))
                node.clear()
    except ParseError as error:
        raise LogError(
            f"is not well-formed XML ({error})", file=file, remedy="export the log again"
        ) from error
    except DefusedXmlException as error:
        raise LogError(
            "declares XML entities or a DTD, which a log does not need",
            file=file,
            remedy="export it as plain XES",
        ) from error
    if not rows:
        raise LogError("holds no trace with an event", file=file, remedy="check that it is an XES log")
    return pl.DataFrame(rows, schema=TABLE, orient="row")


def _trace_rows(
    trace: Element, n_trace: int, n_before: int, file: str | None
) -> list[tuple[str | None, ...]]:
    case = _attributes(trace)
    case_id = case.pop("concept:name", None)
    if case_id is None or not str(case_id).strip():
        raise LogError(
            f"trace {n_trace} has no case id",
            file=file,
            field="concept:name",
            remedy="give each trace a concept:name",
        )
    rows: list[tuple[str | None, ...]] = []
    for event in (child for child in trace if _tag(child) == "event"):
        values = _attributes(event)
        activity = values.get("concept:name")
        if activity is None or not str(activity).strip():
            raise LogError(
                "the event has no activity",
                file=file,
                row=n_before + len(rows) + 1,
                field="concept:name",
                remedy="give each event a concept:name",
            )
        more = {key: value for key, value in values.items() if key not in _OWN_COLUMNS}
        if case and not rows:
            more["case"] = case
        time, resource = values.get("time:timestamp"), values.get("org:resource")
        rows.append(
            (
                str(case_id),
                str(activity),
                None if time is None else str(time),
                None if resource is None else str(resource),
                json.dumps(more, ensure_ascii=False) if more else None,
            )
        )
    return rows


def _attributes(node: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in node:
        kind, key = _tag(child), child.get("key")
        if kind in _VALUES and key is not None:
            found[key] = _typed(kind, child.get("value", ""))
    return found


def _typed(kind: str, value: str) -> Any:
    try:
        if kind == "int":
            return int(value)
        if kind == "float":
            return float(value)
    except ValueError:
        return value
    return value.lower() == "true" if kind == "boolean" else value


def _tag(node: Element) -> str:
    return str(node.tag).rpartition("}")[2]
