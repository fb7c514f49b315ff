"""Sentiment over a change of model: each interval by the model that covers it, and where the seams are."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import Connection, text

from voc.store.aggregates import Cell, Query, sentiment


@dataclass(frozen=True, slots=True)
class Seam:
    """From `at` on (UTC start of an interval), figures come from another model than before."""

    at: datetime
    before: str
    after: str


def list_scoring_models(conn: Connection) -> list[str]:
    """Models that scored something, as "name/version", the one that scored last first."""
    return list(
        conn.execute(
            text(
                "SELECT m.name || '/' || m.version FROM model m, LATERAL (SELECT max(scored_at) AS at "
                "FROM score WHERE model_id = m.id) s WHERE s.at IS NOT NULL ORDER BY s.at DESC, m.id DESC"
            )
        ).scalars()
    )


def sentiment_by_model(conn: Connection, query: Query) -> list[tuple[str, Cell]]:
    """Sums as `aggregates.sentiment` gives them, each with the model that they come from.

    The newest model's figures are given wherever there are any. An older one's are given beside or
    instead of them only where it scored more than the newer ones did, that is where history was not
    scored anew (`voc rescore`): nothing that was ever scored disappears when a model is replaced.
    """
    found: list[tuple[str, Cell]] = []
    covered: dict[tuple[object, ...], float] = {}
    for model in list_scoring_models(conn):
        for cell in sentiment(conn, model, query):
            key = (cell.start, *cell.group.values())
            n = cell.figures.get("n", 0)  # 0 where it is withheld
            if key not in covered or n > covered[key]:
                covered[key] = n
                found.append((model, cell))
    return sorted(found, key=lambda pair: _order(pair[1]))


def find_seams(points: list[tuple[str, Cell]]) -> list[Seam]:
    """Where the model changes from one interval to the next; none where no intervals were asked for."""
    most: dict[datetime, dict[str, float]] = {}
    for model, cell in points:
        if cell.start is not None:
            counts = most.setdefault(cell.start, {})
            counts[model] = counts.get(model, 0) + cell.figures.get("n", 0)
    leading = [(start, max(counts, key=lambda m: counts[m])) for start, counts in sorted(most.items())]
    return [Seam(at, before, after) for (_, before), (at, after) in pairwise(leading) if before != after]


def _order(cell: Cell) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, str(value)) for value in (cell.start, *cell.group.values()))
