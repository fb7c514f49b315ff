"""Aggregates from a real database: right figures, small groups withheld."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from voc.errors import InputError
from voc.records import Deviation, Feedback, Link, Rating, Score
from voc.store.aggregates import Cell, Query, ratings, signals
from voc.store.aggregates import sentiment as read_sentiment
from voc.store.engine import transaction
from voc.store.feedback import find_feedback_ids, insert_feedback
from voc.store.links import replace_links
from voc.store.process import Case, replace_cases, save_map
from voc.store.rollups import fold_all, fold_rollups
from voc.store.scores import save_scores

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SCORE = Score(True, None, "en", "neutral", 0.0, (0.25, 0.5, 0.25), 0.5, False, {}, (), (), 1, "small/1")


@pytest.fixture(params=["waiting", "folded", "half"], autouse=True)
def folding(request, monkeypatch):
    """Each fact holds while all waits to be folded, once all was, and half-way."""
    monkeypatch.setattr(f"{__name__}.STATE", request.param)


STATE = "waiting"


def sentiment(conn, model, **values):
    """What is asked in this test's state."""
    _fold(conn)
    return read_sentiment(conn, model, _query(values))


def _query(values) -> Query:
    return Query(**{k: tuple(v) if k == "group_by" else v for k, v in values.items()})


def _fold(conn) -> None:
    if STATE == "folded":
        fold_all(conn)
    elif STATE == "half":
        n = conn.exec_driver_sql("SELECT count(*) FROM rollup_pending").scalar_one()
        fold_rollups(conn, batch=n // 2 + 1)


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

    assert found == Cell(None, {}, False, {
        "n": 8, "sum_score": -2, "sum_squares": 2, "n_negative": 6, "n_neutral": 0, "n_positive": 2,
        "n_frustrated": 6,
    })  # fmt: skip


def test_groups_and_intervals_are_told_apart_in_order(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, channel="web")
        put(conn, 5, -0.5, MONDAY + timedelta(6), channel="web")
        put(conn, 5, 0.0, MONDAY + timedelta(7), channel="phone")
        weekly = sentiment(conn, "small/1", interval="week", group_by=["channel", "source"])
        daily = sentiment(conn, "small/1", interval="day")

    assert [
        (row.start, row.group["channel"], row.group["source"], row.figures["sum_score"]) for row in weekly
    ] == [
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

    assert [(row.figures["n"], row.figures["sum_score"]) for row in window] == [(5, -2.5)]
    assert [row.figures["n"] for row in web] == [10]


def test_groups_under_five_customers_are_withheld_with_all_their_figures(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, segment="large")
        put(conn, 4, -0.5, segment="small")
        put(conn, 4, -0.5, MONDAY + timedelta(1), segment="small")  # the same four again
        small, large = reversed(sentiment(conn, "small/1", group_by=["segment"]))

    assert small == Cell(None, {"segment": "small"}, True, {})
    assert large.figures["n"] == 5


def test_without_customers_conversations_count_and_without_those_feedback(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, customers=False, region="many")
        put(conn, 4, 0.5, customers=False, region="few")
        put(conn, 9, 0.5, customers=False, region="one", conversation_id="v1", speaker="customer")
        found = {row.group["region"]: row for row in sentiment(conn, "small/1", group_by=["region"])}

    assert {name: row.withheld for name, row in found.items()} == {"few": True, "many": False, "one": True}


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

    assert (found.figures["n"], found.figures["sum_score"]) == (5, 2.5)


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
    with transaction(store) as conn, pytest.raises(InputError, match=message):
        sentiment(conn, "small/1", **values)


def test_a_span_that_cuts_days_and_months_counts_each_hour_once(store):
    with transaction(store) as conn:
        put(conn, 24 * 70, 0.5, MONDAY - timedelta(days=20), channel="web")  # one an hour for ten weeks
        for first, hours in ((5, 30), (17, 24), (0, 24 * 45), (37, 24 * 40 + 9)):
            start = MONDAY - timedelta(days=20) + timedelta(hours=first)
            (found,) = sentiment(conn, "small/1", start=start, end=start + timedelta(hours=hours))
            weekly = sentiment(
                conn, "small/1", interval="week", group_by=["channel", "region"], start=start,
                end=start + timedelta(hours=hours),
            )  # fmt: skip

            assert found.figures["n"] == hours
            assert sum(row.figures["n"] for row in weekly) == hours


def test_what_is_erased_or_scored_again_is_taken_out_of_the_sums(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, channel="web")
        put(conn, 5, -0.5, channel="phone")
        sentiment(conn, "small/1")
        rows = "SELECT id FROM feedback WHERE channel = 'phone' ORDER BY id"
        ids = conn.exec_driver_sql(rows).scalars().all()
        again = dataclasses.replace(SCORE, sentiment="positive", sentiment_score=0.25)
        save_scores(conn, "small/1", [(ids[0], again)], replace=True)
        changed = {r.group["channel"]: r for r in sentiment(conn, "small/1", group_by=["channel"])}
        conn.exec_driver_sql("DELETE FROM feedback WHERE channel = 'web' AND external_id LIKE '%%0'")
        fold_all(conn)
        left = {r.group["channel"]: r for r in sentiment(conn, "small/1", group_by=["channel"])}

    assert changed["phone"].figures["sum_score"] == -1.75
    assert changed["phone"].figures["n_positive"] == 1
    assert left["phone"] == changed["phone"]
    assert left["web"].withheld  # four customers are left


def test_signals_are_counted_by_group(store):
    with transaction(store) as conn:
        put(conn, 5, 0.5, channel="web")
        ids = conn.exec_driver_sql("SELECT id FROM feedback ORDER BY id").scalars().all()
        flagged = dataclasses.replace(SCORE, flags=("delay", "privacy"))
        save_scores(conn, "small/1", [(ids[0], flagged)], replace=True)
        save_scores(conn, "small/1", [(ids[1], dataclasses.replace(flagged, flags=("delay",)))], replace=True)
        _fold(conn)
        found = signals(conn, "small/1", Query("day", ("channel",)))

    assert found == {(MONDAY, "web"): {"delay": 2, "privacy": 1}}


def test_ratings_are_summed_and_every_response_counts(store):
    values = [(10, 5.0), (9, 4.0), (8, 3.0), (6, 1.0), (0, 2.0), (10, 5.0)]
    batch = [
        Feedback("shop", "survey", f"r{i}", "ok", MONDAY, customer_ref=f"c{i}",
                 ratings=(Rating("nps", nps), Rating("csat", csat)))
        for i, (nps, csat) in enumerate(values)
    ]  # fmt: skip
    with transaction(store) as conn:
        insert_feedback(conn, batch[:5])
        insert_feedback(conn, batch[5:], duplicate_of={("shop", "r5"): ("shop", "r0")})
        _fold(conn)
        (found,) = ratings(conn, Query(group_by=("kind",)))

    assert found.group == {"kind": "survey"}
    assert {k: v for k, v in found.figures.items() if v} == {
        "n_nps": 6, "n_promoters": 3, "n_detractors": 2, "n_csat": 6, "n_satisfied": 3, "sum_csat": 20.0,
        "squares_csat": 80.0,
    }  # fmt: skip


def test_steps_and_owners_come_from_the_links(store):
    with transaction(store) as conn:
        put(conn, 6, -0.5, channel="web")
        map_id = save_map(conn, "orders", "1", "# none")
        late = [
            Deviation(f"k{i}", "sla_breach", "ship", None, MONDAY, 1.0, (0,), owner="Logistics")
            for i in range(6)
        ]
        replace_cases(conn, map_id, [Case(f"k{i}") for i in range(6)], late)
        ids = conn.exec_driver_sql("SELECT id FROM feedback ORDER BY id").scalars().all()
        replace_links(conn, [map_id], [Link(n, f"k{i}", "case", 1.0) for i, n in enumerate(ids)])
        steps = sentiment(conn, "small/1", group_by=["step", "channel"])
        owners = sentiment(conn, "small/1", interval="month", filters={"owner": ["Logistics"]})
        both = sentiment(conn, "small/1", group_by=["step"], filters={"owner": ["Logistics"]})
        others = sentiment(conn, "small/1", filters={"owner": ["Nobody"]})

    assert [(r.group, r.figures["n"]) for r in steps] == [({"step": "ship", "channel": "web"}, 6)]
    assert [r.figures["n"] for r in owners] == [6]
    assert [(r.group, r.figures["n"]) for r in both] == [({"step": "ship"}, 6)]
    assert others == []
