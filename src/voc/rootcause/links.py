"""Links: which feedback speaks about which case, by the case it names or by customer and time."""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from voc.errors import InputError
from voc.records import Link
from voc.rootcause.times import to_utc

SAME_CASE = "case"
CUSTOMER_WINDOW = "customer_window"
# Feedback by the customer while the case runs is probably, not surely, about it.
WITHIN_CASE_CONFIDENCE = 0.9
BEFORE = timedelta(days=1)  # clocks differ; customers write before the first step is logged
AFTER = timedelta(days=14)
HALF_LIFE = timedelta(days=3)
MIN_CONFIDENCE = 0.05
SCHEMA = {"feedback_id": pl.Int64, "case_id": pl.String, "basis": pl.String, "confidence": pl.Float64}


def link_feedback(
    feedback: pl.DataFrame,
    cases: pl.DataFrame,
    *,
    before: timedelta = BEFORE,
    after: timedelta = AFTER,
    half_life: timedelta = HALF_LIFE,
) -> pl.DataFrame:
    """Tie each feedback to its case, else to its customer's cases around that time.

    Same case: confidence 1, and no other link. Same customer: 0.9 while the case runs, halved every
    `half_life` before its start or after its end, nothing beyond `before` and `after`. Where several
    cases of a customer qualify, each keeps its share: confidence times its part of their sum, so that
    doubt about which case is meant lowers all. Links under `MIN_CONFIDENCE` are dropped.

    Parameters
    ----------
    feedback : feedback_id (whole number), occurred_at, and case_id or customer_ref or both
    cases : case_id, and for links by customer customer_ref, started_at, and ended_at where known.
        Give all cases, not only those with deviations: a case without any competes for the feedback.

    Returns
    -------
    feedback_id, case_id, basis, confidence in (0, 1]; sorted; a feedback may have several rows or none.

    Raises
    ------
    InputError
        A column is missing or a time cannot be read.
    """
    for table, file, name in ((feedback, "feedback", "feedback_id"), (cases, "cases", "case_id")):
        if name not in table.columns:
            raise InputError("column is missing", file=file, field=name, remedy="add it")
    feedback = feedback.with_columns(pl.col("feedback_id").cast(pl.Int64))
    cases = cases.with_columns(pl.col("case_id").cast(pl.String)).unique("case_id", keep="first")
    parts = [pl.DataFrame(schema=SCHEMA)]
    rest = feedback
    if "case_id" in feedback.columns:
        named = feedback.with_columns(pl.col("case_id").cast(pl.String)).join(
            cases.select("case_id"), on="case_id", how="inner"
        )
        parts.append(
            named.select("feedback_id", "case_id", basis=pl.lit(SAME_CASE), confidence=pl.lit(1.0)).unique()
        )
        rest = feedback.join(named.select("feedback_id"), on="feedback_id", how="anti")
    needed = {"customer_ref", "started_at"} <= set(cases.columns) and {"customer_ref", "occurred_at"} <= set(
        rest.columns
    )
    if needed and len(rest):
        parts.append(_by_customer(rest, cases, before=before, after=after, half_life=half_life))
    return pl.concat(parts).sort("feedback_id", "case_id")


def _by_customer(
    feedback: pl.DataFrame, cases: pl.DataFrame, *, before: timedelta, after: timedelta, half_life: timedelta
) -> pl.DataFrame:
    start = to_utc(cases["started_at"], file="cases", required=False)
    end = to_utc(cases["ended_at"], file="cases", required=False) if "ended_at" in cases.columns else start
    timed = cases.select("case_id", pl.col("customer_ref").cast(pl.String)).with_columns(
        start, end.alias("ended_at")
    )
    said = feedback.select("feedback_id", pl.col("customer_ref").cast(pl.String)).with_columns(
        to_utc(feedback["occurred_at"], file="feedback", required=False)
    )
    pairs = said.join(timed, on="customer_ref").with_columns(
        ended_at=pl.max_horizontal(pl.coalesce("ended_at", "started_at"), "started_at")
    )
    early = (pl.col("started_at") - pl.col("occurred_at")).clip(lower_bound=timedelta(0))
    late = (pl.col("occurred_at") - pl.col("ended_at")).clip(lower_bound=timedelta(0))
    away = (pl.max_horizontal(early, late).dt.total_microseconds()) / (half_life / timedelta(microseconds=1))
    confidence = pl.col("confidence")
    return (
        pairs.filter((early <= before) & (late <= after))
        .with_columns(confidence=WITHIN_CASE_CONFIDENCE * pl.lit(0.5).pow(away))
        .with_columns(confidence=confidence * confidence / confidence.sum().over("feedback_id"))
        .filter(confidence >= MIN_CONFIDENCE)
        .select("feedback_id", "case_id", basis=pl.lit(CUSTOMER_WINDOW), confidence=confidence)
    )


def link_records(links: pl.DataFrame) -> list[Link]:
    """The rows of `link_feedback` as records."""
    return [Link(**row) for row in links.select(*SCHEMA).iter_rows(named=True)]


def outcomes_of_cases(
    links: pl.DataFrame, flags: pl.DataFrame, *, min_confidence: float = 0.5
) -> pl.DataFrame:
    """Outcomes of cases from what was flagged in the feedback linked to them, for `associate`.

    Parameters
    ----------
    links : as `link_feedback` returns
    flags : feedback_id, outcome: each signal, theme, `negative` or `frustration` a feedback carries
    min_confidence : links below it do not speak for the case

    Returns
    -------
    case_id, outcome; each pair once.
    """
    sure = links.filter(pl.col("confidence") >= min_confidence)
    both = sure.join(flags.with_columns(pl.col("feedback_id").cast(pl.Int64)), on="feedback_id")
    return both.select("case_id", "outcome").unique().sort("case_id", "outcome")


def outcome_times(
    links: pl.DataFrame, flags: pl.DataFrame, feedback: pl.DataFrame, *, min_confidence: float = 0.5
) -> pl.DataFrame:
    """When each outcome of a case was said: case_id, outcome, timestamp; as `outcomes_of_cases`, with times.

    `feedback` has feedback_id and occurred_at.
    """
    sure = links.filter(pl.col("confidence") >= min_confidence)
    both = sure.join(flags.with_columns(pl.col("feedback_id").cast(pl.Int64)), on="feedback_id")
    timed = both.join(feedback.select("feedback_id", timestamp="occurred_at"), on="feedback_id")
    return timed.select("case_id", "outcome", "timestamp").unique().sort("case_id", "outcome", "timestamp")


def evidence(
    links: pl.DataFrame, flags: pl.DataFrame, exposed: Sequence[str], outcome: str
) -> list[tuple[int, str]]:
    """(feedback id, case id) pairs behind one association, surest first: feedback with the outcome
    linked to a case with the deviation."""
    rows = (
        links.join(flags.filter(pl.col("outcome") == outcome), on="feedback_id")
        .filter(pl.col("case_id").is_in(list(exposed)))
        .sort(["confidence", "feedback_id", "case_id"], descending=[True, False, False])
    )
    return list(rows.select("feedback_id", "case_id").unique(maintain_order=True).iter_rows())
