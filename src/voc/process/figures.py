"""Plain figures of a log, as process mining tools count them: rework, directly-follows, durations."""

import polars as pl

from voc.process.clocks import seconds


def count_rework(events: pl.DataFrame) -> pl.DataFrame:
    """Columns `activity, n_cases`: in how many cases each activity happens more than once."""
    return (
        events.group_by("case_id", "activity")
        .len("n")
        .filter(pl.col("n") > 1)
        .group_by("activity")
        .agg(n_cases=pl.len())
        .sort("activity")
    )


def count_directly_follows(events: pl.DataFrame) -> pl.DataFrame:
    """Columns `activity, after, n`: how often `after` is the next event of the case."""
    return (
        events.with_columns(
            after=pl.col("activity").shift(-1), same=pl.col("case_id") == pl.col("case_id").shift(-1)
        )
        .filter("same")
        .group_by("activity", "after")
        .agg(n=pl.len())
        .sort("activity", "after")
    )


def case_durations(events: pl.DataFrame) -> pl.DataFrame:
    """Columns `case_id, duration_s`: from a case's first event to its last, in the order of the log."""
    return events.group_by("case_id", maintain_order=True).agg(
        duration_s=seconds(pl.col("timestamp").last() - pl.col("timestamp").first())
    )
