"""One case as it grows: events come late, out of order and twice; its deviations are those of the whole."""

import bisect
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from voc.process.deviations import Reference, find_case_deviations
from voc.records import Deviation, Event

_NO_TIME = datetime.min.replace(tzinfo=UTC)
_Key = tuple[datetime, int, str, str, str]


class CaseState:
    """The events of one case in order, and what deviates in them.

    Events are put in order by time, then by `order` (their place in the source, where it has one), then
    by what they say; so the state does not depend on the order they arrived in.
    """

    def __init__(self, case_id: str, maps: Reference | Sequence[Reference]) -> None:
        self.case_id = case_id
        self._maps = maps
        self._keys: list[_Key] = []
        self._events: list[Event] = []
        self._known: dict[tuple[datetime | None, str, str, str, int | None], _Key] = {}
        self._found: tuple[datetime | None, list[Deviation]] | None = None

    @property
    def events(self) -> tuple[Event, ...]:
        """The events so far, in order; a deviation's `event_index` points into them."""
        return tuple(self._events)

    def add(self, event: Event, *, order: int | None = None) -> bool:
        """Take in an event; False where it was there already (an exact repeat changes nothing).

        Two events without a time are the same only if they have the same `order`. Raises `ValueError`
        for an event of another case.
        """
        if event.case_id != self.case_id:
            raise ValueError(f"event of case {event.case_id!r} given to case {self.case_id!r}")
        said = json.dumps(dict(event.attributes), sort_keys=True, default=str)
        place = None if event.timestamp else order
        identity = (event.timestamp, event.activity, event.resource or "", said, place)
        key = (event.timestamp or _NO_TIME, order or 0, event.activity, event.resource or "", said)
        known = None if event.timestamp is None and order is None else self._known.get(identity)
        if known is not None and known <= key:
            return False
        if known is not None:
            # The copy that stands earlier in the source is the one a log read whole would keep.
            at = bisect.bisect_left(self._keys, known)
            del self._keys[at], self._events[at]
        self._known[identity] = key
        at = bisect.bisect_right(self._keys, key)
        self._keys.insert(at, key)
        self._events.insert(at, event)
        self._found = None
        return known is None

    def deviations(self, *, now: datetime | None = None) -> list[Deviation]:
        """What deviates in the events so far, as of `now`; computed again only after a change."""
        if self._found is None or self._found[0] != now:
            self._found = (now, find_case_deviations(self._events, self._maps, now=now))
        return list(self._found[1])
