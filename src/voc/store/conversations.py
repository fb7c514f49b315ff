"""Conversations that are still going on: their turns in order, and the whole beside them."""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, text

from voc.records import Feedback
from voc.store.feedback import get_feedback, insert_feedback, text_hash

CHANNEL = "voc_conversation"  # of LISTEN and NOTIFY


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn with its number in the database."""

    id: int
    feedback: Feedback


def lock_conversation(conn: Connection, source: str, conversation: str) -> None:
    """Let no one else write to this conversation until the transaction ends."""
    conn.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:source || ' ' || :conversation, 7))"),
        {"source": source, "conversation": conversation},
    )


def read_turns(conn: Connection, source: str, conversation: str) -> list[StoredTurn]:
    """A conversation's turns by index; two of one index in the order in which they came."""
    ids = conn.execute(
        text(
            "SELECT id FROM feedback WHERE conversation_id = :conversation AND source = :source "
            "AND turn_index IS NOT NULL ORDER BY turn_index, id"
        ),
        {"source": source, "conversation": conversation},
    ).scalars()
    numbers = list(ids)
    found = get_feedback(conn, numbers)
    return [StoredTurn(number, found[number]) for number in numbers]


def put_whole(conn: Connection, whole: Feedback) -> int:
    """Store a conversation as a whole, or give the stored one these words; returns its number.

    Where the words change, its scores are dropped: they are of what was said before.
    """
    key = {"source": whole.source, "external_id": whole.external_id}
    row = conn.execute(
        text("SELECT id, text FROM feedback WHERE source = :source AND external_id = :external_id"), key
    ).one_or_none()
    if row is None:
        insert_feedback(conn, [whole])
        return int(
            conn.execute(
                text("SELECT id FROM feedback WHERE source = :source AND external_id = :external_id"), key
            ).scalar_one()
        )
    if row.text != whole.text:
        conn.execute(
            text(
                "UPDATE feedback SET text = :text, text_hash = :hash, language = :language, "
                "meta = CAST(:meta AS jsonb) WHERE id = :id"
            ),
            {"id": row.id, "text": whole.text, "hash": text_hash(whole.text), "language": whole.language,
             "meta": json.dumps(dict(whole.meta), default=str)},
        )  # fmt: skip
        conn.execute(text("DELETE FROM score WHERE feedback_id = :id"), {"id": row.id})
    return int(row.id)


def announce(conn: Connection, source: str, conversation: str) -> None:
    """Tell every process that listens, once this is committed, that a conversation moved."""
    conn.execute(
        text("SELECT pg_notify(:channel, :what)"),
        {"channel": CHANNEL, "what": json.dumps([source, conversation])},
    )
