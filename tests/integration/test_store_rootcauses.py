"""Root causes in a real database: computed again, while verdicts and owners stay."""

import dataclasses
import math
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from voc.errors import StoreError
from voc.records import Association, Feedback, RootCause
from voc.store.engine import transaction
from voc.store.feedback import insert_feedback, read_feedback
from voc.store.rootcauses import (
    Saved,
    list_root_causes,
    read_evidence,
    read_history,
    save_root_causes,
    set_owner,
    set_status,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOOP = Association(
    "delay", "rework_loop", "check", 4.0, 2.0, 8.0, 1e-4, 1e-3, 50, 20, 500, 40, 0.3, 0.2, 0.5, True
)


def cause(evidence=(), owner="billing", **values) -> RootCause:
    association = dataclasses.replace(LOOP, **values)
    return RootCause(
        association, "refund@1", owner, "proposed", "small/1", (NOON, NOON + timedelta(7)), evidence
    )


def save(conn, *causes: RootCause, **values) -> Saved:
    return save_root_causes(conn, causes, **{"processes": ["refund"], "fdr": 0.05, "method": "MH"} | values)


def put_feedback(conn, n: int) -> list[int]:
    insert_feedback(conn, [Feedback("shop", "review", f"r{i}", f"text {i}", NOON) for i in range(n)])
    return read_feedback(conn)["feedback_id"].to_list()


def test_a_root_cause_comes_back_as_it_went_in_with_its_provenance(store):
    with transaction(store) as conn:
        ids = put_feedback(conn, 2)
        given = cause(evidence=((ids[1], "k1"), (ids[0], "k2")))
        assert save(conn, given) == Saved(found=1)
        (found,) = list_root_causes(conn)
        evidence = read_evidence(conn, found.id)

    assert found.cause == dataclasses.replace(given, evidence=())
    assert (found.fdr, found.method, found.map_version, found.n_evidence) == (0.05, "MH", "1", 2)
    assert [(e.feedback_id, e.case_id, e.text) for e in evidence] == [
        (ids[1], "k1", "text 1"),
        (ids[0], "k2", "text 0"),
    ]


def test_a_verdict_and_an_owner_survive_recomputation_and_history_says_what_moved(store):
    with transaction(store) as conn:
        save(conn, cause())
        number = list_root_causes(conn)[0].id
        set_status(conn, number, "confirmed", who="ann", note="seen it")
        set_owner(conn, number, "refund team", who="ann")
    later = dataclasses.replace(cause(odds_ratio=5.0, owner="someone else"), process="refund@2")
    with transaction(store) as conn:
        assert save(conn, later) == Saved(recomputed=1)
        (found,) = list_root_causes(conn)
        history = read_history(conn, number)

    assert found.id == number
    assert (found.cause.status, found.cause.owner, found.owner_by) == ("confirmed", "refund team", "ann")
    assert found.cause.association.odds_ratio == 5.0
    assert found.cause.process == "refund@2"
    assert [(entry.action, entry.who) for entry in history] == [
        ("found", "voc"),
        ("status", "ann"),
        ("owner", "ann"),
        ("recomputed", "voc"),
    ]
    assert history[1].changes == {"status": ("proposed", "confirmed")}
    assert history[1].note == "seen it"
    assert history[3].changes == {"odds_ratio": (4.0, 5.0), "map_version": ("1", "2")}


def test_an_owner_nobody_set_follows_the_map_and_one_taken_back_does_again(store):
    with transaction(store) as conn:
        save(conn, cause(owner="billing"))
        save(conn, cause(owner="payments"))
        (found,) = list_root_causes(conn)
        assert (found.cause.owner, found.owner_by) == ("payments", None)

        set_owner(conn, found.id, "ann's team", who="ann")
        set_owner(conn, found.id, None, who="ann")
        save(conn, cause(owner="payments"))
        assert list_root_causes(conn)[0].cause.owner == "payments"


def test_computing_the_same_again_writes_no_history(store):
    with transaction(store) as conn:
        ids = put_feedback(conn, 1)
        odd = cause(evidence=((ids[0], "k1"),), ci_high=math.inf, homogeneity_p=None)

        assert save(conn, odd) == Saved(found=1)
        assert save(conn, odd) == Saved(unchanged=1)
        (found,) = list_root_causes(conn)
        assert found.cause.association.ci_high == math.inf
        assert len(read_history(conn, found.id)) == 1


def test_one_no_longer_found_is_kept_aside_and_may_come_back_with_its_verdict(store):
    with transaction(store) as conn:
        save(conn, cause(), cause(step="pay"))
        number = next(f.id for f in list_root_causes(conn) if f.cause.association.step == "pay")
        set_status(conn, number, "acting", who="ann")

        assert save(conn, cause()) == Saved(unchanged=1, gone=1)
        assert [f.cause.association.step for f in list_root_causes(conn)] == ["check"]
        assert len(list_root_causes(conn, current=None)) == 2
        assert save(conn, cause()) == Saved(unchanged=1)
        assert save(conn, cause(), cause(step="pay")) == Saved(unchanged=1, back=1)
        assert list_root_causes(conn, statuses=["acting"])[0].id == number
        assert [entry.action for entry in read_history(conn, number)] == ["found", "status", "gone", "back"]


def test_other_processes_are_left_alone(store):
    with transaction(store) as conn:
        save(conn, cause())
        other = dataclasses.replace(cause(), process="claim@1")

        assert save(conn, other, processes=["claim@1"]) == Saved(found=1)
        assert len(list_root_causes(conn)) == 2
        assert len(list_root_causes(conn, processes=["claim@7"])) == 1
        with pytest.raises(StoreError, match="'claim' is not among those computed"):
            save(conn, other)


def test_the_heaviest_comes_first_and_the_rejected_last(store):
    with transaction(store) as conn:
        save(
            conn,
            cause(step="strong", odds_ratio=40.0, n_exposed=20, n_exposed_outcome=20, risk_difference=0.5),
            cause(step="heavy", odds_ratio=3.0, n_exposed=400, n_exposed_outcome=200, risk_difference=0.2),
            cause(step="wrong", n_exposed=4000, n_exposed_outcome=200, risk_difference=0.2),
            cause(step="unsure", reported=False),
        )
        wrong = next(f for f in list_root_causes(conn) if f.cause.association.step == "wrong")
        set_status(conn, wrong.id, "rejected", who="ann")

        steps = [f.cause.association.step for f in list_root_causes(conn, reported=None)]
        assert steps == ["heavy", "strong", "unsure", "wrong"]
        assert len(list_root_causes(conn)) == 3


def test_evidence_is_renewed_and_paged(store):
    with transaction(store) as conn:
        ids = put_feedback(conn, 3)
        save(conn, cause(evidence=((ids[0], "k1"),)))
        save(conn, cause(evidence=tuple((i, "k1") for i in reversed(ids))))
        (found,) = list_root_causes(conn)

        assert [e.feedback_id for e in read_evidence(conn, found.id, offset=1, limit=1)] == [ids[1]]
        assert read_history(conn, found.id)[-1].changes == {"evidence": (1, 3)}


def test_history_is_append_only(store):
    with transaction(store) as conn:
        save(conn, cause())
    for statement in ("UPDATE root_cause_history SET who = 'x'", "DELETE FROM root_cause_history"):
        with pytest.raises(StoreError, match="RestrictViolation"), transaction(store) as conn:
            conn.execute(text(statement))


def test_wrong_statuses_and_numbers_are_refused(store):
    with transaction(store) as conn:
        with pytest.raises(StoreError, match=r"'done' is no status .* verifying"):
            set_status(conn, 1, "done", who="ann")
        with pytest.raises(StoreError, match="root cause 1 is not in the database"):
            set_status(conn, 1, "closed", who="ann")
        with pytest.raises(StoreError, match="given twice"):
            save(conn, cause(), cause())
