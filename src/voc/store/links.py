"""Links in the database: which feedback speaks about which case of which process map."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text

from voc.errors import InputError
from voc.records import Link
from voc.store.copying import stage
from voc.store.rollups import renew_step_rollups

LINKS_SCHEMA: Final[dict[str, Any]] = {
    "map_id": pl.Int32,
    "feedback_id": pl.Int64,
    "case_id": pl.String,
    "basis": pl.String,
    "confidence": pl.Float64,
}


def replace_links(conn: Connection, map_ids: Sequence[int], links: Iterable[Link]) -> int:
    """Make the links to these maps' cases be these; returns how many there are now.

    A link names its case by id; where several of the maps have a case of that id, it ties to each.

    Raises
    ------
    InputError
        A link names a case that none of the maps has, or feedback that is not stored.
    """
    here = {"map_ids": list(map_ids)}
    rows = ((link.feedback_id, link.basis, link.confidence, link.case_id) for link in links)
    stage(conn, "link", ["feedback_id", "basis", "confidence"], rows, extra={"case_id": "text"})
    lost = conn.execute(
        text(
            """
            SELECT count(*) FROM staged_link s WHERE NOT EXISTS (
                SELECT 1 FROM process_case c WHERE c.case_id = s.case_id AND c.map_id = ANY(:map_ids))
            OR NOT EXISTS (SELECT 1 FROM feedback f WHERE f.id = s.feedback_id)
            """
        ),
        here,
    ).scalar_one()
    if lost:
        raise InputError(
            f"{lost} links name a case or feedback that is not stored",
            file="links",
            remedy="store the cases and the feedback first",
        )
    conn.execute(
        text("DELETE FROM link l USING process_case c WHERE l.case_pk = c.id AND c.map_id = ANY(:map_ids)"),
        here,
    )
    n_links = conn.execute(
        text(
            """
            INSERT INTO link (feedback_id, case_pk, basis, confidence)
            SELECT DISTINCT ON (s.feedback_id, c.id) s.feedback_id, c.id, s.basis, s.confidence
            FROM staged_link s JOIN process_case c ON c.case_id = s.case_id AND c.map_id = ANY(:map_ids)
            ORDER BY s.feedback_id, c.id, s.confidence DESC
            """
        ),
        here,
    ).rowcount
    renew_step_rollups(conn)
    return n_links


def read_links(conn: Connection, map_ids: Sequence[int]) -> pl.DataFrame:
    """Links to the cases of some maps; the columns of `LINKS_SCHEMA`."""
    rows = conn.execute(
        text(
            "SELECT c.map_id, l.feedback_id, c.case_id, l.basis, l.confidence FROM link l "
            "JOIN process_case c ON c.id = l.case_pk WHERE c.map_id = ANY(:map_ids) "
            "ORDER BY l.feedback_id, c.id"
        ),
        {"map_ids": list(map_ids)},
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=LINKS_SCHEMA, orient="row")
