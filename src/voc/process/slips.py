"""Explain an unusual trace as a usual one with a slip: steps skipped, added, repeated or moved.

A noisy channel, as in spelling correction: the trace seen, T, is taken for a slip of another, U, when
P(U) * P(slip from U to T) > P(T). P(slip) is the share of cases that slip, over the number of slips of
that kind that U allows: the chance of this very one. So a trace counts as usual in its own right only
where it is seen more often than slips would bring about. Source of the idea:
Kernighan, Church and Gale 1990; of the kinds of slip: Nolle et al. 2019 (BINet).
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from voc.process.sequences import END, ORDER, START, Trace

MAX_SLIPS = 4  # in one case; beyond that it follows no known way at all
MAX_BLOCK = 3  # steps in one slip
MAX_SHIFT = 12  # places a moved block may have come from
WEAKEST = 4  # transitions looked at in each round, the most surprising first
TRIED = 16  # candidates weighed in full in each round
_RARE = -15.0  # log P of a pair never seen
_WEAK = math.log(0.05)  # a slip leaves at least one transition this rare


@dataclass(frozen=True, slots=True)
class Slip:
    """One slip. `kind` is "skip", "repeat", "insert" or "move".

    `steps` are those skipped, added or moved. `events` are positions in the trace seen: of the steps
    added or moved, or, for a skip, of the event just after the gap (the last one where it is at the
    end); `before` is the position just before a gap, or -1. `gain` is the log odds that it is a slip.
    """

    kind: str
    steps: Trace
    events: tuple[int, ...]
    before: int
    gain: float


@dataclass(frozen=True, slots=True)
class _Edit:
    """A candidate: take out the steps `start` to `stop`, or, for a skip, put `block` back at `start`.

    For a move the block goes to place `to` of what is left.
    """

    kind: str
    block: Trace
    start: int
    stop: int
    to: int
    log_chance: float

    def apply(self, old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
        """`old` without the slip; `new` stands for the steps of a skip."""
        if self.kind == "skip":
            return old[: self.start] + new + old[self.start :]
        rest = old[: self.start] + old[self.stop :]
        if self.kind != "move":
            return rest
        return rest[: self.to] + old[self.start : self.stop] + rest[self.to :]

    def changed(self, n: int) -> tuple[int, int]:
        """How many steps at the head and at the tail of a trace of `n` keep their place."""
        if self.kind == "move":
            return min(self.to, self.start), n - max(self.to + len(self.block), self.stop)
        return self.start, n - self.stop


@dataclass(frozen=True, slots=True)
class Explanation:
    """The slips found, and the usual trace without them: `places` are positions in the trace seen, or -1."""

    slips: tuple[Slip, ...]
    trace: Trace
    places: tuple[int, ...]


class View(Protocol):
    """How likely traces are, from where one trace stands."""

    def step_logs(self, trace: Trace, start: int = 0, stop: int | None = None) -> list[float]:
        """log P of the steps `start` to `stop`, each given at most `ORDER` before it."""

    def log_share(self, trace: Trace, ngram: float | None = None) -> float:
        """log of the share of cases that follow `trace`; `ngram` is the sum of its step logs, if known."""


class Model(Protocol):
    """What `explain` asks of a model of usual traces."""

    n_steps: int
    usual_log: float  # no trace has a higher log share
    slip_share: float  # of cases, in (0, 1]; 1 where every departure counts

    def view(self, trace: Trace, *, left_out: bool) -> View:
        """The model, without the cases of `trace` where `left_out`."""

    def pair_log(self, left: int, right: int) -> float:
        """log P of `right` just after `left`, -inf where that is never seen or not allowed."""

    def fillers(self, left: int, right: int, *, max_steps: int = MAX_BLOCK) -> list[Trace]:
        """Usual ways from one step to another."""


def explain(trace: Trace, model: Model) -> Explanation:
    """The slips that best explain `trace`, likeliest first; none where it is usual as it is."""
    current, places, spent = trace, tuple(range(len(trace))), math.log(model.slip_share)
    view = model.view(trace, left_out=True)
    best = view.log_share(trace) if trace else 0.0
    slips: list[Slip] = []
    while len(slips) < MAX_SLIPS and best < model.usual_log + spent:
        found = _best_edit(current, places, view, model)
        if found is None or found[1] + spent <= best:
            break
        edit, score = found
        slips.append(_slip(edit, places, len(trace), score + spent - best))
        best = score + spent
        spent += edit.log_chance
        current = edit.apply(current, edit.block)
        places = edit.apply(places, (-1,) * len(edit.block))
    return Explanation(tuple(slips), current, places)


def _best_edit(trace: Trace, places: tuple[int, ...], view: View, model: Model) -> tuple[_Edit, float] | None:
    n = len(trace)
    logs = view.step_logs(trace)
    weak = sorted((at for at, log in enumerate(logs) if log < _WEAK), key=lambda at: logs[at])[:WEAKEST]
    sums = [0.0]
    for log in logs:
        sums.append(sums[-1] + log)
    best: tuple[_Edit, float] | None = None
    candidates = heapq.nlargest(TRIED, _edits(trace, places, weak, model), key=lambda pair: pair[0])
    for _, edit in candidates:
        usual = edit.apply(trace, edit.block)
        if not usual or usual == trace:
            continue
        # Steps that see only unchanged steps behind them keep their probability.
        head, tail = edit.changed(n)
        stop = min(len(usual) + 1, len(usual) - tail + ORDER)
        ngram = sums[head] + sum(view.step_logs(usual, head, stop))
        ngram += sums[-1] - sums[n - len(usual) + stop]
        score = view.log_share(usual, ngram) + edit.log_chance
        if best is None or score > best[1] + 1e-9:
            best = (edit, score)
    return best


def _edits(
    trace: Trace, places: tuple[int, ...], weak: list[int], model: Model
) -> Iterator[tuple[float, _Edit]]:
    """Candidates that mend a weak transition (into position `at`), each with what neighbours alone say.

    That is the log P gained at the joints, pair by pair, plus the log chance of the slip: cheap, and
    good enough to choose which candidates to weigh in full.
    """
    n = len(trace)
    pair_log = model.pair_log
    padded = (START, *trace, END)  # trace[at] is padded[at + 1]
    joints = [max(pair_log(left, right), _RARE) for left, right in pairwise(padded)]
    for at in weak:
        for block in model.fillers(padded[at], padded[at + 1]):
            way = (padded[at], *block, padded[at + 1])
            gain = sum(max(pair_log(left, right), _RARE) for left, right in pairwise(way)) - joints[at]
            chance = -math.log(_n_blocks(n + len(block)))
            yield gain + chance, _Edit("skip", block, at, at, at, chance)
    for start, stop in _blocks(weak, n):
        closed = pair_log(padded[start], padded[stop + 1])
        if closed == -math.inf or -1 in places[start:stop]:
            continue
        block, rest = trace[start:stop], trace[:start] + trace[stop:]
        size = len(rest)
        inside = sum(joints[start + 1 : stop])
        taken = closed - joints[start] - inside - joints[stop]
        again = all(step in rest for step in block)
        chance = -len(block) * math.log((size + 1) * model.n_steps)
        if again and size:
            at_once = block in (rest[start - len(block) : start], rest[start : start + len(block)])
            # Half of all repeats follow at once; the others may come anywhere.
            chance = max(chance, -math.log(2 * _n_blocks(size) * (1 if at_once else size)))
        yield taken + chance, _Edit("repeat" if again else "insert", block, start, stop, start, chance)
        chance = -math.log(_n_moves(n))
        for to in range(max(0, start - MAX_SHIFT), min(size, start + MAX_SHIFT) + 1):
            left, right = rest[to - 1] if to else START, rest[to] if to < size else END
            joined = pair_log(left, block[0]) + pair_log(block[-1], right)
            if to != start and joined > -math.inf:
                opened = max(pair_log(left, right), _RARE)
                gain = taken + inside + joined - opened
                yield gain + chance, _Edit("move", block, start, stop, to, chance)


def _blocks(weak: list[int], n: int) -> Iterator[tuple[int, int]]:
    """Blocks with a weak transition at one of their borders, short ones first."""
    found = dict.fromkeys(
        (start, start + size)
        for size in range(1, MAX_BLOCK + 1)
        for at in weak
        for start in (at, at - size)
        if start >= 0 and start + size <= n
    )
    return iter(found)


def _n_blocks(n: int) -> int:
    """How many blocks of up to `MAX_BLOCK` steps a trace of n steps has."""
    return sum(n - size + 1 for size in range(1, min(MAX_BLOCK, n) + 1))


def _n_moves(n: int) -> int:
    """How many ways there are to swap two neighbouring blocks of which one has at most `MAX_BLOCK` steps."""
    return max(1, math.comb(n + 1, 3) - math.comb(max(0, n + 1 - 2 * MAX_BLOCK), 3))


def _slip(edit: _Edit, places: tuple[int, ...], n_events: int, gain: float) -> Slip:
    if edit.kind != "skip":
        touched = places[edit.start : edit.stop]
        return Slip(edit.kind, edit.block, touched, touched[0] - 1, gain)
    before = next((place for place in reversed(places[: edit.start]) if place >= 0), -1)
    after = next((place for place in places[edit.start :] if place >= 0), n_events - 1)
    return Slip("skip", edit.block, (after,), before, gain)
