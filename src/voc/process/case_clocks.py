"""Waits and handoffs of one case, event by event: what `clocks` and `ping_pong` find in bulk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from voc.process.maps import END_TO_END, ProcessMap
from voc.records import Event


@dataclass(frozen=True, slots=True)
class TimedFinding:
    """A deviation that needs times: the fields are those of `records.Deviation`."""

    kind: str
    step: str
    from_step: str | None
    timestamp: datetime
    magnitude_s: float
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    position: int
    step: str
    time: datetime
    resource: str | None


def find_in_case(events: Sequence[Event], process_map: ProcessMap, now: datetime) -> list[TimedFinding]:
    """Time and handoff deviations of the ordered events of one case, all with times."""
    step_of = process_map.step_of()
    rows = [
        _Row(at, step_of.get(event.activity, event.activity), event.timestamp, event.resource)
        for at, event in enumerate(events)
        if event.activity not in process_map.ignore and event.timestamp is not None
    ]
    if not rows:
        return []
    return [
        *_handoffs(rows, process_map),
        *_steps(rows, process_map),
        *_whole(rows, process_map, now),
        *_ping_pong(rows, process_map),
    ]


def _seconds(start: datetime, stop: datetime) -> float:
    return (stop - start) // timedelta(microseconds=1) / 1_000_000


def _handoffs(rows: list[_Row], process_map: ProcessMap) -> Iterator[TimedFinding]:
    limits = {
        step.name: step.handoff_limit_s for step in process_map.steps if step.handoff_limit_s is not None
    }
    for before, row in pairwise(rows):
        limit = limits.get(row.step, process_map.handoff_limit_s)
        if limit is None or None in (before.resource, row.resource) or before.resource == row.resource:
            continue
        waited = _seconds(before.time, row.time)
        if waited > process_map.tolerance.stretch(limit):
            events = (before.position, row.position)
            yield TimedFinding("handoff_delay", row.step, before.step, row.time, waited - limit, events)


def _steps(rows: list[_Row], process_map: ProcessMap) -> Iterator[TimedFinding]:
    limits = {step.name: step.service_level_s for step in process_map.steps}
    since = rows[0]
    for at, row in enumerate(rows):
        if at and row.step != rows[at - 1].step:
            since = rows[at - 1]
        limit = limits.get(row.step)
        if limit is None or (at + 1 < len(rows) and rows[at + 1].step == row.step):
            continue
        took = _seconds(since.time, row.time)
        if took > process_map.tolerance.stretch(limit):
            # The clock of a case's first step starts with its own first event: no step came before.
            from_step = None if since is rows[0] and since.step == row.step else since.step
            events = tuple(dict.fromkeys((since.position, row.position)))
            yield TimedFinding("sla_breach", row.step, from_step, row.time, took - limit, events)


def _whole(rows: list[_Row], process_map: ProcessMap, now: datetime) -> Iterator[TimedFinding]:
    first, last = rows[0], rows[-1]
    closed = not process_map.end or any(row.step in process_map.end for row in rows)
    if (level := process_map.service_level_s) is not None:
        took = _seconds(first.time, last.time if closed else max(last.time, now))
        limit = process_map.tolerance.stretch(level)
        if took > limit:
            passed = last.time if closed else first.time + _span(limit)
            events = tuple(dict.fromkeys((first.position, last.position)))
            yield TimedFinding("sla_breach", END_TO_END, None, passed, took - level, events)
    if (rest := process_map.stalled_s) is not None and not closed:
        took = _seconds(last.time, now)
        limit = process_map.tolerance.stretch(rest)
        if took > limit:
            passed = last.time + _span(limit)
            yield TimedFinding("stalled", last.step, None, passed, took - rest, (last.position,))


def _span(limit_s: float) -> timedelta:
    return timedelta(microseconds=round(limit_s * 1_000_000))


def _ping_pong(rows: list[_Row], process_map: ProcessMap) -> Iterator[TimedFinding]:
    most = process_map.max_ping_pong
    if most is None:
        return
    turns: list[_Row] = []
    for row in rows:
        if row.resource is not None and (not turns or turns[-1].resource != row.resource):
            turns.append(row)
    first = 0
    for at in range(1, len(turns) + 1):
        if at < len(turns) and (at - first < 2 or turns[at].resource == turns[at - 2].resource):
            continue
        stretch = turns[first:at]
        if len(stretch) - 1 > max(most, 1):
            told, before = stretch[most + 1], stretch[most]
            yield TimedFinding(
                "ping_pong",
                told.step,
                before.step,
                told.time,
                _seconds(before.time, stretch[-1].time),
                tuple(turn.position for turn in stretch),
            )
        first = at - 1
