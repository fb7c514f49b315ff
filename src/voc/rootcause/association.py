"""Which outcomes of cases go with which deviations: stratified, and corrected for many tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from voc.errors import InputError, StatisticsError
from voc.records import Association
from voc.rootcause.fdr import directional_q_values
from voc.rootcause.mantel_haenszel import homogeneity_p, stratified
from voc.rootcause.periods import find_periods
from voc.rootcause.tables import Marks, Strata, count_tables, cross, moves_over_time, refine
from voc.rootcause.times import to_utc

STATISTICS = ("odds_ratio", "ci_low", "ci_high", "p_value", "risk_difference", "risk_ratio")
STRATA = ("segment", "channel", "region")
MIN_CASES = 50
MIN_EXPOSED = 20
MIN_OUTCOMES = 10
# Exposed cases with the outcome to be expected if the two had nothing to do with each other.
MIN_EXPECTED = 1.0

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AssociationRun:
    """The pairs tested, strongest evidence first, and how: for the record and for the reader."""

    rows: tuple[Association, ...]
    strata: tuple[str, ...]
    n_strata: int
    n_periods: int  # spans of time with steady rates; 1 where nothing changed or time was not used
    n_by_period: int  # pairs stratified by period as well
    n_without_support: int  # pairs left untested
    notes: tuple[str, ...]


def associate(
    cases: pl.DataFrame,
    outcomes: pl.DataFrame,
    deviations: pl.DataFrame,
    *,
    fdr: float = 0.05,
    strata: Sequence[str] | None = None,
    min_exposed: int = MIN_EXPOSED,
    by_period: bool = True,
) -> AssociationRun:
    """Test every (outcome, kind, step) with support; say how strongly the outcome goes with the deviation.

    Odds ratios are stratified (Mantel-Haenszel) over `strata`, and over spans of time as well where
    outcome and deviation both change over time, as they do when an outage raises both. A pair has
    support with at least `min_exposed` exposed and unexposed cases, `MIN_OUTCOMES` cases with the
    outcome and `MIN_EXPECTED` expected exposed ones: margins alone, so that choosing does not bias the
    tests. Duplicate rows of a case count once.

    Parameters
    ----------
    cases : columns case_id and any of the strata, started_at
    outcomes : columns case_id, outcome; a case may have many, or no row
    deviations : columns case_id, kind, step (empty: the whole case)
    fdr : in (0, 1), the rate of false findings allowed among those reported
    strata : columns to stratify by, all of which must exist; None takes those of `STRATA` that do

    Raises
    ------
    InputError
        A column is missing, case ids repeat, times cannot be read, or no case id is shared.
    StatisticsError
        Fewer than `MIN_CASES` cases, or settings out of range.

    What it does not promise: a cause. Confounders outside strata and time remain.
    """
    if not 0.0 < fdr < 1.0:
        raise StatisticsError(f"false discovery rate {fdr:g} is not between 0 and 1; 0.05 is usual")
    if min_exposed < 1:
        raise StatisticsError(f"minimum of exposed cases is {min_exposed}; give 1 or more")
    notes: list[str] = []
    index = _index_cases(cases)
    columns = _strata_columns(cases, strata, notes)
    outcome_names, outcome_marks = _mark(outcomes, ("outcome",), index, "outcomes", notes)
    deviation_names, deviation_marks = _mark(deviations, ("kind", "step"), index, "deviations", notes)
    if outcome_marks.n_labels == 0 or deviation_marks.n_labels == 0:
        return AssociationRun((), tuple(columns), 1, 1, 0, 0, tuple(notes))

    plain, used, dropped = cross(cases, columns)
    notes += dropped
    support = _support(outcome_marks, deviation_marks, len(cases), min_exposed)
    timed = np.zeros_like(support)
    fine, n_periods = plain, 1
    if by_period and "started_at" in cases.columns:
        started_at = to_utc(cases["started_at"], file="cases", required=False)
        period = find_periods(started_at, [outcome_marks, deviation_marks])
        n_periods = int(period.max()) + 1
    if n_periods > 1:
        fine = refine(plain, period)
        timed = np.logical_and.outer(
            moves_over_time(outcome_marks, period), moves_over_time(deviation_marks, period)
        )
    if not support.any():
        notes.append("no pair has support; nothing was tested")
        return AssociationRun((), tuple(used), plain.n_strata, 1, 0, support.size, tuple(notes))
    tested = _test(outcome_marks, deviation_marks, plain, support)
    if (support & timed).any():
        # Homogeneity stays that of the plain strata: it asks about segments and channels, not weeks.
        finer = _test(outcome_marks, deviation_marks, fine, support & timed)
        tested = tested.update(finer.select("outcome", "deviation", *STATISTICS), on=["outcome", "deviation"])
    rows = _records(tested, outcome_names, deviation_names, len(cases), fdr)
    return AssociationRun(
        rows=rows,
        strata=tuple(used),
        n_strata=plain.n_strata,
        n_periods=n_periods,
        n_by_period=int((support & timed).sum()),
        n_without_support=int((~support).sum()),
        notes=tuple(notes),
    )


def _index_cases(cases: pl.DataFrame) -> pl.DataFrame:
    """Case ids with their position; refuses what would make every count wrong."""
    if "case_id" not in cases.columns:
        raise InputError("column is missing", file="cases", field="case_id", remedy="add it")
    ids = cases["case_id"].cast(pl.String).replace("", None)
    if ids.is_null().any():
        row = int(ids.is_null().arg_true()[0]) + 1
        raise InputError("is empty", file="cases", row=row, field="case_id", remedy="give each case its id")
    if ids.n_unique() < len(ids):
        row = int((~ids.is_first_distinct()).arg_true()[0]) + 1
        raise InputError(
            f"repeats an earlier row ({len(ids) - ids.n_unique()} such rows)",
            file="cases",
            row=row,
            field="case_id",
            remedy="give one row a case",
        )
    if len(ids) < MIN_CASES:
        raise StatisticsError(
            f"{len(ids)} cases are too few to say what goes with what; at least {MIN_CASES} are needed"
        )
    return pl.DataFrame({"case_id": ids}).with_row_index("case")


def _strata_columns(cases: pl.DataFrame, strata: Sequence[str] | None, notes: list[str]) -> list[str]:
    if strata is None:
        missing = [name for name in STRATA if name not in cases.columns]
        if missing:
            notes.append(
                f"strata: cases have no {', '.join(missing)}; differences between them are not removed"
            )
        return [name for name in STRATA if name in cases.columns]
    for name in strata:
        if name not in cases.columns or name == "case_id":
            raise InputError(
                f"no such column to stratify by; the columns are {', '.join(cases.columns)}",
                file="cases",
                field=name,
                remedy="name columns of the cases in --strata",
            )
    return list(dict.fromkeys(strata))


def _mark(
    table: pl.DataFrame, names: tuple[str, ...], index: pl.DataFrame, file: str, notes: list[str]
) -> tuple[pl.DataFrame, Marks]:
    """Number the labels of a table and place them on cases, each case and label once."""
    for name in ("case_id", *names):
        if name not in table.columns:
            raise InputError(
                f"column is missing; the columns are {', '.join(table.columns)}",
                file=file,
                field=name,
                remedy="rename a column or add it",
            )
    table = table.select(pl.col("case_id", *names).cast(pl.String).replace("", None))
    for name in ("case_id", names[0]):
        if table[name].is_null().any():
            row = int(table[name].is_null().arg_true()[0]) + 1
            raise InputError("is empty", file=file, row=row, field=name, remedy="fill it or drop the row")
    placed = table.with_columns(pl.col(names).fill_null("")).join(index, on="case_id", how="inner")
    if len(table) and not len(placed):
        raise InputError(
            "shares no case id with the cases",
            file=file,
            field="case_id",
            remedy="check that both files name cases the same way",
        )
    if len(placed) < len(table):
        notes.append(
            f"{file}: {len(table) - len(placed)} of {len(table)} rows name a case that is not in the cases"
        )
    labels = placed.select(names).unique().sort(names)
    marked = placed.join(labels.with_row_index("label"), on=names).select("case", "label").unique()
    marks = Marks(
        case=marked["case"].to_numpy().astype(np.int64),
        label=marked["label"].to_numpy().astype(np.int64),
        n_labels=len(labels),
    )
    return labels, marks


def _support(outcomes: Marks, deviations: Marks, n_cases: int, min_exposed: int) -> Bools:
    """Which pairs have enough cases on every margin; shape (n_outcomes, n_deviations)."""
    with_outcome = np.bincount(outcomes.label, minlength=outcomes.n_labels)[:, None]
    exposed = np.bincount(deviations.label, minlength=deviations.n_labels)[None, :]
    enough: Bools = (
        (np.minimum(exposed, n_cases - exposed) >= min_exposed)
        & (np.minimum(with_outcome, n_cases - with_outcome) >= MIN_OUTCOMES)
        & (with_outcome * exposed / n_cases >= MIN_EXPECTED)
    )
    return enough


def _test(outcomes: Marks, deviations: Marks, strata: Strata, wanted: Bools) -> pl.DataFrame:
    """Counts and statistics of the wanted pairs, one row each."""
    parts = []
    for t in count_tables(outcomes, deviations, strata, wanted):
        stats = stratified(t.a, t.n1, t.m1, t.n)
        columns = {
            "outcome": t.outcome,
            "deviation": t.deviation,
            "n_exposed": t.n1.sum(1),
            "n_outcome": t.m1.sum(1),
            "n_both": t.a.sum(1),
            "homogeneity_p": homogeneity_p(t.a, t.n1, t.m1, t.n, stats.odds_ratio),
        }
        parts.append(pl.DataFrame(columns | {name: getattr(stats, name) for name in STATISTICS}))
    return pl.concat(parts)


def _records(
    tested: pl.DataFrame, outcome_names: pl.DataFrame, deviation_names: pl.DataFrame, n_cases: int, fdr: float
) -> tuple[Association, ...]:
    """The tested pairs with their q-values, strongest evidence first."""
    odds_ratio, risk_ratio = tested["odds_ratio"].to_numpy(), tested["risk_ratio"].to_numpy()
    positive = np.nan_to_num(odds_ratio, nan=0.0) > 1.0
    q_values = directional_q_values(tested["p_value"].to_numpy(), positive)
    # Share of the outcome's cases that would be gone if the exposed had the risk of the unexposed
    # (Miettinen 1974); nothing is attributable where the exposed have no higher risk.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (tested["n_both"] / tested["n_outcome"]).to_numpy() * (1.0 - 1.0 / risk_ratio)
    share = np.where(risk_ratio > 1.0, share, np.where(np.isnan(risk_ratio), np.nan, 0.0))
    rows = tested.with_columns(q_value=q_values, share=share, reported=positive & (q_values <= fdr)).sort(
        "q_value", "p_value", "outcome", "deviation"
    )
    names = outcome_names["outcome"].to_list()
    kinds, steps = deviation_names["kind"].to_list(), deviation_names["step"].to_list()
    return tuple(
        Association(
            outcome=names[row["outcome"]],
            kind=kinds[row["deviation"]],
            step=steps[row["deviation"]],
            odds_ratio=row["odds_ratio"],
            ci_low=row["ci_low"],
            ci_high=row["ci_high"],
            p_value=row["p_value"],
            q_value=row["q_value"],
            n_exposed=int(row["n_exposed"]),
            n_exposed_outcome=int(row["n_both"]),
            n_unexposed=int(n_cases - row["n_exposed"]),
            n_unexposed_outcome=int(row["n_outcome"] - row["n_both"]),
            risk_difference=row["risk_difference"],
            attributable_fraction=row["share"],
            homogeneity_p=None if np.isnan(row["homogeneity_p"]) else row["homogeneity_p"],
            reported=row["reported"],
        )
        for row in rows.iter_rows(named=True)
    )
