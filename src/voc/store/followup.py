"""What people do about a root cause: comments, a day it is due, and causes that nobody owns."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, func, select, update

from voc.errors import StoreError
from voc.store.rootcauses import lock_root_cause, note_history
from voc.store.tables import root_cause


@dataclass(frozen=True, slots=True)
class OwnershipGap:
    """A step with current, reported root causes that are not rejected, and nobody to own them."""

    process: str
    step: str
    n_root_causes: int


def add_comment(conn: Connection, number: int, comment: str, *, who: str) -> None:
    """Write a comment into a root cause's history, where it stays.

    Raises
    ------
    StoreError
        The comment is empty, or there is no such root cause.
    """
    if not comment.strip():
        raise StoreError("the comment is empty; say what you found")
    lock_root_cause(conn, number)
    note_history(conn, number, who, "comment", {}, comment.strip())


def set_due(conn: Connection, number: int, due_on: date | None, *, who: str, note: str | None = None) -> None:
    """Set the day by which a root cause is to be dealt with; None takes it away."""
    before = lock_root_cause(conn, number)["due_on"]
    if before == due_on:
        return
    conn.execute(update(root_cause).where(root_cause.c.id == number).values(due_on=due_on))
    days = tuple(day and day.isoformat() for day in (before, due_on))
    note_history(conn, number, who, "due", {"due_on": (days[0], days[1])}, note)


def list_ownership_gaps(conn: Connection) -> list[OwnershipGap]:
    """Steps whose root causes nobody owns, most root causes first."""
    table = root_cause.c
    count = func.count().label("n")
    query = (
        select(table.process, table.step, count)
        .where(table.owner.is_(None), table.reported, table.is_current, table.status != "rejected")
        .group_by(table.process, table.step)
        .order_by(count.desc(), table.process, table.step)
    )
    return [OwnershipGap(*row) for row in conn.execute(query)]
