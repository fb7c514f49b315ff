"""Aggregates from a real database: right figures, small groups withheld."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from voc.errors import StoreError
from voc.records import Feedback, Score
from voc.store.aggregates import Sentiment, sentiment
from voc.store.engine import transaction
from voc.store.feedback import find_feedback_ids, insert_feedback
from voc.store.scores import save_scores

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SCORE = Score(True, None, "en", "neutral", 0.0, (0.25, 0.5, 0.25), 0.5, False, {}, (), (), 1, "small/1")


def put(conn, n: int, value: float, start: datetime = MONDAY, customers: bool = True, **values) -> None:
    """n feedbacks by n customers, an hour apart, all with one sentiment score."""
    prefix = f"{start:%d%H}{value}{values}"
    batch = [
        Feedback(
            "shop",
            "review",
            f"{prefix}{i}",
            "text",
            start + timedelta(hours=i),
            **{"customer_ref": f"c{i}" if customers else None} | values,
        )
        for i in range(n)
    ]
    insert_feedback(conn, batch)
    word = "negative" if value < 0 else "positive" if value else "neutral"
    score = dataclasses.replace(SCORE, sentiment=word, sentiment_score=value, frustration_flag=value < 0)
    ids = find_feedback_ids(conn, [(f.source, f.external_id) for f in batch])
    save_scores(conn, "small/1", [(number, score) for number in ids.values()])


def test_figures_are_those_worked_out_by_hand(store):
    with transaction(store) as conn:
        put(conn, 6, -0.5, channel="web")
        put(conn, 2, 0.5, channel="web", region="eu")
        (found,) = sentiment(conn, "small/1")

    assert found == Sentiment(None, {}, False, 8, 6, 0, -0.25, pytest.approx(0.46291005), 6, 0, 2, 6)


def test_groups_and_intervals_are_told_apart_in_order(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, channel="web")
        put(conn, 5, -0.5, MONDAY + timedelta(6), channel="web")
        put(conn, 5, 0.0, MONDAY + timedelta(7), channel="phone")
        weekly = sentiment(conn, "small/1", interval="week", group_by=["channel", "source"])
        daily = sentiment(conn, "small/1", interval="day")

    assert [(row.start, row.group["channel"], row.group["source"], row.mean) for row in weekly] == [
        (MONDAY, "web", "shop", 0.0),
        (MONDAY + timedelta(7), "phone", "shop", 0.0),
    ]
    assert [row.start for row in daily] == [MONDAY, MONDAY + timedelta(6), MONDAY + timedelta(7)]


def test_a_window_and_filters_leave_the_rest_out(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, channel="web")
        put(conn, 5, -0.5, MONDAY + timedelta(1), channel="phone")
        put(conn, 5, -0.5, MONDAY + timedelta(2), channel="web")
        window = sentiment(conn, "small/1", start=MONDAY + timedelta(1), end=MONDAY + timedelta(2))
        web = sentiment(conn, "small/1", filters={"channel": ["web", "chat"]})

    assert [(row.n, row.mean) for row in window] == [(5, -0.5)]
    assert [row.n for row in web] == [10]


def test_groups_under_five_customers_are_withheld_with_all_their_figures(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, segment="large")
        put(conn, 4, -0.5, segment="small")
        put(conn, 4, -0.5, MONDAY + timedelta(1), segment="small")  # the same four again
        small, large = reversed(sentiment(conn, "small/1", group_by=["segment"]))

    assert small == Sentiment(None, {"segment": "small"}, withheld=True)
    assert (large.n, large.n_people) == (5, 5)


def test_without_customers_conversations_count_and_without_those_feedback(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, customers=False, region="many")
        put(conn, 4, 0.5, customers=False, region="few")
        put(conn, 9, 0.5, customers=False, region="one", conversation_id="v1", speaker="customer")
        found = {row.group["region"]: row for row in sentiment(conn, "small/1", group_by=["region"])}

    assert {name: row.withheld for name, row in found.items()} == {"few": True, "many": False, "one": True}
    assert found["many"].n_people == 5


def test_duplicates_count_once_and_agents_not_at_all(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5)
        put(conn, 5, -0.5, speaker="agent")
        first = conn.exec_driver_sql("SELECT external_id FROM feedback ORDER BY id LIMIT 1").scalar_one()
        insert_feedback(
            conn,
            [Feedback("shop", "review", "again", "text", MONDAY)],
            duplicate_of={("shop", "again"): ("shop", first)},
        )
        (found,) = sentiment(conn, "small/1")

    assert (found.n, found.n_duplicates, found.mean) == (5, 1, 0.5)


def test_another_model_has_said_nothing(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5)

        assert sentiment(conn, "small/2") == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"interval": "year'; DROP TABLE score"}, "is no interval; choose one of hour"),
        ({"group_by": ["customer_ref"]}, "'customer_ref' is no group"),
        ({"filters": {"text": ["x"]}}, "'text' is no group"),
    ],
)
def test_what_is_not_offered_is_refused(store, values, message):
    with transaction(store) as conn, pytest.raises(StoreError, match=message):
        sentiment(conn, "small/1", **values)
