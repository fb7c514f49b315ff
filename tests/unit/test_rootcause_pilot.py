"""Pilots from a plan and a table: effect, guardrails, rollback, and what is not enough to tell."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from voc.errors import InputError
from voc.rootcause.cohorts import HARMS, NOT_ENOUGH, WORKS, assign
from voc.rootcause.pilot_looks import look_at
from voc.rootcause.pilot_plans import read_plan

AT = datetime(2026, 4, 1, tzinfo=UTC)
PLAN = """id: refund-fix
metric: complained
share: 0.5
planned_units: 4000
margin: 0.05
guardrails: {escalated: 0.01}
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    return read_plan(str(tmp_path / "plan.yaml"))


def table(plan, n: int, treated: float, control: float, *, escalated=(0.05, 0.05), seed=0) -> pl.DataFrame:
    """Units with rates of complaints and escalations by arm."""
    rng = np.random.default_rng(seed)
    units = [f"u{no}" for no in range(n)]
    gets = assign(plan.pilot, units)
    rate = np.where(gets, treated, control)
    worse = np.where(gets, *escalated)
    return pl.DataFrame(
        {
            "unit": units,
            "complained": (rng.random(n) < rate).astype(int).astype(str),
            "escalated": (rng.random(n) < worse).astype(int).astype(str),
        }
    )


def test_a_fix_that_works_is_said_to_work(plan):
    seen = look_at(plan, table(plan, 4000, 0.1, 0.3), at=AT)
    assert (seen.verdict, seen.rollbacks, seen.notes) == (WORKS, (), ())
    assert seen.effect.ci_high < 0
    assert [(g.metric, g.broken) for g in seen.guardrails] == [("escalated", False)]


def test_a_broken_guardrail_gives_a_rollback_event_whatever_the_effect(plan):
    seen = look_at(plan, table(plan, 4000, 0.1, 0.3, escalated=(0.3, 0.05)), at=AT)
    (event,) = seen.rollbacks
    assert (seen.verdict, event.metric, event.tolerated, event.at) == (WORKS, "escalated", 0.01, AT)
    assert event.effect.ci_low > 0.01


@pytest.mark.parametrize("n", [1, 3, 60])
def test_a_few_units_are_not_enough(plan, n):
    seen = look_at(plan, table(plan, n, 0.0, 1.0, escalated=(1.0, 0.0)), at=AT)
    assert (seen.verdict, seen.rollbacks) == (NOT_ENOUGH, ())


def test_with_a_past_the_effect_is_a_difference_in_differences(plan):
    now = table(plan, 4000, 0.3, 0.3).with_columns(period=pl.lit("during"))
    past = table(plan, 4000, 0.1, 0.3, seed=1).with_columns(period=pl.lit("Before "))

    seen = look_at(plan, pl.concat([now, past]), at=AT)

    assert seen.effect.by_trend
    assert seen.effect.estimate == pytest.approx(0.2, abs=0.05)
    assert seen.verdict == HARMS


def test_rows_of_a_unit_are_averaged_and_their_order_does_not_matter(plan):
    once = table(plan, 600, 0.1, 0.3)
    twice = pl.concat([once, once]).sample(fraction=1.0, shuffle=True, seed=3)
    effect, again = look_at(plan, once, at=AT).effect, look_at(plan, twice, at=AT).effect
    assert (again.n_treated, again.n_control) == (effect.n_treated, effect.n_control)
    assert again.estimate == pytest.approx(effect.estimate)


def test_who_got_another_arm_counts_where_it_was_assigned_and_is_told(plan):
    rows = table(plan, 600, 0.1, 0.3)
    gets = assign(plan.pilot, rows["unit"].to_list())
    got = gets.copy()
    got[0] = not gets[0]

    def told(who):
        return look_at(plan, rows.with_columns(arm=pl.Series(np.where(who, "treated", "control"))), at=AT)

    assert told(gets).notes == ()
    assert told(got).effect == look_at(plan, rows, at=AT).effect
    assert told(got).notes[0].startswith("1 units got another arm than assigned")


def test_empty_values_are_left_out_and_counted_and_words_are_read(plan):
    rows = table(plan, 600, 0.1, 0.3).with_columns(
        complained=pl.when(pl.col("unit") == "u1").then(None).otherwise(pl.lit("Yes"))
    )
    seen = look_at(plan, rows, at=AT)
    assert seen.notes == ("complained: 1 empty values are left out",)
    assert seen.effect.estimate == 0.0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.drop("escalated"), "'escalated'"),
        (lambda t: t.drop("unit"), "'unit'"),
        (lambda t: t.with_columns(complained=pl.lit("perhaps")), "row 1, field 'complained': is no finite"),
        (lambda t: t.with_columns(complained=pl.lit("inf")), "is no finite"),
        (lambda t: t.with_columns(unit=pl.lit("")), "field 'unit': is empty"),
        (lambda t: t.with_columns(period=pl.lit("later")), "write before or during"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused(plan, change, match):
    with pytest.raises(InputError, match=match):
        look_at(plan, change(table(plan, 10, 0.1, 0.3)), at=AT)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is no plan"),
        ("a: [", "is not YAML"),
        (PLAN + "extra: 1\n", "'extra'"),
        (PLAN.replace("margin: 0.05\n", ""), "'margin'"),
        (PLAN.replace("0.05", "much"), "'margin': is 'much'"),
        (PLAN.replace("0.5", "1.5"), "share and alpha must lie"),
        (PLAN + "root_cause: yes\n", "give its number"),
        (PLAN.replace("{escalated: 0.01}", "escalated"), "write metric: limit"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(tmp_path, text, match):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InputError, match=match):
        read_plan(str(tmp_path / "p.yaml"))
    with pytest.raises(InputError, match="cannot be opened"):
        read_plan(str(tmp_path / "nowhere.yaml"))
