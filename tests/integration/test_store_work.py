"""Work on root causes in a real database: comments, due days, ownership gaps, external marks, pilots."""

import dataclasses
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from tests.integration.test_store_rootcauses import cause, save
from voc.errors import StoreError
from voc.records import Change
from voc.store.changes import list_changes, list_marks, save_changes, set_external
from voc.store.engine import transaction
from voc.store.followup import OwnershipGap, add_comment, list_ownership_gaps, set_due
from voc.store.pilots import list_looks, save_look, save_plan
from voc.store.rootcauses import list_root_causes, read_history, set_status
from voc.store.runs import find_last_run, save_run

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OUTAGE = Change("OUT-1", "carrier down", NOON)


def test_comments_and_due_days_survive_recomputation_and_are_in_the_history(store):
    with transaction(store) as conn:
        save(conn, cause())
        number = list_root_causes(conn)[0].id
        add_comment(conn, number, " asked the carrier ", who="ann")
        set_due(conn, number, date(2026, 5, 1), who="ann")
        save(conn, cause(odds_ratio=5.0))
        (found,) = list_root_causes(conn)
        set_due(conn, number, None, who="bob", note="done")
        history = read_history(conn, number)

    assert found.due_on == date(2026, 5, 1)
    assert [(h.action, h.who) for h in history] == [
        ("found", "voc"),
        ("comment", "ann"),
        ("due", "ann"),
        ("recomputed", "voc"),
        ("due", "bob"),
    ]
    assert history[1].note == "asked the carrier"
    assert history[4].changes == {"due_on": ("2026-05-01", None)}


def test_an_empty_comment_or_an_unknown_root_cause_is_refused(store):
    with transaction(store) as conn:
        save(conn, cause())
        with pytest.raises(StoreError, match="comment is empty"):
            add_comment(conn, list_root_causes(conn)[0].id, " ", who="ann")
        with pytest.raises(StoreError, match="root cause 99 is not in the database"):
            set_due(conn, 99, date(2026, 5, 1), who="ann")


def test_steps_that_nobody_owns_are_listed_until_somebody_does(store):
    with transaction(store) as conn:
        save(conn, cause(owner=None), cause(owner=None, step="pay"), cause(owner=None, outcome="privacy"))
        assert list_ownership_gaps(conn) == [
            OwnershipGap("refund", "check", 2),
            OwnershipGap("refund", "pay", 1),
        ]
        pay = next(f.id for f in list_root_causes(conn) if f.cause.association.step == "pay")
        set_status(conn, pay, "rejected", who="ann")
        save(conn, cause(), cause(owner=None, step="pay"), cause(outcome="privacy"))
        assert list_ownership_gaps(conn) == []


def test_the_theme_fit_is_part_of_the_provenance(store):
    with transaction(store) as conn:
        save(conn, dataclasses.replace(cause(), theme_fit="shop/3"))
        (found,) = list_root_causes(conn)
        save(conn, dataclasses.replace(cause(), theme_fit="shop/4"))
        history = read_history(conn, found.id)

    assert found.cause.theme_fit == "shop/3"
    assert history[-1].changes == {"theme_fit": ("shop/3", "shop/4")}


def test_what_a_person_says_of_a_change_outlasts_the_file_and_can_be_taken_back(store):
    with transaction(store) as conn:
        save_changes(conn, [OUTAGE])
        assert set_external(conn, "OUT-1", True, who="ann", note="not ours")
        assert not set_external(conn, "OUT-1", True, who="ann")
        save_changes(conn, [OUTAGE])
        (kept,) = list_changes(conn)
        assert kept.external
        assert set_external(conn, "OUT-1", False, who="bob")
        assert list_changes(conn) == [OUTAGE]
        marks = list_marks(conn, "OUT-1")

    assert [(m.who, m.before, m.after, m.note) for m in marks] == [
        ("ann", False, True, "not ours"),
        ("bob", True, False, None),
    ]
    with pytest.raises(StoreError, match="'nope' is not in the database"), transaction(store) as conn:
        set_external(conn, "nope", True, who="ann")
    with pytest.raises(StoreError, match="RestrictViolation"), transaction(store) as conn:
        conn.execute(text("DELETE FROM change_history"))


def test_a_plan_stays_as_it_was_and_looks_are_told_to_its_root_cause(store):
    plan = {"share": 0.5, "margin": 0.05}
    with transaction(store) as conn:
        save(conn, cause())
        number = list_root_causes(conn)[0].id
        assert save_plan(conn, "fix-1", plan, root_cause=number, who="ann")
        assert not save_plan(conn, "fix-1", plan, root_cause=number, who="bob")
        with pytest.raises(StoreError, match="planned otherwise"):
            save_plan(conn, "fix-1", plan | {"margin": 0.01}, root_cause=number, who="bob")
        with pytest.raises(StoreError, match="record its plan first"):
            save_look(conn, "fix-2", "works", {}, rollback=False, who="ann")
        save_look(conn, "fix-1", "not enough data", {"n": 10}, rollback=False, who="ann")
        save_look(conn, "fix-1", "harms", {"n": 900}, rollback=True, who="ann")
        looks = list_looks(conn, "fix-1")
        actions = [(h.action, h.note) for h in read_history(conn, number)]

    assert [(look.verdict, look.rollback) for look in looks] == [("not enough data", False), ("harms", True)]
    assert actions[1:] == [
        ("pilot", "pilot 'fix-1' planned"),
        ("pilot", "pilot 'fix-1': not enough data"),
        ("rollback", "pilot 'fix-1': harms"),
    ]


def test_the_last_computation_of_a_process_is_found(store):
    with transaction(store) as conn:
        assert find_last_run(conn, "refund") is None
        save_run(conn, "refund", b"a" * 32, {"tested": 1})
        save_run(conn, "refund", b"b" * 32, {"tested": 2})
        last = find_last_run(conn, "refund")

    assert (last.inputs, last.result) == (b"b" * 32, {"tested": 2})
