"""A change of model: nothing that was scored disappears, and the seam is marked until history is rescored."""

import dataclasses
from datetime import UTC, datetime, timedelta

from voc.records import Feedback, Score
from voc.store.aggregates import Query
from voc.store.engine import transaction
from voc.store.feedback import find_feedback_ids, insert_feedback
from voc.store.scores import save_scores
from voc.store.seams import Seam, find_seams, list_scoring_models, sentiment_by_model

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(days=7)
SCORE = Score(True, None, "en", "neutral", 0.0, (0.25, 0.5, 0.25), 0.5, False, {}, (), (), 1, "small/1")


def put(conn, week: int, n: int = 6) -> list[int]:
    """n feedbacks by n customers in one week; returns their ids."""
    batch = [
        Feedback("shop", "review", f"{week}-{i}", "text", MONDAY + week * WEEK, customer_ref=f"c{i}")
        for i in range(n)
    ]
    insert_feedback(conn, batch)
    return list(find_feedback_ids(conn, [(f.source, f.external_id) for f in batch]).values())


def score(conn, ids: list[int], model: str, value: float) -> None:
    save_scores(
        conn, model, [(i, dataclasses.replace(SCORE, sentiment_score=value, model=model)) for i in ids]
    )


def by_week(conn):
    return sentiment_by_model(conn, Query(interval="week"))


def test_an_old_week_keeps_the_old_models_figures_and_the_seam_is_marked(store):
    with transaction(store) as conn:
        old, new = put(conn, 0), put(conn, 1)
        score(conn, old, "small/1", -0.5)
    with transaction(store) as conn:
        score(conn, new, "small/2", 0.5)
        points = by_week(conn)

        assert [(model, cell.start, cell.figures["sum_score"]) for model, cell in points] == [
            ("small/1", MONDAY, -3.0), ("small/2", MONDAY + WEEK, 3.0),
        ]  # fmt: skip
        assert find_seams(points) == [Seam(MONDAY + WEEK, "small/1", "small/2")]
        assert list_scoring_models(conn) == ["small/2", "small/1"]


def test_once_history_is_scored_anew_there_is_no_seam(store):
    with transaction(store) as conn:
        old, new = put(conn, 0), put(conn, 1)
        score(conn, old, "small/1", -0.5)
    with transaction(store) as conn:
        score(conn, [*old, *new], "small/2", 0.5)
        points = by_week(conn)

        assert [model for model, _ in points] == ["small/2", "small/2"]
        assert find_seams(points) == []


def test_a_week_that_two_models_share_is_given_by_both_where_the_older_scored_more(store):
    with transaction(store) as conn:
        ids = put(conn, 0, n=12)
        score(conn, ids[:7], "small/1", -0.5)
    with transaction(store) as conn:
        score(conn, ids[7:], "small/2", 0.5)
        points = by_week(conn)

        assert sorted((model, cell.figures["n"]) for model, cell in points) == [
            ("small/1", 7),
            ("small/2", 5),
        ]
        assert find_seams(points) == []  # one interval: there is nothing before it
