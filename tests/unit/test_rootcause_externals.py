"""External windows: which cases they take, and how they come back."""

from datetime import UTC, datetime, timedelta

import polars as pl

from voc.records import Change
from voc.rootcause.externals import as_spans, external_windows, leave_out

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def change(name: str, hours: float, *, external: bool = True, end: float | None = None, **scope) -> Change:
    return Change(
        name,
        name,
        NOON + timedelta(hours=hours),
        None if end is None else NOON + timedelta(hours=end),
        scope=scope,
        external=external,
    )


def cases(*hours: float | None, **columns):
    began = [None if h is None else NOON + timedelta(hours=h) for h in hours]
    ids = [str(no) for no in range(len(hours))]
    return pl.DataFrame(
        {"case_id": ids, "started_at": pl.Series(began, dtype=pl.Datetime("us", "UTC"))} | columns
    )


def test_only_external_changes_make_windows_by_start_and_one_without_end_lasts_a_day():
    windows = external_windows([change("b", 5, end=6), change("no", 0, external=False), change("a", 1)])

    assert [w.change_id for w in windows] == ["a", "b"]
    assert windows[0].end - windows[0].start == timedelta(days=1)
    assert as_spans(windows)[1] == (windows[1].start.timestamp(), windows[1].end.timestamp() - 1, None)


def test_cases_that_began_inside_are_left_out_and_counted_once():
    windows = external_windows([change("a", 0, end=4), change("b", 2, end=6)])

    kept, taken = leave_out(cases(-1, 0, 3, 4, 6, None), windows)

    assert kept["case_id"].to_list() == ["0", "4", "5"]  # the end is outside; so is no time at all
    assert [(one.window.change_id, one.n_cases) for one in taken] == [("a", 2), ("b", 1)]
    assert kept.columns == ["case_id", "started_at"]


def test_a_window_with_a_scope_takes_its_own_cases_alone():
    (window,) = external_windows([change("north", 0, end=4, region="north", app="Mail")])

    kept, _ = leave_out(cases(1, 1, region=["north", "south"]), [window])

    assert kept["region"].to_list() == ["south"]


def test_with_no_window_every_case_is_there_again():
    table = cases(1, 2)
    assert leave_out(table, external_windows([change("a", 0, external=False)]))[0].equals(table)
    assert leave_out(table.drop("started_at"), external_windows([change("a", 0)]))[0].height == 2
