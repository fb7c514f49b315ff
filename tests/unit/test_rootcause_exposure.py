"""Who had a change: counts by hand, a rise of everyone, a rise of those who had it."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from voc.records import Change
from voc.rootcause.exposure import measure_exposure

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHANGE = Change("c", "", NOON, scope={"app": "Mail", "version": "2"})


def feedback(**days):
    """Rows of version -> days after the change."""
    rows = [(NOON + timedelta(days=day), name[1:], "Mail") for name, said in days.items() for day in said]
    rows.append((NOON + timedelta(days=1), "2", "Maps"))
    return pl.DataFrame(rows, schema=["timestamp", "version", "app"], orient="row")


def test_complaints_are_counted_by_group_and_side_within_the_windows():
    found = measure_exposure(feedback(v1=[-40, -2, -1, 0, 8], v2=[-3, 0, 1, 2]), CHANGE)
    counts = (found.n_exposed_before, found.n_exposed_after, found.n_others_before, found.n_others_after)
    assert (found.columns, counts) == (("version",), (1, 3, 2, 1))
    assert found.ratio == pytest.approx(3.5 * 2.5 / (1.5 * 1.5))


def test_a_rise_of_those_who_had_it_stands_out_and_one_of_everyone_does_not():
    calm, burst = [-d for d in range(1, 21)], [0.1 * d for d in range(30)]
    alone = measure_exposure(feedback(v1=[*calm, *range(5)], v2=[*calm, *burst]), CHANGE)
    everyone = measure_exposure(feedback(v1=[*calm, *burst], v2=[*calm, *burst]), CHANGE)
    assert alone.p_value < 0.01
    assert (everyone.ratio, everyone.p_value) == (pytest.approx(1.0), pytest.approx(0.5))


def test_where_the_feedback_does_not_tell_nothing_is_said():
    assert measure_exposure(feedback(v2=[0]).drop("version"), CHANGE) is None
    assert measure_exposure(feedback(v2=[0]), Change("c", "", NOON, scope={"app": "Mail"})) is None
    assert measure_exposure(feedback(v2=[0, 1]), CHANGE).p_value is None
