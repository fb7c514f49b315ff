"""Maps, cases, deviations, changes and links in a real database."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from voc.errors import InputError, StoreError
from voc.records import Change, Deviation, Event, Feedback, Link
from voc.store.changes import list_changes, save_changes
from voc.store.engine import transaction
from voc.store.feedback import find_feedback_ids, insert_feedback
from voc.store.links import LINKS_SCHEMA, read_links, replace_links
from voc.store.process import (
    CASES_SCHEMA,
    DEVIATIONS_SCHEMA,
    Case,
    Replaced,
    list_maps,
    read_cases,
    read_deviations,
    read_events,
    replace_cases,
    save_map,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CASES = [
    Case("k1", "c1", "smb", "web", "eu", NOON, NOON + timedelta(hours=2), {"amount": 5}),
    Case("k2"),
]
EVENTS = [
    Event("k1", "open", NOON, "ann", {"cost": 1.5}),
    Event("k2", "open", None),
    Event("k1", "close", NOON + timedelta(hours=2), "bob"),
]
LOOP = Deviation("k1", "rework_loop", "check", None, NOON, 60.0, (1, 3), "map", "billing", "refund@1")
SKIP = Deviation("k2", "skipped_step", "pay", "check", None, None, (2,), "baseline")


def feedback_id(conn) -> int:
    insert_feedback(conn, [Feedback("shop", "review", "r1", "text", NOON)])
    return find_feedback_ids(conn, [("shop", "r1")])["shop", "r1"]


def test_a_map_is_stored_once_and_its_version_stands_for_its_contents(store):
    with transaction(store) as conn:
        first = save_map(conn, "refund", "1", "steps: []")

        assert save_map(conn, "refund", "1", "steps: []") == first
        assert save_map(conn, "refund", "2", "steps: [pay]") != first
        assert [(m.name, m.version, m.yaml) for m in list_maps(conn, names=["refund"])] == [
            ("refund", "1", "steps: []"),
            ("refund", "2", "steps: [pay]"),
        ]
        assert list_maps(conn, names=["claim"]) == []
        with pytest.raises(StoreError, match="refund@1 is in the database with other contents"):
            save_map(conn, "refund", "1", "steps: [other]")


def test_cases_events_and_deviations_come_back_as_they_went_in(store):
    with transaction(store) as conn:
        number = save_map(conn, "refund", "1", "")

        assert replace_cases(conn, number, CASES, [LOOP, SKIP], events=EVENTS) == Replaced(2, 3, 2, 0)
        cases, deviations = read_cases(conn, [number]), read_deviations(conn, [number])
        assert read_events(conn, number, "k1") == [EVENTS[0], EVENTS[2]]
        assert read_events(conn, number, "k3") == []

    assert dict(cases.schema) == CASES_SCHEMA
    assert cases.row(0) == (
        number,
        "refund@1",
        "k1",
        "c1",
        "smb",
        "web",
        "eu",
        NOON,
        NOON + timedelta(hours=2),
    )
    assert dict(deviations.schema) == DEVIATIONS_SCHEMA
    assert deviations.rows() == [
        (number, "refund@1", "k1", "rework_loop", "check", None, NOON, 60.0, [1, 3], "map", "billing"),
        (number, "refund@1", "k2", "skipped_step", "pay", "check", None, None, [2], "baseline", None),
    ]


def test_saving_again_replaces_what_the_map_had_and_nothing_else(store):
    with transaction(store) as conn:
        number, other = save_map(conn, "refund", "1", ""), save_map(conn, "refund", "2", "")
        for target in (number, other):
            replace_cases(conn, target, CASES, [LOOP, SKIP], events=EVENTS)

        assert replace_cases(conn, number, CASES[:1], [LOOP]) == Replaced(1, 0, 1, 1)
        assert read_cases(conn, [number])["case_id"].to_list() == ["k1"]
        assert read_deviations(conn, [number])["kind"].to_list() == ["rework_loop"]
        assert len(read_events(conn, number, "k1")) == 2  # not given: left as they were
        assert len(read_deviations(conn, [other])) == 2
        assert len(read_cases(conn, [number, other])) == 3


def test_a_failed_replacement_leaves_what_was_there(store):
    with transaction(store) as conn:
        number = save_map(conn, "refund", "1", "")
        replace_cases(conn, number, CASES, [LOOP])
    lost = dataclasses.replace(SKIP, case_id="k9")

    with pytest.raises(InputError, match="case_id': 1 rows name a case"), transaction(store) as conn:
        replace_cases(conn, number, CASES[:1], [lost])
    with store.connect() as conn:
        assert len(read_cases(conn, [number])) == 2
        assert read_deviations(conn, [number])["kind"].to_list() == ["rework_loop"]


def test_a_case_given_twice_is_refused(store):
    with pytest.raises(InputError, match="field 'case_id': is given twice"), transaction(store) as conn:
        replace_cases(conn, save_map(conn, "refund", "1", ""), [CASES[0], CASES[0]], [])


def test_an_unknown_kind_of_deviation_is_refused(store):
    odd = dataclasses.replace(LOOP, kind="detour")
    with pytest.raises(StoreError, match="deviation_kind_check"), transaction(store) as conn:
        replace_cases(conn, save_map(conn, "refund", "1", ""), CASES, [odd])


def test_links_survive_when_their_case_is_saved_again_and_go_with_it(store):
    with transaction(store) as conn:
        number, said = save_map(conn, "refund", "1", ""), feedback_id(conn)
        replace_cases(conn, number, CASES, [])
        links = [Link(said, "k1", "case", 1.0), Link(said, "k2", "customer_window", 0.25)]

        assert replace_links(conn, [number], links) == 2
        assert replace_links(conn, [number], links) == 2
        replace_cases(conn, number, CASES[:1], [LOOP])
        table = read_links(conn, [number])

    assert dict(table.schema) == LINKS_SCHEMA
    assert table.rows() == [(number, said, "k1", "case", 1.0)]


def test_a_link_ties_to_the_case_of_each_map_that_has_it(store):
    with transaction(store) as conn:
        maps = [save_map(conn, "refund", "1", ""), save_map(conn, "claim", "1", "")]
        said = feedback_id(conn)
        for number in maps:
            replace_cases(conn, number, CASES, [])

        assert replace_links(conn, maps, [Link(said, "k1", "case", 1.0)]) == 2
        assert replace_links(conn, maps[:1], []) == 0
        assert read_links(conn, maps)["map_id"].to_list() == maps[1:]


@pytest.mark.parametrize(("case_id", "offset"), [("k9", 0), ("k1", 1)])
def test_a_link_to_nothing_is_refused(store, case_id, offset):
    with transaction(store) as conn:
        number = save_map(conn, "refund", "1", "")
        replace_cases(conn, number, CASES, [])
        link = Link(feedback_id(conn) + offset, case_id, "case", 1.0)
    with pytest.raises(InputError, match="1 links name a case or feedback"), transaction(store) as conn:
        replace_links(conn, [number], [link])


def test_changes_are_stored_once_and_take_new_values(store):
    first = Change("CHG-1", "release", NOON, scope={"app": "web"})
    ended = dataclasses.replace(first, ended_at=NOON + timedelta(1), external=True)
    with transaction(store) as conn:
        assert save_changes(conn, [first]) == 1
        assert save_changes(conn, [ended, Change("CHG-0", "before", NOON - timedelta(1))]) == 1

        assert list_changes(conn) == [Change("CHG-0", "before", NOON - timedelta(1)), ended]
