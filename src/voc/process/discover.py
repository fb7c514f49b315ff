"""Draft a process map from a log: steps in their usual order, rules, limits; for a person to edit."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from voc.errors import LogError
from voc.process.baseline import Baseline, count_variants, learn_baseline, usual_ends
from voc.process.clocks import step_times, with_steps
from voc.process.map_writer import write_duration
from voc.process.maps import ProcessMap, Rule, Step
from voc.process.sequences import Trace
from voc.process.slips import explain

MIN_CASES = 20
ALWAYS = 0.995  # share of usual cases in which something must hold to become a duty
MIN_RULE = 0.01  # share of usual cases that must have the step a rule speaks of
MIN_MOVE = 0.0005  # share of usual cases that must make a move for it to be part of the flow
USUAL_OWNER = 0.8  # share of a step's events that one resource must do to be its owner
MAX_RULES = 200
_NICE = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440)  # minutes; then whole days


def discover_map(events: pl.DataFrame, name: str) -> tuple[ProcessMap, dict[str, str]]:
    """A draft map of an ordered log, and a note for each step that says what it was drawn from.

    Only usual cases count, those in which the learned baseline finds no deviation of order. Limits are
    those of the baseline, rounded up; the notes give the median and the 95 % quantile, for a tighter
    promise. A step whose events are mostly one resource's gets it as owner; otherwise the owner is left
    open for a person to fill in.

    Raises
    ------
    LogError
        The log has fewer than `MIN_CASES` cases: what is usual in them is chance.
    """
    n_cases = events["case_id"].n_unique()
    if n_cases < MIN_CASES:
        raise LogError(
            f"has {n_cases} cases; a map drawn from fewer than {MIN_CASES} would be chance",
            remedy="give a longer log, or write the map by hand",
        )
    baseline = learn_baseline(events)
    usual = {
        trace: n
        for trace, n in count_variants(events, baseline.names).items()
        if not explain(trace, baseline.order).slips
    }
    has_times = events["timestamp"].null_count() == 0
    # Without times nobody can tell an unfinished case from one whose last steps were skipped.
    end = usual_ends(events) if has_times else ()
    codes = _usual_order(usual, len(baseline.names))
    flow = _flow(usual)
    listed = [code for code in codes if code in flow]
    n_usual = sum(usual.values())
    owners = _owners(events)
    limits = {step.name: step for step in baseline.limits.steps}
    steps = tuple(
        Step(
            name=baseline.names[code],
            activities=(baseline.names[code],),
            owner=owners.get(baseline.names[code]),
            mandatory=sum(n for trace, n in usual.items() if code in trace) >= ALWAYS * n_usual,
            max_repeats=_max_repeats(usual, code),
            service_level_s=_nice(limits[baseline.names[code]].service_level_s),
            handoff_limit_s=_nice(limits[baseline.names[code]].handoff_limit_s),
        )
        for code in listed
    )
    first = Counter[int]()
    for trace, n in usual.items():
        first[trace[0]] += n
    process_map = ProcessMap(
        name=name,
        steps=steps,
        start=tuple(baseline.names[code] for code in listed if first[code] >= max(2, 0.001 * n_usual)),
        end=tuple(baseline.names[code] for code in listed if baseline.names[code] in end),
        rules=tuple(_rules(usual, listed, baseline)),
        flow={
            baseline.names[code]: tuple(baseline.names[after] for after in listed if after in flow[code])
            for code in listed
        },
        unlisted_deviate=True,
        service_level_s=_nice(baseline.limits.service_level_s),
        stalled_s=_nice(baseline.limits.stalled_s) if end else None,
        max_ping_pong=baseline.limits.max_ping_pong,
    )
    return process_map, _notes(events, n_cases)


def _usual_order(usual: dict[Trace, int], n_steps: int) -> list[int]:
    """Steps by how far into a case they usually come, from 0 (first) to 1 (last)."""
    places: defaultdict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for trace, n in usual.items():
        seen: set[int] = set()
        for at, code in enumerate(trace):
            if code not in seen:
                seen.add(code)
                places[code][0] += n * at / max(1, len(trace) - 1)
                places[code][1] += n
    return sorted(
        (code for code in range(n_steps) if code in places),
        key=lambda code: (places[code][0] / places[code][1], code),
    )


def _flow(usual: dict[Trace, int]) -> dict[int, set[int]]:
    """What may come next after each step: pairs of neighbours that more than one usual case has."""
    pairs: Counter[tuple[int, int]] = Counter()
    for trace, n in usual.items():
        for pair in {pair for pair in pairwise(trace) if pair[0] != pair[1]}:
            pairs[pair] += n
    least = max(2.0, MIN_MOVE * sum(usual.values()))
    flow: dict[int, set[int]] = {code: set() for trace in usual for code in trace}
    for (left, right), n in pairs.items():
        if n >= least:
            flow[left].add(right)
    return flow


def _max_repeats(usual: dict[Trace, int], code: int) -> int | None:
    most = 0
    for trace in usual:
        visits = sum(step == code and (at == 0 or trace[at - 1] != code) for at, step in enumerate(trace))
        most = max(most, visits)
    # Where usual cases come back three times or more, no number is a limit.
    return most - 1 if 1 <= most <= 3 else None


def _rules(usual: dict[Trace, int], codes: Sequence[int], baseline: Baseline) -> list[Rule]:
    """Precedence that holds in usual cases, without rules that follow from others.

    What must come after, the flow and the mandatory steps say already.
    """
    n_usual = sum(usual.values())
    has: Counter[int] = Counter()
    before: Counter[tuple[int, int]] = Counter()  # every b has an a before it
    for trace, n in usual.items():
        first = {code: at for at, code in reversed(list(enumerate(trace)))}
        for b in first:
            has[b] += n
            for a in first:
                before[a, b] += n * (first[a] < first[b])
    often = [code for code in codes if has[code] >= max(5, MIN_RULE * n_usual)]
    # An optional step that is missing was not skipped: only mandatory ones can be asked for.
    duties = [code for code in often if has[code] >= ALWAYS * n_usual]
    pairs = {(a, b) for a in duties for b in often if before[a, b] >= ALWAYS * has[b]}
    kept = [
        (a, b)
        for a in often
        for b in often
        if (a, b) in pairs and not any((a, c) in pairs and (c, b) in pairs for c in often)
    ]
    return [Rule("precedence", baseline.names[a], baseline.names[b]) for a, b in kept[:MAX_RULES]]


def _owners(events: pl.DataFrame) -> dict[str, str]:
    counts = events.group_by("activity", "resource").len("n")
    shares = counts.with_columns(share=pl.col("n") / pl.col("n").sum().over("activity"))
    usual = shares.filter(pl.col("resource").is_not_null() & (pl.col("share") >= USUAL_OWNER))
    return dict(usual.select("activity", "resource").iter_rows())


def _notes(events: pl.DataFrame, n_cases: int) -> dict[str, str]:
    cases = events.group_by("activity").agg(n=pl.col("case_id").n_unique())
    notes = {activity: f"in {100 * n / n_cases:.0f} % of cases" for activity, n in cases.iter_rows()}
    if events["timestamp"].null_count() == 0:
        times = step_times(with_steps(events, ProcessMap("", ())))
        quantiles = times.group_by("step").agg(
            median=pl.col("took").quantile(0.5), most=pl.col("took").quantile(0.95)
        )
        for step, median, most in quantiles.iter_rows():
            notes[step] += f"; half take up to {_round(median)}, 95 % up to {_round(most)}"
    return notes


def _round(seconds: float) -> str:
    return write_duration(_nice(seconds)) or "1m"


def _nice(seconds: float | None) -> float | None:
    """Seconds rounded up to a number a person would promise."""
    if seconds is None:
        return None
    minutes = seconds / 60
    whole = next((nice for nice in _NICE if minutes <= nice), None)
    return 60.0 * (whole if whole is not None else 1440 * math.ceil(minutes / 1440))
