"""One look at a pilot: a table of what each customer did, in; effect, guardrails and verdict, out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from voc.errors import InputError
from voc.rootcause.cohorts import (
    MIN_UNITS,
    NOT_ENOUGH,
    Arm,
    Effect,
    Pilot,
    Rollback,
    assign,
    check_guardrails,
    measure,
    verdict,
)
from voc.rootcause.pilot_plans import Plan

BEFORE, DURING = "before", "during"
_TRUTH = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that must not rise by more than `tolerated`; `effect` None with too few units to tell."""

    metric: str
    tolerated: float
    effect: Effect | None
    broken: bool


@dataclass(frozen=True, slots=True)
class PilotLook:
    """What a look says; `effect` is None where an arm has fewer than two units."""

    verdict: str
    effect: Effect | None
    guardrails: tuple[Guardrail, ...]
    rollbacks: tuple[Rollback, ...]
    notes: tuple[str, ...]


def look_at(plan: Plan, values: pl.DataFrame, *, at: datetime, file: str | None = None) -> PilotLook:
    """Judge a pilot by what is known so far; each unit counts in the arm it was assigned to.

    Parameters
    ----------
    values : unit, a column for the metric and for each guardrail (numbers, or true and false), and
        `period` ("before" or "during") for a difference in differences; `arm` ("treated" or "control")
        where known is compared with the assignment, not used. Several rows of a unit are averaged.

    Raises
    ------
    InputError
        A column is missing, a unit is empty, or a value is no number.
    """
    pilot = plan.pilot
    metrics = list(dict.fromkeys([plan.metric, *(pilot.guardrails or {})]))
    table, notes = _units(plan, values, metrics, file)
    arms = {metric: _arms(table, metric) for metric in metrics}
    effect = _effect(pilot, arms[plan.metric])
    says = NOT_ENOUGH if effect is None else verdict(pilot, effect)
    guardrails = [_guard(pilot, name, arms[name], at) for name in pilot.guardrails or {}]
    return PilotLook(
        says,
        effect,
        tuple(one for one, _ in guardrails),
        tuple(event for _, events in guardrails for event in events),
        tuple(notes),
    )


_Arms = tuple[Arm | None, Arm | None, Arm | None, Arm | None]


def _guard(pilot: Pilot, name: str, arms: _Arms, at: datetime) -> tuple[Guardrail, list[Rollback]]:
    """A guardrail at its share of the error rate, and the rollback event where it broke."""
    limits = pilot.guardrails or {}
    alone = replace(pilot, alpha=pilot.alpha / len(limits), guardrails={name: limits[name]})
    treated, control = arms[0], arms[1]
    if treated is None or control is None:
        return Guardrail(name, limits[name], None, broken=False), []
    events = check_guardrails(alone, {name: (treated, control)}, at=at)
    return Guardrail(name, limits[name], measure(alone, treated, control), bool(events)), events


def _units(
    plan: Plan, values: pl.DataFrame, metrics: Sequence[str], file: str | None
) -> tuple[pl.DataFrame, list[str]]:
    """One row for each unit and period: unit, period, treated and the metrics as numbers."""
    for name in ("unit", *metrics):
        if name not in values.columns:
            raise InputError(
                f"column is missing; the columns are {', '.join(values.columns)}",
                file=file,
                field=name,
                remedy="add it, or correct the plan",
            )
    units = values["unit"].cast(pl.String).replace("", None)
    if units.is_null().any():
        row = int(units.is_null().arg_true()[0]) + 1
        raise InputError("is empty", file=file, row=row, field="unit", remedy="give each row its unit")
    table = pl.DataFrame({"unit": units}).with_columns(
        period=_periods(values, file), treated=pl.Series(assign(plan.pilot, units.to_list()))
    )
    notes = []
    for metric in metrics:
        numbers = _numbers(values[metric], file)
        if n_empty := numbers.null_count():
            notes.append(f"{metric}: {n_empty} empty values are left out")
        table = table.with_columns(numbers.alias(metric))
    if "arm" in values.columns:
        said = values["arm"].cast(pl.String).str.strip_chars().str.to_lowercase() == "treated"
        n_crossed = table.filter(said.fill_null(value=False) != table["treated"])["unit"].n_unique()
        if n_crossed:
            notes.append(
                f"{n_crossed} units got another arm than assigned; each counts where it was assigned"
            )
    units_once = table.group_by("unit", "period", "treated").agg(pl.col(metrics).mean())
    return units_once.sort("unit", "period"), notes  # sorted: sums come out the same every time


def _periods(values: pl.DataFrame, file: str | None) -> pl.Series:
    if "period" not in values.columns:
        return pl.Series("period", [DURING] * values.height, dtype=pl.String)
    periods = values["period"].cast(pl.String).str.strip_chars().str.to_lowercase()
    wrong = ~periods.is_in([BEFORE, DURING]).fill_null(value=False)
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise InputError(
            f"is {periods[row]!r}", file=file, row=row + 1, field="period", remedy="write before or during"
        )
    return periods


def _numbers(values: pl.Series, file: str | None) -> pl.Series:
    text = values.cast(pl.String).str.strip_chars().str.to_lowercase().replace("", None)
    numbers = text.replace(_TRUTH).cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & text.is_not_null()) | (~numbers.is_finite()).fill_null(value=False)
    if bad.any():
        row = int(bad.arg_true()[0]) + 1
        raise InputError(
            "is no finite number", file=file, row=row, field=values.name, remedy="write 0, 1 or an amount"
        )
    return numbers


def _arms(table: pl.DataFrame, metric: str) -> _Arms:
    """Treated and control during the pilot, then before it; None with under two units."""

    def arm(period: str, treated: bool) -> Arm | None:
        here = table.filter((pl.col("period") == period) & (pl.col("treated") == treated))
        found = here[metric].drop_nulls().to_numpy()
        return Arm.of(np.asarray(found)) if len(found) > 1 else None

    return arm(DURING, True), arm(DURING, False), arm(BEFORE, True), arm(BEFORE, False)


def _effect(pilot: Pilot, arms: _Arms) -> Effect | None:
    treated, control, treated_before, control_before = arms
    if treated is None or control is None:
        return None
    if treated_before is None or control_before is None:
        return measure(pilot, treated, control)
    if min(treated_before.n, control_before.n) < MIN_UNITS:
        return measure(pilot, treated, control)
    return measure(pilot, treated, control, treated_before=treated_before, control_before=control_before)
