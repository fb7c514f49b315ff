"""Deviations: each kind on a small named case, and bulk equal to case by case."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.process.baseline import Baseline, learn_baseline
from voc.process.case_state import CaseState
from voc.process.deviations import find_case_deviations, find_deviations, to_records
from voc.process.logs import log_of
from voc.process.map_files import parse_maps
from voc.process.maps import END_TO_END, AppliesTo, ProcessMap, Rule, Step, Tolerance
from voc.records import Deviation, Event
from voc.taxonomy import DEVIATION_KINDS

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLAIMS = """
name: claims
owner: Claims
start: [register]
end: [close]
service_level: 10d
handoff_limit: 1d
stalled_limit: 5d
max_ping_pong: 3
tolerance: {share: 0.1}
steps:
  - {name: register, owner: Intake, mandatory: true, max_repeats: 0}
  - {name: assess, owner: Experts, mandatory: true, max_repeats: 1}
  - {name: pay, owner: Finance, service_level: 2h}
  - {name: reject, owner: Experts}
  - {name: close, owner: Intake}
rules:
  - precedence: [assess, pay]
  - not_coexistence: [pay, reject]
"""


def claims() -> ProcessMap:
    return parse_maps(CLAIMS)[0]


def case(*steps: str, resources: str = "", hours: float = 1.0, case_id: str = "c") -> list[Event]:
    """Events an hour apart; `resources` gives one letter an event."""
    return [
        Event(case_id, step, START + at * timedelta(hours=hours), resources[at] if resources else None)
        for at, step in enumerate(steps)
    ]


def found(events: list[Event], process_map: ProcessMap, now: datetime | None = None) -> list[Deviation]:
    bulk = to_records(find_deviations(log_of(events).events, process_map, now=now))
    assert bulk == find_case_deviations(events, process_map, now=now or events[-1].timestamp)
    return bulk


def kinds(deviations: list[Deviation]) -> list[tuple[str, str]]:
    return [(one.kind, one.step) for one in deviations]


def test_a_case_that_keeps_to_the_map_has_no_deviation():
    assert found(case("register", "assess", "pay", "close"), claims()) == []


def test_a_mandatory_step_that_a_finished_case_lacks_was_skipped():
    (one,) = found(case("register", "reject", "close"), claims())
    assert (one.kind, one.step, one.from_step, one.owner) == ("skipped_step", "assess", "register", "Experts")
    assert one.event_index == (1,)
    assert one.process == "claims@1"


def test_a_step_still_to_come_in_an_open_case_was_not_skipped():
    assert found(case("register"), claims()) == []


def test_a_step_visited_more_often_than_allowed_is_rework_with_the_time_it_took():
    events = case("register", "assess", "register", "assess", "pay", "close")
    (one,) = found(events, claims())
    assert (one.kind, one.step, one.from_step) == ("rework_loop", "register", "assess")
    assert (one.event_index, one.magnitude_s) == ((2,), 3600.0)


def test_two_events_of_one_step_in_a_row_are_one_visit():
    assert found(case("register", "register", "assess", "pay", "close"), claims()) == []


def test_a_step_before_the_one_it_must_follow_is_in_the_wrong_order():
    (one,) = found(case("register", "pay", "assess", "close"), claims())
    assert (one.kind, one.step, one.from_step, one.event_index) == ("wrong_order", "pay", "assess", (1,))


def test_a_first_step_that_is_not_a_start_is_in_the_wrong_order():
    assert kinds(found(case("assess", "register", "pay", "close"), claims())) == [("wrong_order", "assess")]


def test_a_wait_between_resources_past_the_limit_is_a_handoff_delay():
    events = case("register", "assess", "pay", "close", resources="AABB", hours=1)
    late = [
        events[0],
        replace(events[1], timestamp=START + timedelta(days=2), resource="B"),
        *(
            replace(one, timestamp=START + timedelta(days=2, hours=at))
            for at, one in enumerate(events[2:], 1)
        ),
    ]
    (one,) = found(late, claims())
    assert (one.kind, one.step, one.from_step) == ("handoff_delay", "assess", "register")
    assert (one.magnitude_s, one.event_index) == (86400.0, (0, 1))


def test_the_tolerance_band_is_kept_and_the_magnitude_counts_from_the_limit():
    just = find_case_deviations(case("register", "assess", resources="AB", hours=26), claims())
    past = find_case_deviations(case("register", "assess", resources="AB", hours=27), claims())
    assert kinds(just) == []
    assert [(one.kind, one.magnitude_s) for one in past] == [("handoff_delay", 3 * 3600.0)]


def test_a_step_slower_than_its_service_level_breaches_it():
    (one,) = found(case("register", "assess", "pay", "close", hours=3), claims())
    assert (one.kind, one.step, one.magnitude_s, one.event_index) == ("sla_breach", "pay", 3600.0, (1, 2))


def test_a_case_longer_than_its_service_level_breaches_it_end_to_end():
    process_map = replace(claims(), steps=tuple(replace(s, service_level_s=None) for s in claims().steps))
    (one,) = found(case("register", "assess", "pay", "close", hours=100), process_map)
    assert (one.kind, one.step, one.owner, one.event_index) == ("sla_breach", END_TO_END, "Claims", (0, 3))
    assert one.magnitude_s == 300 * 3600.0 - 10 * 86400.0


def test_a_case_that_rests_too_long_without_an_end_is_stalled_as_of_now():
    now = START + timedelta(days=8)
    (one,) = found(case("register", "assess"), claims(), now=now)
    assert (one.kind, one.step, one.event_index) == ("stalled", "assess", (1,))
    assert one.magnitude_s == 8 * 86400.0 - 3600.0 - 5 * 86400.0


def test_work_that_goes_to_and_fro_between_two_resources_is_ping_pong():
    events = case("register", "assess", "assess", "assess", "assess", "pay", "close", resources="ABABABB")
    (one,) = found(events, claims())
    assert (one.kind, one.event_index, one.magnitude_s) == ("ping_pong", (0, 1, 2, 3, 4, 5), 7200.0)


def test_without_times_only_the_order_is_checked():
    events = [
        replace(one, timestamp=None) for one in case("register", "pay", "pay", "close", resources="ABAB")
    ]
    assert kinds(to_records(find_deviations(log_of(events).events, claims()))) == [("skipped_step", "assess")]


def test_a_flow_tells_skipped_moved_and_repeated_steps_apart():
    steps = tuple(Step(name, (name,)) for name in "abcdef")
    flow = {left: (right,) for left, right in zip("abcde", "bcdef", strict=True)} | {"f": ()}
    process_map = ProcessMap("line", steps, start=("a",), flow=flow)
    assert kinds(found(case(*"abdef"), process_map)) == [("skipped_step", "c")]
    assert kinds(found(case(*"abcbcdef"), process_map)) == [("rework_loop", "b"), ("rework_loop", "c")]
    assert [kind for kind, _ in kinds(found(case(*"abecdf"), process_map))] == ["wrong_order"]
    assert found(case(*"abcdef"), process_map) == []


@pytest.mark.parametrize(
    ("rule", "steps", "expected"),
    [
        (Rule("existence", "a"), "bc", [("skipped_step", "a")]),
        (Rule("existence", "a", times=2), "ab", [("skipped_step", "a")]),
        (Rule("absence", "a"), "ba", [("wrong_order", "a")]),
        (Rule("absence", "a", times=2), "aba", [("rework_loop", "a")]),
        (Rule("exactly", "a"), "aba", [("rework_loop", "a")]),
        (Rule("init", "a"), "ba", [("wrong_order", "b")]),
        (Rule("init", "a"), "bc", [("skipped_step", "a")]),
        (Rule("end", "a"), "ab", [("wrong_order", "b")]),
        (Rule("response", "a", "b"), "ac", [("skipped_step", "b")]),
        (Rule("response", "a", "b"), "bac", [("wrong_order", "b")]),
        (Rule("response", "a", "b"), "acb", []),
        (Rule("precedence", "a", "b"), "bc", [("skipped_step", "a")]),
        (Rule("precedence", "a", "b"), "ba", [("wrong_order", "b")]),
        (Rule("succession", "a", "b"), "ab", []),
        (Rule("chain_response", "a", "b"), "acb", [("wrong_order", "c")]),
        (Rule("chain_precedence", "a", "b"), "acb", [("wrong_order", "b")]),
        (Rule("chain_succession", "a", "b"), "abab", []),
        (Rule("not_coexistence", "a", "b"), "acb", [("wrong_order", "b")]),
    ],
)
def test_each_declare_template_finds_its_violation(rule, steps, expected):
    process_map = ProcessMap("m", tuple(Step(name, (name,)) for name in "abc"), rules=(rule,))
    assert kinds(found(case(*steps), process_map)) == expected


def test_each_case_is_held_against_the_maps_that_apply_to_it():
    strict = ProcessMap("strict", (Step("a", ("a",), mandatory=True), Step("b", ("b",))))
    events = [
        Event("1", "b", START, attributes={"case": {"tasks": ["strict", "other"]}}),
        Event("2", "b", START, attributes={"case": {"tasks": ["other"]}}),
    ]
    maps = [replace(strict, applies_to=AppliesTo("tasks", "strict"))]
    assert [one.case_id for one in to_records(find_deviations(log_of(events).events, maps))] == ["1"]
    by_case = find_deviations(log_of(events).events, {"2": strict})
    assert by_case["case_id"].to_list() == ["2"]


STEPS = ("register", "assess", "pay", "reject", "close", "unknown", "noise")
moments = st.integers(0, 60 * 24 * 12).map(lambda minutes: START + timedelta(minutes=minutes))
events_of_a_case = st.lists(
    st.tuples(st.sampled_from(STEPS), moments, st.sampled_from([None, "A", "B", "C"])),
    min_size=1,
    max_size=14,
)
FLOW = {"register": ("assess",), "assess": ("pay", "reject"), "pay": ("close",), "reject": ("close",)}


def event_list(rows, case_id="c"):
    return [Event(case_id, activity, time, resource) for activity, time, resource in rows]


def variants_of_the_map() -> list[ProcessMap]:
    plain = replace(claims(), ignore=("noise",), unlisted_deviate=True)
    rules = (*plain.rules, Rule("response", "assess", "close"), Rule("chain_response", "pay", "close"))
    return [plain, replace(plain, rules=rules, end=(), stalled_s=None), replace(plain, flow=FLOW)]


@settings(max_examples=120, deadline=None)
@given(st.lists(events_of_a_case, min_size=1, max_size=4), st.sampled_from(variants_of_the_map()))
def test_bulk_equals_case_by_case(cases, process_map):
    """One definition of every deviation, whichever way it is computed."""
    logs = [event_list(rows, str(no)) for no, rows in enumerate(cases)]
    table = log_of(event for rows in logs for event in rows).events
    now = START + timedelta(days=30)

    bulk = to_records(find_deviations(table, process_map, now=now))
    single = [one for rows in logs for one in find_case_deviations(once(rows), process_map, now=now)]

    assert sort(bulk) == sort(single)


def once(rows: list[Event]) -> list[Event]:
    """Without exact repeats, as a log is read."""
    seen: list[Event] = []
    for event in rows:
        if event not in seen:
            seen.append(event)
    return seen


def sort(deviations):
    return sorted(deviations, key=repr)


def strict_map() -> ProcessMap:
    """A map against which a random case shows every kind of deviation sooner or later."""
    steps = tuple(replace(step, max_repeats=0) for step in claims().steps)
    return replace(claims(), steps=steps, max_ping_pong=1, handoff_limit_s=3600.0, tolerance=Tolerance())


def learned() -> Baseline:
    """What is usual in claims that went as they should, with limits learned from their times."""
    ways = ("register", "assess", "pay", "close"), ("register", "assess", "reject", "close")
    events = [
        replace(event, timestamp=event.timestamp + timedelta(minutes=7 * no % 50) * at)
        for no in range(60)
        for at, event in enumerate(case(*ways[no % 2], resources="AABC", case_id=str(no)))
    ]
    return learn_baseline(log_of(events).events)


def grown(events: list[Event], reference: ProcessMap | Baseline, random: Random, now: datetime):
    """What a case says in the end whose events came out of order, late and some of them twice."""
    arrivals = list(enumerate(events))
    arrivals += random.sample(arrivals, k=len(arrivals) // 2)
    random.shuffle(arrivals)
    state = CaseState("c", reference)
    for order, event in arrivals:
        state.add(event, order=order)
        state.deviations(now=now)
    return state.deviations(now=now)


@settings(max_examples=150, deadline=None)
@given(
    events_of_a_case,
    st.sampled_from([*variants_of_the_map(), strict_map(), learned()]),
    st.randoms(use_true_random=False),
)
def test_a_state_that_grew_out_of_order_and_twice_equals_a_full_computation(rows, reference, random):
    events, now = event_list(rows), START + timedelta(days=30)

    whole = to_records(find_deviations(log_of(events).events, reference, now=now))

    assert grown(events, reference, random, now) == whole


def test_so_it_does_for_each_of_the_seven_kinds():
    random, now, seen = Random(4), START + timedelta(days=30), Counter()
    for _ in range(150):
        events = [
            Event(
                "c", random.choice(STEPS), START + timedelta(hours=random.randrange(300)), random.choice("AB")
            )
            for _ in range(random.randrange(1, 12))
        ]
        whole = to_records(find_deviations(log_of(events).events, strict_map(), now=now))
        assert grown(events, strict_map(), random, now) == whole
        seen.update({one.kind for one in whole})
    assert set(seen) == set(DEVIATION_KINDS)
    assert min(seen.values()) >= 10


def test_a_state_refuses_an_event_of_another_case():
    with pytest.raises(ValueError, match="given to case"):
        CaseState("a", claims()).add(Event("b", "register", START))


def test_an_empty_result_has_the_columns_of_a_full_one():
    empty = find_deviations(log_of(case("register")).events, claims())
    assert isinstance(empty, pl.DataFrame)
    assert empty.columns[:7] == [
        "case_id", "kind", "step", "from_step", "timestamp", "magnitude_s", "event_index"
    ]  # fmt: skip
