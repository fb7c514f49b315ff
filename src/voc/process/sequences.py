"""How usual a sequence of steps is: counts of whole variants, backed off to a smoothed n-gram model."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

ORDER = 3  # how many steps back the next one may depend on
COUNT_BOUND = 1.0  # taken off the root of a count: two standard deviations of the root of a Poisson count
START, END = -1, -2

Trace = tuple[int, ...]
_Row = tuple[int, int, dict[int, int]]  # total, distinct successors, count of each


class SequenceModel:
    """The share of cases that follow a trace, learned from a log and fair to a trace it has seen.

    P(trace) = (1 - m) * count / N + m * P_ngram(trace) + truncation, where m = singletons / N is the
    share of cases whose trace is new (Good-Turing), P_ngram is interpolated with Witten-Bell weights
    up to `ORDER` steps back, and truncation is the share of cases that would stop right here because
    they are not finished. All three are computed without the case in question (`view`), so that a
    trace never vouches for itself, and its count is taken at its lower bound (`COUNT_BOUND`), so that
    two cases with the same slip do not vouch for one another.

    `slip_share` is the share of cases that are expected to have a slip; see `baseline.learn_order`.

    Sources: Good 1953 (unseen mass); Witten and Bell 1991 (smoothing).
    """

    def __init__(self, variants: Mapping[Trace, int]) -> None:
        self.slip_share = 1.0
        self.variants = dict(variants)
        self.n_cases = sum(variants.values())
        self.n_steps = len({step for trace in variants for step in trace})
        counts: defaultdict[Trace, Counter[int]] = defaultdict(Counter)
        before: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for trace, n in self.variants.items():
            for context, step in _transitions(trace):
                for back in range(ORDER + 1):
                    counts[context[ORDER - back :]][step] += n
                before[step][context[-1]] += n
        self.rows: dict[Trace, _Row] = {
            context: (sum(row.values()), len(row), dict(row)) for context, row in counts.items()
        }
        self._pairs = {
            (context[0], step): math.log(n / total)
            for context, (total, _, row) in self.rows.items()
            if len(context) == 1
            for step, n in row.items()
        }
        self._before = {step: (sum(row.values()), row) for step, row in before.items()}
        self.share_new = max(1, sum(n == 1 for n in self.variants.values())) / max(1, self.n_cases)
        most = max(self.variants.values(), default=0) / max(1, self.n_cases)
        self.usual_log = math.log(max(most, self.share_new))
        self._truncated = self._find_truncated()

    def _find_truncated(self) -> dict[Trace, float]:
        """Share of cases expected to be seen as each variant only because they are not finished yet."""
        known = {hash(trace): trace for trace in self.variants}
        longer: Counter[Trace] = Counter()
        cut_here: defaultdict[Trace, float] = defaultdict(float)
        for trace, n in self.variants.items():
            for end in range(1, len(trace)):
                start = known.get(hash(trace[:end]))
                if start is not None and start == trace[:end]:
                    longer[start] += n
                    cut_here[start] += n / len(trace)
        n_cut = sum(self.variants[trace] for trace, n in longer.items() if n > self.variants[trace])
        rate = (n_cut + 1) / max(1, self.n_cases)
        return {trace: rate * share / self.n_cases for trace, share in cut_here.items()}

    def view(self, trace: Trace, *, left_out: bool) -> "View":
        """The model as `trace` should be judged by: without its own cases where `left_out`."""
        # A trace the log does not have has no case to leave out.
        return View(self, trace if left_out and trace in self.variants else None)

    def pair_log(self, left: int, right: int) -> float:
        """log of the share of cases at `left` that go on to `right`; -inf where none does."""
        return self._pairs.get((left, right), -math.inf)

    def fillers(self, left: int, right: int, *, max_steps: int = 3, width: int = 3) -> list[Trace]:
        """Usual ways from `left` to `right`: blocks of one to `max_steps` steps that lie between them."""
        found: list[Trace] = []
        open_ways: list[Trace] = [()]
        for _ in range(max_steps):
            grown: list[Trace] = []
            for way in open_ways:
                row = self.rows.get((way[-1] if way else left,))
                if row is None:
                    continue
                total, _, nexts = row
                usual = sorted(nexts.items(), key=lambda item: (-item[1], item[0]))[:width]
                grown += [(*way, step) for step, n in usual if step != END and n >= 0.05 * total]
            n_right, before = self._before.get(right, (0, Counter()))
            found += [way for way in grown if n_right and before[way[-1]] >= 0.01 * n_right]
            open_ways = grown
        return found


class View:
    """A model without the cases of one variant; keeps what it computed."""

    def __init__(self, model: SequenceModel, left_out: Trace | None) -> None:
        self.model = model
        self._left_out = left_out
        self._seen: dict[Trace, float] = {}
        self._own: dict[Trace, dict[int, int]] = {}
        if left_out is not None:
            n = model.variants.get(left_out, 0)
            own = self._own
            for context, step in _transitions(left_out):
                for back in range(ORDER + 1):
                    row = own.setdefault(context[ORDER - back :], {})
                    row[step] = row.get(step, 0) + n

    def step_logs(self, trace: Trace, start: int = 0, stop: int | None = None) -> list[float]:
        """log P of each step given those before it; position len(trace) is the end of the case."""
        padded = (START,) * ORDER + trace + (END,)
        stop = len(trace) + 1 if stop is None else stop
        seen = self._seen
        logs = []
        for at in range(start, stop):
            key = padded[at : at + ORDER + 1]
            value = seen.get(key)
            if value is None:
                value = seen[key] = math.log(self._probability(key[:ORDER], key[ORDER]))
            logs.append(value)
        return logs

    def _probability(self, context: Trace, step: int) -> float:
        probability = 1.0 / (self.model.n_steps + 1)
        rows, own = self.model.rows, self._own
        for back in range(ORDER, -1, -1):
            shorter = context[back:]
            row = rows.get(shorter)
            if row is None:
                break
            total, distinct, nexts = row
            n = nexts.get(step, 0)
            left_out = own.get(shorter)
            if left_out is not None:
                for other, k in left_out.items():
                    total -= k
                    distinct -= nexts.get(other, 0) <= k
                n -= left_out.get(step, 0)
            if total <= 0:
                break
            probability = (n + distinct * probability) / (total + distinct)
        return probability

    def log_share(self, trace: Trace, ngram: float | None = None) -> float:
        """log of the share of cases expected to follow `trace`; `ngram` if its log P is known already."""
        model = self.model
        ngram = sum(self.step_logs(trace)) if ngram is None else ngram
        share = model.share_new * math.exp(ngram)
        n = float(model.variants.get(trace, 0))
        if trace == self._left_out:
            # One of its cases is the one that asks; the others are evidence, but for their chance.
            n = max(0.0, math.sqrt(max(0.0, n - 1)) - COUNT_BOUND) ** 2
        if n > 0:
            share += (1 - model.share_new) * n / model.n_cases
        if trace == self._left_out:
            share += model._truncated.get(trace, 0.0)
        return math.log(share) if share > 0 else ngram + math.log(model.share_new)


def _transitions(trace: Trace) -> Iterable[tuple[Trace, int]]:
    padded = (START,) * ORDER + trace + (END,)
    return ((padded[at : at + ORDER], padded[at + ORDER]) for at in range(len(trace) + 1))
