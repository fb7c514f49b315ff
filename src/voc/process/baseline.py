"""Where no map is given: what is usual, learned from the log itself, deviating cases and all."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from voc.process.clocks import seconds, step_times, with_steps
from voc.process.findings import Finding, from_slips, merge
from voc.process.maps import ProcessMap, Step
from voc.process.sequences import SequenceModel, Trace
from voc.process.slips import explain

NAME = "learned"
MIN_WAITS = 30  # waits seen before a limit is learned from them
FAR_OUT = 3.0  # interquartile ranges past the upper quartile: Tukey 1977, "far out"
FEW = 0.02  # share of waits far out that may be outliers in any case
MOST_APART = 0.15  # share of waits far out that may be outliers if they lie apart from the rest
LEAST_SPREAD = 0.05  # interquartile range of log seconds below which there is no bulk to measure by
TAIL_STRETCH = math.log(0.05 / 0.0005) / math.log(0.25 / 0.05)  # from 5 % left to 0.05 %, exponential
LEAST_STRETCH = 2.0  # a limit is at least this many times the upper quartile
NO_LIMIT = 1e9  # seconds, some thirty years: waits so spread out that no limit can be told
MOST_SLIPS = 0.3  # share of cases with a slip that a log may have and still tell what is usual
FEWEST_SLIPS = 0.05  # below it the share is too uncertain to go by
LOOKED_AT = 1000  # sequences to learn the share of slips from
USUAL_END = 0.05  # share of cases that end with an activity, for it to be an end


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a log holds to be usual: `order` for sequences of steps, `limits` for times and handoffs.

    `limits` is a map with nothing but learned limits; each activity is its own step. Learned from
    deviating cases too: both parts are robust to up to about 30 % of them, as long as no single
    deviation is more usual than a way of its own would be.
    """

    names: tuple[str, ...]
    order: SequenceModel
    limits: ProcessMap

    def codes(self) -> dict[str, int]:
        """The code of each activity in the sequences."""
        return {name: code for code, name in enumerate(self.names)}

    def check(self, activities: Sequence[str]) -> list[Finding]:
        """What deviates in the order of one case; an activity never seen before does not belong."""
        codes, names = self.codes(), list(self.names)
        trace = []
        for activity in activities:
            if activity not in codes:
                codes[activity] = len(names)
                names.append(activity)
            trace.append(codes[activity])
        slips = explain(tuple(trace), self.order).slips
        return merge(from_slips(slips, activities, names))


def learn_baseline(events: pl.DataFrame) -> Baseline:
    """Learn the usual order, repeats and, where events have times, limits from an ordered log.

    `events` has the columns of `logs.SCHEMA`. Nothing is learned from a column that is empty; a limit
    needs at least `MIN_WAITS` waits to learn from.
    """
    names = tuple(sorted(events["activity"].unique().to_list()))
    order = learn_order(count_variants(events, names))
    if events["timestamp"].null_count():
        return Baseline(names, order, ProcessMap(NAME, tuple(Step(name, (name,)) for name in names)))
    return Baseline(names, order, _learn_limits(events, names))


def learn_order(variants: Mapping[Trace, int]) -> SequenceModel:
    """The model of usual sequences, with the share of cases that slip learned from them.

    One step of expectation maximisation from `MOST_SLIPS`: the cases that look like slips if so many
    have one. Sequences are sampled evenly, frequent ones first.
    """
    order = SequenceModel(variants)
    order.slip_share = MOST_SLIPS
    every = math.ceil(len(variants) / LOOKED_AT)
    sample = sorted(variants.items(), key=lambda pair: (-pair[1], pair[0]))[::every]
    n_slips = every * sum(n for trace, n in sample if explain(trace, order).slips)
    order.slip_share = min(MOST_SLIPS, max(FEWEST_SLIPS, n_slips / max(1, order.n_cases)))
    return order


def count_variants(events: pl.DataFrame, names: Sequence[str]) -> Counter[Trace]:
    """How many cases follow each sequence of activity codes."""
    codes = events["activity"].cast(pl.Enum(names)).to_physical()
    traces = (
        events.select("case_id", code=codes)
        .group_by("case_id", maintain_order=True)
        .agg("code")["code"]
        .to_list()
    )
    return Counter(map(tuple, traces))


def _learn_limits(events: pl.DataFrame, names: Sequence[str]) -> ProcessMap:
    blank = ProcessMap(NAME, ())
    rows = with_steps(events, blank).with_columns(
        waited=pl.when(~pl.col("new_case")).then(seconds(pl.col("timestamp") - pl.col("timestamp").shift(1))),
        handed=~pl.col("new_case") & (pl.col("resource") != pl.col("resource").shift(1)),
    )
    handed = _limits_by_step(rows.filter("handed"), "waited")
    visited = _limits_by_step(step_times(rows), "took")
    cases = rows.group_by("case_id", maintain_order=True).agg(
        took=seconds(pl.col("timestamp").last() - pl.col("timestamp").first()),
        end=pl.col("step").last(),
        longest=pl.col("waited").max(),
    )
    end = usual_ends(events)
    finished = cases.filter(pl.col("end").is_in(list(end)))
    return ProcessMap(
        name=NAME,
        steps=tuple(
            Step(name, (name,), service_level_s=visited.get(name), handoff_limit_s=handed.get(name))
            for name in names
        ),
        end=end,
        service_level_s=_limit(finished["took"]),
        stalled_s=_limit(finished["longest"]) if end else None,
        max_ping_pong=_usual_ping_pong(rows),
    )


def _limits_by_step(rows: pl.DataFrame, column: str) -> dict[str, float]:
    found = {}
    for (step,), group in rows.group_by("step"):
        limit = _limit(group[column])
        if limit is not None:
            found[str(step)] = limit
    return found


def _limit(waits: pl.Series) -> float | None:
    """The longest wait that is still usual, or None with too few to tell or where they spread too far.

    On the scale of logarithms, since waits are skewed. Where few waits, or a group well apart, lie far
    out, they are outliers and the limit is Tukey's fence. Otherwise the waits simply have a long tail:
    the limit is where one in 2,000 would be left, the tail going on as it does from the upper quartile
    to the 95 % quantile.
    """
    logs = (waits.drop_nulls() + 1.0).log()
    if logs.len() < MIN_WAITS:
        return None
    low, high, tail = (float(str(logs.quantile(q, "linear"))) for q in (0.25, 0.75, 0.95))
    spread = high - low
    fence = high + FAR_OUT * spread
    n_far = int((logs > fence).sum())
    n_near = int((logs > high + FAR_OUT / 2 * spread).sum()) - n_far
    apart = n_far <= MOST_APART * logs.len() and n_near <= n_far / 5
    if spread < LEAST_SPREAD or not (apart or n_far <= FEW * logs.len()):
        fence = tail + TAIL_STRETCH * (tail - high)
    limit = max(fence, high + math.log(LEAST_STRETCH))
    return None if limit >= math.log(NO_LIMIT) else math.exp(limit) - 1.0


def usual_ends(events: pl.DataFrame) -> tuple[str, ...]:
    """Activities that finish a case: many cases end there, or most cases that have it end there."""
    having = events.group_by("activity").agg(n=pl.col("case_id").n_unique())
    ends = events.group_by("case_id").agg(pl.col("activity").last())
    usual = (
        ends.group_by("activity")
        .agg(n_last=pl.len())
        .join(having, on="activity")
        .filter((pl.col("n_last") >= USUAL_END * ends.height) | (pl.col("n_last") >= 0.5 * pl.col("n")))
    )
    return tuple(sorted(usual["activity"].to_list()))


def _usual_ping_pong(rows: pl.DataFrame) -> int | None:
    """The most handoffs between the same two resources that is still usual; None without resources."""
    turns = rows.filter(pl.col("resource").is_not_null()).filter(
        (pl.col("case_id") != pl.col("case_id").shift(1)).fill_null(value=True)
        | (pl.col("resource") != pl.col("resource").shift(1))
    )
    if turns.height < MIN_WAITS:
        return None
    back = (pl.col("case_id") == pl.col("case_id").shift(2)) & (
        pl.col("resource") == pl.col("resource").shift(2)
    )
    returns = turns.with_columns(back=back.fill_null(value=False)).with_columns(
        stretch=(~pl.col("back")).cum_sum()
    )
    longest = (
        returns.group_by("case_id", "stretch")
        .agg(n=pl.col("back").sum().cast(pl.Int64))
        .group_by("case_id")
        .agg(pl.col("n").max())["n"]
    )
    low, high = (float(str(longest.quantile(q, "linear"))) for q in (0.25, 0.75))
    return 1 + max(3, math.ceil(high + FAR_OUT * (high - low)))
