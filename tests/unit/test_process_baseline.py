"""The learned baseline: what is usual stays unflagged, planted slips are found, drafts of maps hold."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from voc.errors import LogError
from voc.process.baseline import learn_baseline
from voc.process.deviations import find_case_deviations, find_deviations, to_records
from voc.process.discover import discover_map
from voc.process.logs import log_of
from voc.process.map_checks import check_map
from voc.process.map_files import parse_maps
from voc.process.map_writer import write_map
from voc.process.maps import END_TO_END
from voc.records import Event

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
PATHS = ("abcdefg", "abcdefg", "abcdefg", "abhig", "abhig")
SLIPS = {"skip": "abdefg", "rework": "abcbcdefg", "order": "abdecfg", "insert": "abchdefg"}


def usual(n_cases: int, seed: int = 0) -> list[str]:
    """Cases of two ways, one of them with two steps in either order."""
    rng = random.Random(seed)
    return [rng.choice((*PATHS, "abcedfg")) for _ in range(n_cases)]


def log(traces, *, times: bool = False, seed: int = 0):
    rng = random.Random(seed)
    events = []
    for no, trace in enumerate(traces):
        now = START + timedelta(hours=no)
        for step in trace:
            now += timedelta(minutes=rng.lognormvariate(3, 0.3))
            resource = "AB"[step in "defg"]
            events.append(Event(str(no), step, now if times else None, resource if times else None))
    return events


def flagged(events):
    found = to_records(find_deviations(log_of(events).events))
    return {(one.case_id, one.kind) for one in found}


def test_what_is_usual_is_not_flagged():
    assert flagged(log(usual(400))) == set()
    assert flagged(log(usual(400), times=True)) == set()


def test_planted_slips_are_found_with_their_kind_and_nothing_else_is():
    traces = [*usual(400), *SLIPS.values()]
    kinds = dict(flagged(log(traces)))
    assert kinds == {
        "400": "skipped_step",
        "401": "rework_loop",
        "402": "wrong_order",
        "403": "wrong_order",
    }


def test_slips_are_found_when_a_fifth_of_the_cases_deviate():
    rng = random.Random(5)
    clean = usual(600)
    bad = []
    for trace in usual(150, seed=9):
        at = rng.randrange(1, len(trace) - 1)
        bad.append(
            rng.choice(
                [trace[:at] + trace[at + 1 :], trace[: at + 1] + rng.choice("abcdefghi") + trace[at + 1 :]]
            )
        )
    found = {int(case) for case, _ in flagged(log([*clean, *bad]))}
    hits = sum(case >= 600 for case in found)
    assert hits >= 110  # a slip that a dozen cases share is taken for a way of its own
    assert len(found) - hits <= 5


def test_a_slow_case_is_flagged_and_its_wait_is_told_once():
    events = log(usual(300), times=True)
    late = [
        Event(e.case_id, e.activity, e.timestamp + timedelta(days=3 * (e.activity in "dhefgi")), e.resource)
        if e.case_id == "7"
        else e
        for e in events
    ]
    found = [one for one in to_records(find_deviations(log_of(late).events)) if one.step != END_TO_END]
    assert len({one.case_id for one in found}) == 1
    assert len(found) == 1
    assert found[0].basis == "baseline"


def test_a_case_that_stops_early_long_ago_is_stalled_and_skipped_nothing():
    events = log([*usual(300)[:-1], "abc"], times=True)
    early = [
        Event(e.case_id, e.activity, e.timestamp - timedelta(days=60), e.resource)
        if e.case_id == "299"
        else e
        for e in events
    ]
    assert flagged(early) == {("299", "stalled")}


def test_the_baseline_says_the_same_in_bulk_and_case_by_case():
    events = log([*usual(200), *SLIPS.values(), "xyz"], times=True)
    table = log_of(events).events
    baseline = learn_baseline(table)
    now = max(event.timestamp for event in events)
    cases: dict[str, list[Event]] = {}
    for event in events:
        cases.setdefault(event.case_id, []).append(event)

    bulk = to_records(find_deviations(table, baseline, now=now))
    single = [one for case in cases.values() for one in find_case_deviations(case, baseline, now=now)]

    assert bulk
    assert sorted(map(repr, bulk)) == sorted(map(repr, single))


def test_an_activity_the_baseline_never_saw_does_not_belong():
    baseline = learn_baseline(log_of(log(usual(200))).events)
    (one,) = find_case_deviations(log(["abczdefg"]), baseline)
    assert (one.kind, one.step) == ("wrong_order", "z")


def test_a_drafted_map_is_valid_reads_back_and_finds_the_slips_it_was_not_drawn_from():
    clean = log_of(log(usual(300), times=True)).events
    process_map, notes = discover_map(clean, "draft")
    check_map(process_map)
    assert parse_maps(write_map(process_map, notes)) == [process_map]
    assert [step.name for step in process_map.steps if step.mandatory] == ["a", "b", "g"]
    assert process_map.end == ("g",)
    assert {step.name: step.owner for step in process_map.steps}["d"] == "B"

    assert find_deviations(clean, process_map).is_empty()
    found = to_records(find_deviations(log_of(log(SLIPS.values(), times=True)).events, process_map))
    assert {one.case_id for one in found} == {"0", "1", "2", "3"}


def test_too_few_cases_make_no_map():
    with pytest.raises(LogError, match="fewer than 20 would be chance"):
        discover_map(log_of(log(usual(19))).events, "draft")


def test_a_case_the_log_does_not_have_is_judged_by_what_it_learned():
    """A baseline goes on judging cases that come later, whatever they hold."""
    baseline = learn_baseline(log_of(log(usual(400))).events)
    assert baseline.check("abcdefg") == []
    for trace in ("g", "a", "gfedcba", "ax", "xyz"):
        baseline.check(trace)
    assert [(one.kind, one.step) for one in baseline.check("abcdxefg")] == [("wrong_order", "x")]
