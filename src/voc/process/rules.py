"""Order rules and step counts of a process map, checked on the visits of one case."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from voc.process.findings import Finding
from voc.process.maps import ProcessMap, Rule


@dataclass(frozen=True, slots=True)
class Visit:
    """A run of events of one step; `events` are their positions in the case."""

    step: str
    events: tuple[int, ...]


_NONE: list[int] = []


class Walk:
    """The visits of one case in order, and whether the case is finished."""

    def __init__(self, visits: Sequence[Visit], *, closed: bool) -> None:
        self.visits = visits
        self.closed = closed
        self._of: dict[str, list[int]] = {}
        for at, visit in enumerate(visits):
            self._of.setdefault(visit.step, []).append(at)

    def of(self, step: str) -> list[int]:
        """Indices of the visits of a step."""
        return self._of.get(step, _NONE)

    def events(self, visits: Sequence[int]) -> tuple[int, ...]:
        """Positions of the events of some visits."""
        return tuple(sorted(event for at in visits for event in self.visits[at].events))

    def before(self, at: int) -> str | None:
        """The step before a visit."""
        return self.visits[at - 1].step if at > 0 else None


def check_counts(walk: Walk, process_map: ProcessMap, place: dict[str, int]) -> Iterator[Finding]:
    """Mandatory steps that are missing, steps visited too often, and a wrong first step.

    `place` is the place of each step in the map.
    """
    for step in process_map.steps:
        if step.mandatory and walk.closed and not walk.of(step.name):
            yield _missing(walk, step.name, place)
        if step.max_repeats is not None and len(walk.of(step.name)) > step.max_repeats + 1:
            yield from _too_often(walk, step.name, step.max_repeats + 1)
    first = walk.visits[0]
    # With a flow, the way in is part of it.
    if process_map.start and not process_map.flow and first.step not in process_map.start:
        if any(walk.of(step) for step in process_map.start):
            yield Finding("wrong_order", first.step, None, first.events)
        else:
            yield Finding("skipped_step", process_map.start[0], None, first.events)


def check_rules(walk: Walk, process_map: ProcessMap, place: dict[str, int]) -> Iterator[Finding]:
    """What breaks the order rules. Rules on what must still come bind only finished cases."""
    for rule in process_map.rules:
        if found := _CHECKS[rule.template](walk, rule, place):
            yield from found


def _missing(walk: Walk, step: str, place: dict[str, int]) -> Finding:
    # The gap shows at the first step that the map lists after the missing one.
    later = (at for at, visit in enumerate(walk.visits) if place[visit.step] > place[step])
    at = next(later, None)
    if at is None:
        return Finding("skipped_step", step, walk.visits[-1].step, walk.visits[-1].events[-1:])
    return Finding("skipped_step", step, walk.before(at), walk.visits[at].events[:1])


def _too_often(walk: Walk, step: str, most: int) -> Iterator[Finding]:
    extra = walk.of(step)[most:]
    if extra:
        events = walk.events(extra)
        before = walk.visits[extra[0] - 1] if extra[0] else walk.visits[0]
        yield Finding("rework_loop", step, walk.before(extra[0]), events, before.events[-1])


def _existence(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    if walk.closed and len(walk.of(rule.a)) < rule.times:
        yield _missing(walk, rule.a, place)


def _absence(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    seen = walk.of(rule.a)
    if rule.times > 1:
        yield from _too_often(walk, rule.a, rule.times - 1)
    elif seen:
        yield Finding("wrong_order", rule.a, walk.before(seen[0]), walk.events(seen))


def _exactly(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    yield from _existence(walk, rule, place)
    yield from _too_often(walk, rule.a, rule.times)


def _init(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    first = walk.visits[0]
    if first.step == rule.a:
        return
    if walk.of(rule.a):
        yield Finding("wrong_order", first.step, rule.a, first.events)
    else:
        yield Finding("skipped_step", rule.a, None, first.events[:1])


def _end(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    if not walk.closed or walk.visits[-1].step == rule.a:
        return
    seen = walk.of(rule.a)
    if seen:
        after = seen[-1] + 1
        yield Finding("wrong_order", walk.visits[after].step, rule.a, walk.visits[after].events)
    else:
        yield Finding("skipped_step", rule.a, walk.visits[-1].step, walk.visits[-1].events[-1:])


def _response(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterable[Finding]:
    b = str(rule.b)
    needs, answers = walk.of(rule.a), walk.of(b)
    if not walk.closed or not needs or (answers and answers[-1] > needs[-1]):
        return ()
    if answers and answers[-1] < needs[0]:
        return (Finding("wrong_order", b, rule.a, walk.events(answers)),)
    unanswered = next(at for at in needs if not answers or at > answers[-1])
    after = min(unanswered + 1, len(walk.visits) - 1)
    return (Finding("skipped_step", b, rule.a, walk.visits[after].events[:1]),)


def _precedence(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterable[Finding]:
    b = str(rule.b)
    openers, seen = walk.of(rule.a), walk.of(b)
    if not seen or (openers and openers[0] < seen[0]):
        return ()
    if openers:
        early = [at for at in seen if at < openers[0]]
        return (Finding("wrong_order", b, rule.a, walk.events(early)),)
    return (Finding("skipped_step", rule.a, walk.before(seen[0]), walk.visits[seen[0]].events[:1]),)


def _succession(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    yield from _precedence(walk, rule, place)
    yield from _response(walk, rule, place)


def _chain_response(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    b, last = str(rule.b), len(walk.visits) - 1
    for at in walk.of(rule.a):
        if at == last:
            if walk.closed:
                yield Finding("skipped_step", b, rule.a, walk.visits[at].events[-1:])
        elif (after := walk.visits[at + 1]).step != b:
            if walk.of(b):
                yield Finding("wrong_order", after.step, rule.a, after.events)
            else:
                yield Finding("skipped_step", b, rule.a, after.events[:1])


def _chain_precedence(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    b = str(rule.b)
    for at in walk.of(b):
        if walk.before(at) != rule.a:
            if walk.of(rule.a):
                yield Finding("wrong_order", b, rule.a, walk.visits[at].events)
            else:
                yield Finding("skipped_step", rule.a, walk.before(at), walk.visits[at].events[:1])


def _chain_succession(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    yield from _chain_precedence(walk, rule, place)
    yield from _chain_response(walk, rule, place)


def _not_coexistence(walk: Walk, rule: Rule, place: dict[str, int]) -> Iterator[Finding]:
    one, other = walk.of(rule.a), walk.of(str(rule.b))
    if one and other:
        late, early = (one, str(rule.b)) if one[0] > other[0] else (other, rule.a)
        yield Finding("wrong_order", walk.visits[late[0]].step, early, walk.events(late))


_CHECKS: dict[str, Callable[[Walk, Rule, dict[str, int]], Iterable[Finding]]] = {
    "existence": _existence,
    "absence": _absence,
    "exactly": _exactly,
    "init": _init,
    "end": _end,
    "response": _response,
    "precedence": _precedence,
    "succession": _succession,
    "chain_response": _chain_response,
    "chain_precedence": _chain_precedence,
    "chain_succession": _chain_succession,
    "not_coexistence": _not_coexistence,
}
