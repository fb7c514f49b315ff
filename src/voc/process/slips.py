"""Explain an unusual trace as a usual one with a slip: steps skipped, added, repeated or moved.

A noisy channel, as in spelling correction: the trace seen, T, is taken for a slip of another, U, when
P(U) * P(slip from U to T) > P(T). P(slip) is one over the number of slips of that kind that U allows,
that is, the chance of this very slip were every case to have one. So a trace counts as usual in its
own right only where it is seen more often than slips could ever bring about. Source of the idea:
Kernighan, Church and Gale 1990; of the kinds of slip: Nolle et al. 2019 (BINet), section 5.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from voc.process.sequences import END, ORDER, START, Trace

MAX_SLIPS = 4  # in one case; beyond that it follows no known way at all
MAX_BLOCK = 3  # steps in one slip
MAX_SHIFT = 12  # places a moved block may have come from
WEAKEST = 4  # transitions looked at in each round, the most surprising first
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
    """A candidate U: `kept` tells for each of its steps the position in T, or -1."""

    kind: str
    steps: Trace
    kept: tuple[int, ...]
    trace: Trace
    at: int
    same_head: int
    same_tail: int
    log_chance: float
    touched: tuple[int, ...]


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

    def view(self, trace: Trace, *, left_out: bool) -> View:
        """The model, without the cases of `trace` where `left_out`."""

    def follows(self, left: int, right: int) -> bool:
        """Whether `right` is ever seen, or allowed, just after `left`."""

    def fillers(self, left: int, right: int, *, max_steps: int = MAX_BLOCK) -> list[Trace]:
        """Usual ways from one step to another."""


def explain(trace: Trace, model: Model) -> Explanation:
    """The slips that best explain `trace`, likeliest first; none where it is usual as it is."""
    current, places, spent = trace, tuple(range(len(trace))), 0.0
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
        current, places = edit.trace, edit.kept
    return Explanation(tuple(slips), current, places)


def _best_edit(
    trace: Trace, places: tuple[int, ...], view: View, model: Model
) -> tuple[_Edit, float] | None:
    logs = view.step_logs(trace)
    weak = sorted((at for at, log in enumerate(logs) if log < _WEAK), key=lambda at: logs[at])[:WEAKEST]
    sums = [0.0]
    for log in logs:
        sums.append(sums[-1] + log)
    best: tuple[_Edit, float] | None = None
    seen: set[Trace] = set()
    for edit in _edits(trace, places, sorted(weak), model):
        if edit.trace in seen or not edit.trace or edit.trace == trace:
            continue
        seen.add(edit.trace)
        # Steps that see only unchanged steps behind them keep their probability.
        stop = min(len(edit.trace) + 1, len(edit.trace) + 1 - edit.same_tail + ORDER)
        ngram = sums[edit.same_head] + sum(view.step_logs(edit.trace, edit.same_head, stop))
        ngram += sums[-1] - sums[len(trace) + 1 - (len(edit.trace) + 1 - stop)]
        score = view.log_share(edit.trace, ngram) + edit.log_chance
        if best is None or score > best[1] + 1e-9:
            best = (edit, score)
    return best


def _edits(
    trace: Trace, places: tuple[int, ...], weak: list[int], model: Model
) -> Iterator[_Edit]:
    """Candidates that mend one of the weak transitions (into position `at`) and join only what may be."""
    n = len(trace)
    for at in weak:
        left = trace[at - 1] if at else START
        right = trace[at] if at < n else END
        for block in model.fillers(left, right):
            usual = trace[:at] + block + trace[at:]
            kept = places[:at] + (-1,) * len(block) + places[at:]
            chance = -math.log(_n_blocks(len(usual)))
            yield _Edit("skip", block, kept, usual, at, at, n + 1 - at, chance, ())
    for start, end in _blocks(weak, n):
        block, rest = trace[start:end], trace[:start] + trace[end:]
        touched, kept = places[start:end], places[:start] + places[end:]
        size = len(rest)
        before, after = trace[start - 1] if start else START, trace[end] if end < n else END
        if -1 in touched or not model.follows(before, after):
            continue
        again = all(step in rest for step in block)
        chance = -len(block) * math.log((size + 1) * model.n_steps)
        if again and size:
            chance = max(chance, -math.log(_n_blocks(size) * size))
        kind = "repeat" if again else "insert"
        yield _Edit(kind, block, kept, rest, start, start, n + 1 - end, chance, touched)
        chance = -math.log(_n_moves(n))
        for to in range(max(0, start - MAX_SHIFT), min(size, start + MAX_SHIFT) + 1):
            before, after = rest[to - 1] if to else START, rest[to] if to < size else END
            if to == start or not (model.follows(before, block[0]) and model.follows(block[-1], after)):
                continue
            usual = rest[:to] + block + rest[to:]
            moved = kept[:to] + touched + kept[to:]
            head, tail = min(to, start), n + 1 - max(to + len(block), end)
            yield _Edit("move", block, moved, usual, to, head, tail, chance, touched)


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
        return Slip(edit.kind, edit.steps, edit.touched, edit.touched[0] - 1, gain)
    before = next((place for place in reversed(places[: edit.at]) if place >= 0), -1)
    after = next((place for place in places[edit.at :] if place >= 0), n_events - 1)
    return Slip("skip", edit.steps, (after,), before, gain)
