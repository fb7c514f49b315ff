"""Work that goes back and forth between the same two resources, for a whole log at once."""

import polars as pl

from voc.process.clocks import FOUND


def find_ping_pong(events: pl.DataFrame, most: int) -> pl.DataFrame:
    """Stretches in which more than `most` handoffs in a row go between two resources.

    Takes events that `with_steps` prepared. One row for each stretch: it is told at the first handoff too
    many; `event_index` are the first events of each turn, `magnitude_s` the time from the turn before that
    handoff to the start of the last turn.
    """
    turns = (
        events.filter(pl.col("resource").is_not_null())
        .with_columns(same_case=pl.col("case_id") == pl.col("case_id").shift(1))
        .filter(
            ~pl.col("same_case").fill_null(value=False) | (pl.col("resource") != pl.col("resource").shift(1))
        )
        .select("case_id", "step", "resource", "timestamp", "position")
        .with_row_index("turn")
        .with_columns(
            back=(
                (pl.col("case_id") == pl.col("case_id").shift(2))
                & (pl.col("resource") == pl.col("resource").shift(2))
            ).fill_null(value=False)
        )
        .with_columns(stretch=(pl.col("back") & ~pl.col("back").shift(1, fill_value=False)).cum_sum())
    )
    # A first return makes two handoffs; each further one adds one.
    long = (
        turns.filter("back")
        .group_by("stretch", maintain_order=True)
        .agg(first=pl.col("turn").min().cast(pl.Int64) - 2, last=pl.col("turn").max().cast(pl.Int64))
        .filter(pl.col("last") - pl.col("first") > most)
    )
    if long.height == 0:
        return pl.DataFrame(schema=FOUND)
    members = long.select("stretch", turn=pl.int_ranges("first", pl.col("last") + 1)).explode("turn")
    positions = (
        members.with_columns(position=turns["position"].gather(members["turn"]))
        .group_by("stretch", maintain_order=True)
        .agg(event_index="position")
    )
    extra = (long["first"] + most + 1).rename("turn")
    told = turns[extra.to_list()]
    before = turns[(extra - 1).to_list()]
    last = turns[long["last"].to_list()]
    return pl.DataFrame(
        {
            "case_id": told["case_id"],
            "kind": pl.Series(["ping_pong"] * long.height, dtype=pl.String),
            "step": told["step"],
            "from_step": before["step"],
            "timestamp": told["timestamp"],
            "magnitude_s": (last["timestamp"] - before["timestamp"]).dt.total_microseconds() / 1_000_000,
            "event_index": positions["event_index"],
        },
        schema=FOUND,
    )
