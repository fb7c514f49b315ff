"""External factors: windows of outages and the like, left out of figures and put back at will."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from voc.records import Change
from voc.rootcause.times import to_utc

OPEN_ENDED = timedelta(days=1)  # a change with no end on record counts for a day


@dataclass(frozen=True, slots=True)
class Window:
    """When an external change held, end excluded; `scope` as in `records.Change`."""

    change_id: str
    title: str
    start: datetime
    end: datetime
    scope: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many cases a window took out; a case that two windows hold counts for the first."""

    window: Window
    n_cases: int


def external_windows(changes: Iterable[Change]) -> list[Window]:
    """The windows of those changes that are external, by start."""
    found = [
        Window(c.id, c.title, c.started_at, c.ended_at or c.started_at + OPEN_ENDED, c.scope)
        for c in changes
        if c.external
    ]
    return sorted(found, key=lambda window: (window.start, window.change_id))


def as_spans(windows: Iterable[Window]) -> list[tuple[float, float, str | None]]:
    """What `spikes.find_spikes` leaves out: first and last second since 1970, and the app or None for all."""
    return [(w.start.timestamp(), w.end.timestamp() - 1.0, w.scope.get("app")) for w in windows]


def leave_out(cases: pl.DataFrame, windows: Sequence[Window]) -> tuple[pl.DataFrame, list[LeftOut]]:
    """The cases that began outside every window, and how many each window took.

    A window with a scope takes only cases of that scope, as far as the cases have its columns (a window
    of region "north" leaves those of other regions); cases without a start stay.

    Parameters
    ----------
    cases : case_id, and started_at where known; without it nothing is left out
    """
    if not windows or "started_at" not in cases.columns:
        return cases, [LeftOut(window, 0) for window in windows]
    told = cases.with_columns(to_utc(cases["started_at"], file="cases", required=False).alias("_began"))
    taken = []
    for window in windows:
        inside = (pl.col("_began") >= window.start) & (pl.col("_began") < window.end)
        for name, value in window.scope.items():
            if name in cases.columns:
                inside &= pl.col(name).cast(pl.String) == value
        kept = told.filter(~inside.fill_null(value=False))
        taken.append(LeftOut(window, told.height - kept.height))
        told = kept
    return told.drop("_began"), taken
