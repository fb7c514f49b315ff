"""Scores in a real database: every model's kept, none given twice, read back as they were."""

import dataclasses
from datetime import UTC, datetime

import pytest

from voc.errors import StoreError
from voc.records import Feedback, Score, Span
from voc.store.engine import transaction
from voc.store.feedback import find_feedback_ids, insert_feedback
from voc.store.scores import (
    SCORED_SCHEMA,
    fetch_unscored,
    find_latest_model,
    get_scores,
    read_scored,
    save_model,
    save_scores,
)
from voc.taxonomy import SIGNALS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = Score(
    supported=True,
    reason=None,
    language="en",
    sentiment="negative",
    sentiment_score=-0.5,
    sentiment_proba=(0.625, 0.25, 0.125),
    frustration=0.75,
    frustration_flag=True,
    signals={name: n / 16 for n, name in enumerate(SIGNALS)},
    flags=("delay", "billing_error"),
    evidence=(Span("delay", 2, 9),),
    n_windows=2,
    model="small/1",
    embedding=(0.5, -0.25, 1.0),
)
NONE = Score(False, "language", "fr", None, None, None, None, None, {}, (), (), 0, "small/1")


def put(conn, *external_ids: str, **values) -> list[int]:
    batch = [Feedback("shop", "review", external_id, "text", NOON, **values) for external_id in external_ids]
    insert_feedback(conn, batch)
    ids = find_feedback_ids(conn, [("shop", external_id) for external_id in external_ids])
    return [ids["shop", external_id] for external_id in external_ids]


def test_a_score_comes_back_as_it_went_in(store):
    with transaction(store) as conn:
        first, second, third = put(conn, "r1", "r2", "r3")

        assert save_scores(conn, "small/1", [(first, GOOD), (second, NONE)]) == 2
        assert get_scores(conn, "small/1", [first, second, third]) == {first: GOOD, second: NONE}
        assert get_scores(conn, "small/2", [first]) == {}


def test_texts_wait_for_each_model_in_batches_by_id(store):
    with transaction(store) as conn:
        ids = put(conn, "r1", "r2", "r3", "r4", "r5")
        save_scores(conn, "small/1", [(ids[1], GOOD)])

        batch = fetch_unscored(conn, "small/1", limit=2)
        assert [waiting.id for waiting in batch] == [ids[0], ids[2]]
        rest = fetch_unscored(conn, "small/1", after_id=batch[-1].id, limit=2)
        assert [waiting.id for waiting in rest] == [ids[3], ids[4]]
        assert fetch_unscored(conn, "small/1", after_id=rest[-1].id) == []
        assert len(fetch_unscored(conn, "small/2")) == 5
        assert fetch_unscored(conn, "small/2", sources=["forum"]) == []


def test_duplicates_agents_and_systems_are_not_scored(store):
    with transaction(store) as conn:
        (asked,) = put(conn, "r1", speaker="customer")
        put(conn, "r2", speaker="agent")
        put(conn, "r3", speaker="system")
        insert_feedback(
            conn,
            [Feedback("shop", "review", "r4", "text", NOON)],
            duplicate_of={("shop", "r4"): ("shop", "r1")},
        )

        assert [waiting.id for waiting in fetch_unscored(conn, "small/1")] == [asked]


def test_a_duplicate_is_read_with_its_originals_score(store):
    with transaction(store) as conn:
        (original,) = put(conn, "r1")
        insert_feedback(
            conn,
            [Feedback("shop", "review", "r2", "text", NOON, case_id="k2")],
            duplicate_of={("shop", "r2"): ("shop", "r1")},
        )
        save_scores(conn, "small/1", [(original, GOOD)])
        table = read_scored(conn, "small/1")

    assert dict(table.schema) == SCORED_SCHEMA
    assert table["sentiment"].to_list() == ["negative", "negative"]
    assert table["case_id"].to_list() == [None, "k2"]
    assert table["duplicate_of"].to_list() == [None, original]
    assert table["flags"].to_list() == [["delay", "billing_error"]] * 2


def test_scoring_again_keeps_the_first_score_unless_told(store):
    other = dataclasses.replace(GOOD, sentiment="neutral")
    with transaction(store) as conn:
        (first,) = put(conn, "r1")
        save_scores(conn, "small/1", [(first, GOOD)])

        assert save_scores(conn, "small/1", [(first, other)]) == 0
        assert get_scores(conn, "small/1", [first])[first].sentiment == "negative"
        assert save_scores(conn, "small/1", [(first, other)], replace=True) == 1
        assert get_scores(conn, "small/1", [first])[first].sentiment == "neutral"


def test_each_models_scores_are_kept_and_the_last_to_score_is_known(store):
    with transaction(store) as conn:
        (first,) = put(conn, "r1")
        assert find_latest_model(conn) is None
        save_scores(conn, "small/1", [(first, GOOD)])
    with transaction(store) as conn:
        save_scores(conn, "small/2", [(first, dataclasses.replace(GOOD, model="small/2"))])

        assert find_latest_model(conn) == "small/2"
        assert get_scores(conn, "small/1", [first])[first].model == "small/1"
        assert get_scores(conn, "small/2", [first])[first].model == "small/2"


def test_a_score_of_another_model_is_refused(store):
    with pytest.raises(StoreError, match="score is of small/1, not of small/2"), transaction(store) as conn:
        save_scores(conn, "small/2", [(1, GOOD)])


def test_a_score_of_no_feedback_is_refused(store):
    with pytest.raises(StoreError, match="score_feedback_id_fkey"), transaction(store) as conn:
        save_scores(conn, "small/1", [(1, GOOD)])


def test_a_guess_on_an_unsupported_text_is_refused(store):
    guess = dataclasses.replace(NONE, sentiment="positive")
    with pytest.raises(StoreError, match="score_never_a_guess"), transaction(store) as conn:
        save_scores(conn, "small/1", [(put(conn, "r1")[0], guess)])


def test_a_model_with_other_signals_needs_another_version(store):
    with transaction(store) as conn:
        assert save_model(conn, "small/1") == save_model(conn, "small/1")
        with pytest.raises(StoreError, match="small/1 is known with other signals"):
            save_model(conn, "small/1", signals=["delay"])
