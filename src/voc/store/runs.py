"""Computations of root causes on record: from what, with what result; so that the same isn't done twice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Run:
    """One computation over a process: `inputs` is a hash of all that was tested, and how."""

    at: datetime
    inputs: bytes
    result: Mapping[str, Any]


def save_run(conn: Connection, process: str, inputs: bytes, result: Mapping[str, Any]) -> None:
    """Keep a computation; `process` without its version, `inputs` of 32 bytes."""
    conn.execute(
        text("INSERT INTO root_cause_run (process, inputs, result) VALUES (:process, :inputs, :result)"),
        {"process": process, "inputs": inputs, "result": json.dumps(dict(result), allow_nan=False)},
    )


def find_last_run(conn: Connection, process: str) -> Run | None:
    """The latest computation over a process, or None."""
    row = conn.execute(
        text(
            "SELECT at, inputs, result FROM root_cause_run WHERE process = :process ORDER BY id DESC LIMIT 1"
        ),
        {"process": process},
    ).one_or_none()
    return None if row is None else Run(row.at, bytes(row.inputs), row.result)
