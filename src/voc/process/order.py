"""The order of steps in one case, held against a process map: rework, skipped steps, wrong order."""

import math
from collections.abc import Sequence

from voc.process.findings import Finding, from_slips, merge
from voc.process.maps import ProcessMap
from voc.process.rules import Visit, Walk, check_counts, check_rules
from voc.process.sequences import END, START, Trace
from voc.process.slips import MAX_BLOCK, Explanation, explain

_MOST_WAYS = 12  # in a dense flow there are too many ways for any one to say much
_FORBIDDEN = math.log(1e-9)  # a move that the flow does not list


class MapOrder:
    """Checks sequences of activities against one map. Made once, used for many cases."""

    def __init__(self, process_map: ProcessMap) -> None:
        self.map = process_map
        self._step_of = process_map.step_of()
        self._ignored = set(process_map.ignore)
        self._place = {step.name: at for at, step in enumerate(process_map.steps)}
        self._flow = _Flow(process_map) if process_map.flow else None

    def check(self, activities: Sequence[str]) -> list[Finding]:
        """What deviates in one case, given its activities in order; positions are into `activities`."""
        visits: list[Visit] = []
        found: list[Finding] = []
        broken = False  # by an activity of no step: coming back to a step after it is another visit
        for at, activity in enumerate(activities):
            if activity in self._ignored:
                continue
            step = self._step_of.get(activity)
            if step is None:
                broken = True
                if self.map.unlisted_deviate:
                    before = visits[-1].step if visits else None
                    found.append(Finding("wrong_order", activity, before, (at,)))
            elif visits and visits[-1].step == step and not broken:
                visits[-1] = Visit(step, (*visits[-1].events, at))
            else:
                visits.append(Visit(step, (at,)))
                broken = False
        if visits:
            closed = not self.map.end or any(visit.step in self.map.end for visit in visits)
            walk = Walk(visits, closed=closed)
            found += check_counts(walk, self.map, self._place)
            found += check_rules(walk, self.map, self._place)
            if self._flow is not None:
                found += self._flow.check(walk)
        return merge(found)


class _Flow:
    """The flow of a map as a model that `explain` can weigh: listed moves are free, others are not."""

    def __init__(self, process_map: ProcessMap) -> None:
        self.names = [step.name for step in process_map.steps]
        code = {name: at for at, name in enumerate(self.names)}
        self.n_steps = len(self.names)
        self._next: dict[int, set[int]] = {
            code[name]: {code[after] for after in nexts} for name, nexts in process_map.flow.items()
        }
        self._start = {code[name] for name in process_map.start}
        self._end = {code[name] for name in process_map.end}
        self._code = code
        self._closed = True
        self._ways: dict[tuple[int, int], list[Trace]] = {}
        self.usual_log = 0.0
        self.slip_share = 1.0

    def check(self, walk: Walk) -> list[Finding]:
        """What leaves the flow; how often a step comes again in a row is for `max_repeats` to judge."""
        walk = Walk(_without_repeats(walk.visits), closed=walk.closed)
        trace = tuple(self._code[visit.step] for visit in walk.visits)
        self._closed = walk.closed
        logs = self.step_logs(trace)
        if max(logs) == min(logs) == 0.0:
            return []
        explanation = explain(trace, self)
        found = from_slips(explanation.slips, [visit.step for visit in walk.visits], self.names)
        found += self._left_over(explanation, walk)
        return [
            Finding(
                one.kind,
                one.step,
                one.from_step,
                walk.events(one.events)
                if one.kind != "skipped_step"
                else walk.visits[one.events[0]].events[:1],
                None if one.since is None else walk.visits[one.since].events[-1],
            )
            for one in found
        ]

    def _left_over(self, explanation: Explanation, walk: Walk) -> list[Finding]:
        """Moves that no slip explains: each arrives where it must not come from there."""
        found = []
        logs = self.step_logs(explanation.trace)
        for at, place in enumerate(explanation.places):
            if logs[at] < 0.0 and place >= 0:
                found.append(Finding("wrong_order", walk.visits[place].step, walk.before(place), (place,)))
        return found

    def view(self, trace: Trace, *, left_out: bool) -> "_Flow":
        return self

    def step_logs(self, trace: Trace, start: int = 0, stop: int | None = None) -> list[float]:
        padded = (START, *trace, END)
        stop = len(trace) + 1 if stop is None else stop
        return [0.0 if self._allows(padded[at], padded[at + 1]) else _FORBIDDEN for at in range(start, stop)]

    def pair_log(self, left: int, right: int) -> float:
        """0 where the flow allows the move, else -inf."""
        return 0.0 if self._allows(left, right) else -math.inf

    def _allows(self, left: int, right: int) -> bool:
        if left == START:
            return not self._start or right in self._start
        if right == END:
            return not self._end or not self._closed or left in self._end
        return left not in self._next or right in self._next[left]

    def log_share(self, trace: Trace, ngram: float | None = None) -> float:
        return sum(self.step_logs(trace)) if ngram is None else ngram

    def fillers(self, left: int, right: int, *, max_steps: int = MAX_BLOCK) -> list[Trace]:
        """Ways from `left` to `right` along the flow, the shortest ones through up to `max_steps` steps."""
        found = self._ways.get((left, right))
        if found is None:
            found = self._ways[left, right] = self._find_ways(left, right, max_steps)
        return found

    def _find_ways(self, left: int, right: int, max_steps: int) -> list[Trace]:
        ways: list[Trace] = [()]
        for _ in range(max_steps):
            grown: list[Trace] = []
            for way in ways:
                here = way[-1] if way else left
                nexts = self._start if here == START else self._next.get(here, set())
                grown += [(*way, step) for step in sorted(nexts) if step not in way and step != right]
            found = [way for way in grown if self._leads(way[-1], right)]
            if found:
                return found[:_MOST_WAYS]
            ways = grown[: _MOST_WAYS * _MOST_WAYS]
        return []

    def _leads(self, left: int, right: int) -> bool:
        return left in self._end if right == END else right in self._next.get(left, set())


def _without_repeats(visits: Sequence[Visit]) -> list[Visit]:
    merged: list[Visit] = []
    for visit in visits:
        if merged and merged[-1].step == visit.step:
            merged[-1] = Visit(visit.step, (*merged[-1].events, *visit.events))
        else:
            merged.append(visit)
    return merged
