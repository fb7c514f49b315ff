"""Plain figures of a log, worked by hand."""

from datetime import UTC, datetime, timedelta

from voc.process.figures import case_durations, count_directly_follows, count_rework
from voc.process.logs import log_of
from voc.records import Event

START = datetime(2026, 3, 2, tzinfo=UTC)
LOG = log_of(
    Event(case, step, START + timedelta(hours=at))
    for case, steps in (("1", "abab"), ("2", "aab"), ("3", "b"))
    for at, step in enumerate(steps)
).events


def test_rework_counts_the_cases_in_which_an_activity_comes_again():
    assert count_rework(LOG).rows() == [("a", 2), ("b", 1)]


def test_directly_follows_counts_neighbours_within_a_case_alone():
    assert count_directly_follows(LOG).rows() == [("a", "a", 1), ("a", "b", 3), ("b", "a", 1)]


def test_a_case_lasts_from_its_first_event_to_its_last():
    assert case_durations(LOG).rows() == [("1", 10800.0), ("2", 7200.0), ("3", 0.0)]
