"""Waits against limits, for a whole log at once: handoff delays, breached service levels, stalled cases."""

from datetime import datetime
from typing import Final

import polars as pl

from voc.process.maps import END_TO_END, ProcessMap

# What every part of a bulk check gives; `find_deviations` adds who says so.
FOUND: Final[dict[str, pl.DataType]] = {
    "case_id": pl.String(),
    "kind": pl.String(),
    "step": pl.String(),
    "from_step": pl.String(),
    "timestamp": pl.Datetime("us", "UTC"),
    "magnitude_s": pl.Float64(),
    "event_index": pl.List(pl.Int64),
}


def with_steps(events: pl.DataFrame, process_map: ProcessMap) -> pl.DataFrame:
    """The events that count, each with its step (an unlisted activity is its own) and where a case begins."""
    if process_map.ignore:
        events = events.filter(~pl.col("activity").is_in(list(process_map.ignore)))
    renamed = {name: step for name, step in process_map.step_of().items() if name != step}
    step = pl.col("activity").replace(renamed) if renamed else pl.col("activity")
    return events.with_columns(step=step, new_case=pl.col("case_id").ne_missing(pl.col("case_id").shift(1)))


def find_waits(events: pl.DataFrame, process_map: ProcessMap, now: datetime) -> pl.DataFrame:
    """Handoff delays, breaches and stalled cases of events that `with_steps` prepared."""
    parts = [pl.DataFrame(schema=FOUND)]
    handoffs = {s.name: s.handoff_limit_s for s in process_map.steps if s.handoff_limit_s is not None}
    if handoffs or process_map.handoff_limit_s is not None:
        parts.append(_handoff_delays(events, process_map, handoffs))
    levels = {s.name: s.service_level_s for s in process_map.steps if s.service_level_s is not None}
    if levels:
        parts.append(_late_steps(events, process_map, levels))
    if process_map.service_level_s is not None or process_map.stalled_s is not None:
        parts += _whole_cases(events, process_map, now)
    return pl.concat([part.select(pl.col(name).cast(kind) for name, kind in FOUND.items()) for part in parts])


def seconds(span: pl.Expr) -> pl.Expr:
    """A duration in seconds, with its microseconds."""
    return span.dt.total_microseconds() / 1_000_000


def _stretched(limit: pl.Expr, process_map: ProcessMap) -> pl.Expr:
    return limit * (1.0 + process_map.tolerance.share) + process_map.tolerance.seconds


def _limits(limits: dict[str, float], default: float | None) -> pl.Expr:
    """The limit of each row's step. All limits are floats, so that none is cut to whole seconds."""
    names, values = list(limits), [float(value) for value in limits.values()]
    return pl.col("step").replace_strict(names, values, default=default, return_dtype=pl.Float64)


def _handoff_delays(events: pl.DataFrame, process_map: ProcessMap, limits: dict[str, float]) -> pl.DataFrame:
    before = pl.col("timestamp").shift(1)
    return (
        events.with_columns(
            from_step=pl.col("step").shift(1),
            before=pl.col("position").shift(1),
            handed=~pl.col("new_case") & (pl.col("resource") != pl.col("resource").shift(1)),
            waited=seconds(pl.col("timestamp") - before),
        )
        .filter("handed")
        .with_columns(limit=_limits(limits, process_map.handoff_limit_s))
        .filter(pl.col("waited") > _stretched(pl.col("limit"), process_map))
        .select(
            "case_id",
            pl.lit("handoff_delay").alias("kind"),
            "step",
            "from_step",
            "timestamp",
            (pl.col("waited") - pl.col("limit")).alias("magnitude_s"),
            pl.concat_list("before", "position").alias("event_index"),
        )
    )


def step_times(events: pl.DataFrame) -> pl.DataFrame:
    """One row for each visit of a step: how many seconds it `took`, and the event that started its clock.

    The clock of a step starts when the step before it ended; for a case's first step, with its own
    first event. Takes events that `with_steps` prepared; the row is the visit's last event.
    """

    def held(first: pl.Expr, otherwise: str) -> pl.Expr:
        start = pl.when("new_case").then(first).otherwise(pl.col(otherwise).shift(1))
        return pl.when("begins").then(start).forward_fill()

    begins = pl.col("new_case") | (pl.col("step") != pl.col("step").shift(1))
    return (
        events.with_columns(begins=begins)
        .with_columns(
            ends=pl.col("begins").shift(-1, fill_value=True),
            since=held(pl.col("timestamp"), "timestamp"),
            before=held(pl.col("position"), "position"),
            from_step=held(pl.lit(""), "step"),
        )
        .filter("ends")
        .with_columns(took=seconds(pl.col("timestamp") - pl.col("since")))
    )


def _late_steps(events: pl.DataFrame, process_map: ProcessMap, limits: dict[str, float]) -> pl.DataFrame:
    return (
        step_times(events)
        .with_columns(limit=_limits(limits, None))
        .filter(pl.col("took") > _stretched(pl.col("limit"), process_map))
        .select(
            "case_id",
            pl.lit("sla_breach").alias("kind"),
            "step",
            pl.when(pl.col("from_step") != "").then("from_step").alias("from_step"),
            "timestamp",
            (pl.col("took") - pl.col("limit")).alias("magnitude_s"),
            _indices("before", "position"),
        )
    )


def _indices(first: str, last: str) -> pl.Expr:
    return pl.concat_list(first, last).list.unique(maintain_order=True).alias("event_index")


def _whole_cases(events: pl.DataFrame, process_map: ProcessMap, now: datetime) -> list[pl.DataFrame]:
    cases = events.group_by("case_id", maintain_order=True).agg(
        first=pl.col("timestamp").first(),
        last=pl.col("timestamp").last(),
        at_first=pl.col("position").first(),
        at_last=pl.col("position").last(),
        step=pl.col("step").last(),
        closed=pl.col("step").is_in(list(process_map.end)).any() if process_map.end else pl.lit(value=True),
    )
    found = []
    if (level := process_map.service_level_s) is not None:
        until = (
            pl.when("closed")
            .then("last")
            .otherwise(pl.max_horizontal("last", pl.lit(now, FOUND["timestamp"])))
        )
        limit = process_map.tolerance.stretch(level)
        passed = pl.when("closed").then("last").otherwise(pl.col("first") + _span(limit))
        found.append(
            cases.with_columns(took=seconds(until - pl.col("first")))
            .filter(pl.col("took") > limit)
            .select(
                "case_id",
                pl.lit("sla_breach").alias("kind"),
                pl.lit(END_TO_END).alias("step"),
                pl.lit(None, pl.String).alias("from_step"),
                passed.alias("timestamp"),
                (pl.col("took") - level).alias("magnitude_s"),
                _indices("at_first", "at_last"),
            )
        )
    if (rest := process_map.stalled_s) is not None:
        limit = process_map.tolerance.stretch(rest)
        found.append(
            cases.with_columns(took=seconds(pl.lit(now, FOUND["timestamp"]) - pl.col("last")))
            .filter(~pl.col("closed") & (pl.col("took") > limit))
            .select(
                "case_id",
                pl.lit("stalled").alias("kind"),
                "step",
                pl.lit(None, pl.String).alias("from_step"),
                (pl.col("last") + _span(limit)).alias("timestamp"),
                (pl.col("took") - rest).alias("magnitude_s"),
                pl.concat_list("at_last").alias("event_index"),
            )
        )
    return found


def _span(limit_s: float) -> pl.Expr:
    return pl.duration(microseconds=round(limit_s * 1_000_000))
