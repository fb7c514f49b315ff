"""Idempotency keys: a request sent again under the same key is answered from memory, not done again."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, text

from voc.errors import ConflictError


def once(
    conn: Connection, key: str | None, digest: bytes, work: Callable[[Connection], Mapping[str, Any]]
) -> tuple[dict[str, Any], bool]:
    """Do `work` in this transaction unless it was done under `key` before; its answer, and whether it was.

    Two requests of one key at the same time: the second waits for the first to commit.

    Parameters
    ----------
    key : None: nothing is remembered
    digest : 32 bytes that tell this request from another

    Raises
    ------
    ConflictError
        The key was used for another request.
    """
    if key is None:
        return dict(work(conn)), False
    new = conn.execute(
        text(
            "INSERT INTO idempotency_key (key, request_hash) VALUES (:key, :digest) "
            "ON CONFLICT (key) DO UPDATE SET request_hash = excluded.request_hash, response = NULL, "
            "created_at = now() WHERE idempotency_key.created_at < now() - interval '24 hours'"
        ),
        {"key": key, "digest": digest},
    ).rowcount
    if not new:
        row = conn.execute(
            text("SELECT request_hash, response FROM idempotency_key WHERE key = :key"), {"key": key}
        ).one()
        if bytes(row.request_hash) != digest:
            raise ConflictError(
                "was used for another request", field="Idempotency-Key", remedy="take a new key for each"
            )
        return dict(row.response), True
    answer = dict(work(conn))
    conn.execute(
        text("UPDATE idempotency_key SET response = CAST(:answer AS jsonb) WHERE key = :key"),
        {"key": key, "answer": json.dumps(answer)},
    )
    return answer, False


def forget_old_keys(conn: Connection) -> int:
    """Drop keys older than a day; returns how many."""
    return conn.execute(
        text("DELETE FROM idempotency_key WHERE created_at < now() - interval '24 hours'")
    ).rowcount
