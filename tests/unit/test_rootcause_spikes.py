"""Spikes and candidate changes on made-up feedback: steady, growing, bursting, shifting."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from voc.errors import InputError
from voc.records import Change
from voc.rootcause.baseline import fit_baseline
from voc.rootcause.changes import candidates
from voc.rootcause.series import build_series
from voc.rootcause.spikes import find_spikes

START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday


def feedback(rates, seed=0, **columns):
    """Texts at Poisson times, one rate a day."""
    rng = np.random.default_rng(seed)
    days = np.repeat(np.arange(len(rates)), rng.poisson(rates))
    at = [START + timedelta(days=float(d + u)) for d, u in zip(days, rng.random(len(days)), strict=True)]
    return pl.DataFrame({"timestamp": at}).with_columns(**{k: pl.lit(v) for k, v in columns.items()})


def spikes_of(table, **options):
    return [s for one in find_spikes(build_series(table), **options) for s in one.spikes]


def burst(n_days=200, rate=20.0, first=100, length=5, factor=3.0):
    rates = np.full(n_days, rate)
    rates[first : first + length] *= factor
    return rates


def test_a_steady_series_has_no_spike():
    assert [spikes_of(feedback(np.full(300, 15.0), seed)) for seed in range(5)] == [[]] * 5


def test_a_weekly_pattern_is_not_a_spike():
    rates = np.where(np.arange(300) % 7 < 5, 10.0, 30.0)

    assert spikes_of(feedback(rates)) == []


def test_steady_growth_is_not_a_spike():
    rates = 10 * np.exp(np.linspace(0, 1.2, 300))

    assert spikes_of(feedback(rates)) == []


def test_a_burst_is_found_with_its_days_and_size():
    (spike,) = spikes_of(feedback(burst()))

    assert abs(spike.first - 100) <= 1
    assert abs(spike.last - 104) <= 1
    assert spike.observed / spike.expected == pytest.approx(3.0, rel=0.25)
    assert spike.onset_low_s <= spike.onset_s <= spike.onset_high_s


def test_a_burst_in_the_first_weeks_is_found():
    assert len(spikes_of(feedback(burst(first=8)))) == 1


def test_a_lasting_rise_is_one_spike_and_then_the_new_level():
    rates = np.where(np.arange(300) < 150, 15.0, 45.0)

    (spike,) = spikes_of(feedback(rates))

    assert abs(spike.first - 150) <= 1
    assert spike.last - spike.first + 1 <= 28


def test_an_external_window_hides_its_days_only():
    table = feedback(burst() + burst(first=160) - 20)
    day = 86_400.0
    window = (START.timestamp() + 99 * day, START.timestamp() + 106 * day, None)

    (spike,) = spikes_of(table, external=[window])

    assert abs(spike.first - 160) <= 1


def test_series_are_counted_by_app_and_within_it_by_theme_and_signal():
    table = pl.concat(
        [
            feedback(np.full(60, 3.0), app="A", theme="login", signals='["delay","safety"]'),
            feedback(np.full(60, 3.0), 1, app="A", theme="price", signals="delay"),
            feedback(np.full(60, 3.0), 2, app="B", theme="login", signals=""),
        ]
    )

    names = {s.name for s in build_series(table)}

    assert names == {"app=A", "app=A theme=login", "app=A theme=price", "app=A signal=safety", "app=B"}


def test_a_theme_spans_its_apps_time_so_its_silence_counts():
    table = pl.concat(
        [
            feedback(np.full(100, 5.0), theme="old"),
            feedback(burst(100, 0.0001, 90, 10, 60_000.0), 1, theme="new"),
        ]
    )

    new = next(s for s in build_series(table) if s.name == "theme=new")
    found = [s for one in find_spikes([new]) for s in one.spikes]

    assert len(new.counts) == 100
    assert len(found) == 1


def change(name, day, app=None):
    return Change(name, name, START + timedelta(days=day), scope={"app": app} if app else {})


def named(table, changes):
    return [
        [c.change_id for c in candidates(one, spike, changes)]
        for one in find_spikes(build_series(table))
        for spike in one.spikes
    ]


def test_the_nearest_change_before_comes_first_and_later_ones_are_not_named():
    changes = [change("far", 98.5), change("near", 99.9), change("after", 102), change("old", 80)]

    assert named(feedback(burst()), changes)[0][0] == "near"
    assert "after" not in named(feedback(burst()), changes)[0]
    assert "old" not in named(feedback(burst()), changes)[0]


def test_changes_of_another_app_are_not_named():
    table = pl.concat([feedback(burst(), app="A"), feedback(np.full(200, 20.0), 1, app="B")])

    assert named(table, [change("b", 99.9, "B")]) == [[]]
    assert named(table, [change("a", 99.9, "A"), change("b", 99.9, "B")]) == [["a"]]
    assert named(table, [change("everywhere", 99.9)]) == [["everywhere"]]


def test_no_change_near_gives_no_candidate():
    assert named(feedback(burst()), [change("old", 60), change("later", 150)]) == [[]]


def test_a_candidates_interval_holds_its_ratio_and_excludes_one():
    (one,) = find_spikes(build_series(feedback(burst())))

    (c,) = candidates(one, one.spikes[0], [change("near", 99.9)])

    assert 1 < c.ci_low < c.rate_ratio < c.ci_high
    assert 0 < c.p_value <= 0.05
    assert c.rate_ratio == pytest.approx(3.0, rel=0.35)


def test_the_baseline_learns_level_and_weekday():
    counts = np.where(np.arange(210) % 7 == 6, 40.0, 10.0)
    weekday = np.arange(210) % 7

    base = fit_baseline(counts, weekday, np.zeros(210, dtype=bool), [])

    assert base.expected == pytest.approx(counts, rel=0.1)
    assert min(base.dispersion.values()) == 1.0


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pl.DataFrame({"text": ["a"]}), "timestamp"),
        (pl.DataFrame({"timestamp": ["2024-01-01", "2024-01-05"]}), "too little time"),
        (pl.DataFrame({"timestamp": ["2024-01-01", "soon"]}), "row 2"),
    ],
)
def test_feedback_that_cannot_be_counted_is_refused(table, says):
    with pytest.raises(InputError, match=says):
        build_series(table)
