"""What is counted for each case: outcomes from scores and from what customers ticked themselves."""

from collections.abc import Sequence

import polars as pl

from voc.pipeline.spec import RatingOutcome
from voc.taxonomy import SIGNALS

UNIT = pl.col("turn_index").is_null()  # a verbatim, or a conversation as a whole; never its turns


def flags_of(
    scored: pl.DataFrame, ratings: Sequence[RatingOutcome], wanted: Sequence[str] | None
) -> pl.DataFrame:
    """Outcomes a feedback carries: feedback_id, outcome; one row each.

    `negative` is the sentiment of the verbatim or the whole conversation; `frustration` and signals
    are flags at the operating point; a rating outcome is the customer's own answer.

    Parameters
    ----------
    scored : as `store.scores.read_scored` gives it
    wanted : names of outcomes from scores; None takes all
    """
    units = scored.filter(UNIT)
    parts = [
        units.filter(pl.col("sentiment") == "negative").select("feedback_id", outcome=pl.lit("negative")),
        units.filter(pl.col("frustration_flag")).select("feedback_id", outcome=pl.lit("frustration")),
        units.select("feedback_id", outcome=pl.col("flags"))
        .explode("outcome")
        .filter(pl.col("outcome").is_in(list(SIGNALS))),
    ]
    flags = pl.concat(parts)
    if wanted is not None:
        flags = flags.filter(pl.col("outcome").is_in(list(wanted)))
    own = [
        units.filter(pl.col(r.scale) <= r.at_most).select("feedback_id", outcome=pl.lit(r.name))
        for r in ratings
    ]
    return pl.concat([flags, *own]).unique().sort("feedback_id", "outcome")


def cases_with_feedback(cases: pl.DataFrame, scored: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Cases somebody spoke about, with the strata that log or feedback know.

    A case nobody spoke about can have no outcome: to count it as one without complaint would mix
    "content" with "silent". What this leaves open: who speaks up may itself depend on the deviation.
    """
    said = (
        links.join(
            scored.select("feedback_id", "segment", "channel", "region", "occurred_at"), on="feedback_id"
        )
        .group_by("case_id")
        .agg(
            pl.col("segment", "channel", "region").drop_nulls().first(),
            pl.col("occurred_at").min(),
        )
    )
    known = [name for name in ("segment", "channel", "region", "started_at") if name in cases.columns]
    merged = cases.select("case_id", *known).join(said, on="case_id", how="inner", suffix="_said")
    for name in ("segment", "channel", "region"):
        if f"{name}_said" in merged.columns:
            merged = merged.with_columns(pl.coalesce(name, f"{name}_said").alias(name))
    if "started_at" not in merged.columns:
        merged = merged.rename({"occurred_at": "started_at"})
    else:
        merged = merged.with_columns(pl.coalesce("started_at", "occurred_at").alias("started_at"))
    columns = ["case_id", "segment", "channel", "region", "started_at"]
    merged = merged.select(columns)
    # A column that is empty throughout tells no cases apart.
    return merged.drop([c for c in columns[1:] if merged[c].is_null().all()])


def shuffled(deviations: pl.DataFrame, cases: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """The control: each case gets the deviations of another, drawn within its strata.

    What links a deviation to its own case's outcome is gone; how often each occurs, and where, stays.
    """
    strata = [c for c in ("segment", "channel", "region") if c in cases.columns]
    ordered = cases.select("case_id", *strata).sort(*strata, "case_id")
    group = pl.struct(strata) if strata else pl.lit(0)
    other = ordered.with_columns(
        given=pl.col("case_id").shuffle(seed=seed).over(group)
        if strata
        else pl.col("case_id").shuffle(seed=seed)
    )
    return (
        deviations.join(other.select("case_id", "given"), on="case_id")
        .drop("case_id")
        .rename({"given": "case_id"})
    )
