"""The tables of the work on root causes: computations, pilots, and what people said of changes."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from voc.store.tables import Time, metadata


def _need(name: str, kind: Any, *parts: Any) -> Column[Any]:
    return Column(name, kind, *parts, nullable=False)


def _id() -> Column[Any]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _now(name: str) -> Column[Any]:
    return Column(name, Time, nullable=False, server_default=text("now()"))


change_history = Table(
    "change_history",
    metadata,
    _id(),
    _need("change_id", Text, ForeignKey("change.id")),
    _now("at"),
    _need("who", Text),
    _need("external_before", Boolean),
    _need("external_after", Boolean),
    Column("note", Text),
    Index("change_history_change_id_idx", "change_id", "id"),
)

root_cause_run = Table(
    "root_cause_run",
    metadata,
    _id(),
    _need("process", Text),
    _now("at"),
    _need("inputs", LargeBinary),
    _need("result", JSONB),
    Index("root_cause_run_process_idx", "process", "id"),
)

pilot = Table(
    "pilot",
    metadata,
    Column("id", Text, primary_key=True),
    Column("root_cause_id", BigInteger, ForeignKey("root_cause.id")),
    _need("plan", JSONB),
    _need("who", Text),
    _now("planned_at"),
    Index("pilot_root_cause_id_idx", "root_cause_id"),
)

pilot_look = Table(
    "pilot_look",
    metadata,
    _id(),
    _need("pilot_id", Text, ForeignKey("pilot.id")),
    _now("at"),
    _need("verdict", Text),
    _need("result", JSONB),
    _need("rollback", Boolean),
    Index("pilot_look_pilot_id_idx", "pilot_id", "id"),
)
