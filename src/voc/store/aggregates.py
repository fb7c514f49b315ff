"""Aggregates: sentiment over time and by group, with small groups withheld, and the age of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from voc.errors import StoreError
from voc.store.feedback import CUSTOMER_SPOKE
from voc.store.scores import find_model_id

INTERVALS: Final = ("hour", "day", "week", "month")
GROUPS: Final = ("source", "kind", "channel", "segment", "region")
MIN_PEOPLE: Final = 5


@dataclass(frozen=True, slots=True)
class Sentiment:
    """Sentiment of one group in one interval; in a withheld group all figures are None.

    `n` is feedback scored and supported, duplicates counted once, as `n_duplicates` beside it tells.
    `n_people` is customers; where they are not known, conversations; where there are none, feedback.
    Shares are the counts over `n` (Wilson interval); `mean` in [-1, 1] has `sd` / sqrt(n) as its error.
    """

    start: datetime | None  # UTC start of the interval; None without intervals
    group: Mapping[str, str | None]
    withheld: bool
    n: int | None = None
    n_people: int | None = None
    n_duplicates: int | None = None
    mean: float | None = None
    sd: float | None = None  # of the sample; None for one feedback
    n_negative: int | None = None
    n_neutral: int | None = None
    n_positive: int | None = None
    n_frustrated: int | None = None


@dataclass(frozen=True, slots=True)
class SourceAge:
    """How much there is of a source, and how fresh it is."""

    source: str
    kind: str
    n: int
    last_occurred_at: datetime | None
    last_ingested_at: datetime | None


def sentiment(
    conn: Connection,
    model: str,
    *,
    interval: str | None = None,
    group_by: Sequence[str] = (),
    start: datetime | None = None,
    end: datetime | None = None,
    filters: Mapping[str, Sequence[str]] | None = None,
    min_people: int = MIN_PEOPLE,
) -> list[Sentiment]:
    """Sentiment that a model found, by interval and group, in their order.

    Counted are verbatims and conversations as wholes, never their turns: a long chat is one voice.

    Parameters
    ----------
    interval : one of `INTERVALS` (weeks start on Monday, all in UTC); None: the whole span at once
    group_by, filters : names of `GROUPS`; a filter keeps the values listed
    start, end : of `occurred_at`; `end` itself is left out
    min_people : groups of fewer are withheld

    Raises
    ------
    StoreError
        An interval or group is not known.
    """
    if interval is not None and interval not in INTERVALS:
        raise StoreError(f"'{interval}' is no interval; choose one of {', '.join(INTERVALS)}")
    chosen = dict(filters or {})
    for name in (*group_by, *chosen):
        if name not in GROUPS:
            raise StoreError(f"'{name}' is no group; choose among {', '.join(GROUPS)}")
    # Names below are of INTERVALS and GROUPS, values are bound.
    bucket = f"date_trunc('{interval}', f.occurred_at, 'UTC')" if interval else "NULL::timestamptz"
    keys = [bucket, *(f"f.{name}" for name in dict.fromkeys(group_by))]
    where = "".join(f" AND f.{name} = ANY(:filter_{name})" for name in chosen)
    rows = conn.execute(
        text(
            f"""
            SELECT {", ".join(keys)},
                count(*) AS n,
                count(DISTINCT coalesce(
                    'customer ' || f.customer_ref, 'conversation ' || f.conversation_id, 'feedback ' || f.id
                )) AS n_people,
                sum(f.n_duplicates) AS n_duplicates,
                avg(s.sentiment_score) AS mean,
                stddev_samp(s.sentiment_score) AS sd,
                count(*) FILTER (WHERE s.sentiment = 'negative') AS n_negative,
                count(*) FILTER (WHERE s.sentiment = 'neutral') AS n_neutral,
                count(*) FILTER (WHERE s.sentiment = 'positive') AS n_positive,
                count(*) FILTER (WHERE s.frustration_flag) AS n_frustrated
            FROM feedback f JOIN score s ON s.feedback_id = f.id AND s.model_id = :model_id
            WHERE s.supported AND f.duplicate_of IS NULL AND f.turn_index IS NULL AND {CUSTOMER_SPOKE}
                AND (CAST(:start AS timestamptz) IS NULL OR f.occurred_at >= :start)
                AND (CAST(:end AS timestamptz) IS NULL OR f.occurred_at < :end){where}
            GROUP BY {", ".join(map(str, range(1, len(keys) + 1)))}
            ORDER BY {", ".join(map(str, range(1, len(keys) + 1)))}
            """  # noqa: S608
        ),
        {
            "model_id": find_model_id(conn, model) or 0,
            "start": start,
            "end": end,
            **{f"filter_{name}": list(values) for name, values in chosen.items()},
        },
    )
    groups = tuple(dict.fromkeys(group_by))
    found = []
    for row in rows:
        group = dict(zip(groups, row[1 : len(keys)], strict=True))
        n, n_people, *figures = row[len(keys) :]
        if n_people < min_people:
            found.append(Sentiment(row[0], group, withheld=True))
        else:
            found.append(Sentiment(row[0], group, False, n, n_people, *figures))
    return found


def source_ages(conn: Connection) -> list[SourceAge]:
    """Each source with its last ingest, by name; a source without feedback has n 0."""
    rows = conn.execute(
        text(
            "SELECT s.name, s.kind, count(f.id), max(f.occurred_at), max(f.created_at) FROM source s "
            "LEFT JOIN feedback f ON f.source = s.name GROUP BY s.name, s.kind ORDER BY s.name"
        )
    )
    return [SourceAge(*row) for row in rows]
