"""Changes (deployments, policies, campaigns, outages) read from a file."""

from datetime import datetime

import polars as pl

from voc.errors import InputError
from voc.files import read_table
from voc.records import Change
from voc.rootcause.times import to_utc

SCOPE = ("app", "segment", "region", "channel", "version")


def read_changes(path: str) -> list[Change]:
    """Changes of a file (CSV, JSON Lines or Parquet) with id, timestamp, title and, where known, ended_at,
    kind, external, and who had the change: any of the columns of `SCOPE`.

    Raises
    ------
    InputError
        A column is missing, an id is empty, a time cannot be read, or an end is before
        its start; with the row.
    """
    table = read_table(path, required=["id", "timestamp"])
    started = to_utc(table["timestamp"], file=path).to_list()
    ended: list[datetime | None] = [None] * len(table)
    if "ended_at" in table.columns:
        ended = to_utc(table["ended_at"], file=path, required=False).to_list()
    found = []
    for i, row in enumerate(table.with_columns(pl.col("id").cast(pl.String)).iter_rows(named=True)):
        if not row["id"]:
            raise InputError("is empty", file=path, row=i + 1, field="id", remedy="give each change an id")
        if ended[i] is not None and ended[i] < started[i]:
            raise InputError(
                "is before the change's timestamp", file=path, row=i + 1, field="ended_at", remedy="swap them"
            )
        found.append(
            Change(
                id=row["id"],
                title=row.get("title") or "",
                started_at=started[i],
                ended_at=ended[i],
                kind=row.get("kind") or "deployment",
                scope={key: str(row[key]).strip() for key in SCOPE if row.get(key) not in (None, "")},
                external=str(row.get("external") or "").strip().lower() in ("true", "1", "yes"),
            )
        )
    return found
