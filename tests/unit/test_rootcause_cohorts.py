"""Pilots: assignment, effects by hand, coverage under peeking, verdicts, guardrails; dose and lag."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from voc.errors import StatisticsError
from voc.rootcause.cohorts import (
    BROKEN,
    HARMS,
    NO_EFFECT,
    NOT_ENOUGH,
    WORKS,
    Arm,
    Pilot,
    assign,
    check_guardrails,
    measure,
    verdict,
)
from voc.rootcause.details import dose_response, lag

PILOT = Pilot("refund-fix", share=0.5, planned_units=4000, margin=0.05)


def test_assignment_is_the_same_each_time_and_near_its_share():
    ids = [f"customer-{i}" for i in range(20_000)]

    first = assign(PILOT, ids)

    assert (first == assign(PILOT, ids)).all()
    assert first.mean() == pytest.approx(0.5, abs=0.02)
    assert first[5] == assign(PILOT, ids[5:6])[0]


def test_two_pilots_assign_independently():
    ids = [f"customer-{i}" for i in range(20_000)]
    other = Pilot("other", share=0.5, planned_units=4000, margin=0.05)

    assert np.corrcoef(assign(PILOT, ids), assign(other, ids))[0, 1] == pytest.approx(0, abs=0.03)


def test_the_effect_is_treated_less_control():
    effect = measure(PILOT, Arm.of_counts(100, 1000), Arm.of_counts(150, 1000))

    assert effect.estimate == pytest.approx(-0.05)
    assert effect.ci_low < -0.05 < effect.ci_high
    # Wider than the interval of a single look: 1.96 standard errors.
    assert effect.ci_high - effect.estimate > 1.96 * np.sqrt(0.1 * 0.9 / 1000 + 0.15 * 0.85 / 1000)


def test_difference_in_differences_takes_off_what_was_there_before():
    effect = measure(
        PILOT,
        Arm.of_counts(200, 1000),
        Arm.of_counts(150, 1000),
        treated_before=Arm.of_counts(250, 1000),
        control_before=Arm.of_counts(150, 1000),
    )

    assert effect.estimate == pytest.approx(-0.05)
    assert effect.by_trend


def test_looking_after_every_batch_keeps_the_error_below_its_rate():
    """40 looks at no effect: the naive 95 % interval fails in a third of pilots, ours in under 5 %."""
    rng = np.random.default_rng(0)
    sizes = 100 * np.arange(1, 41)
    ours = naive = 0
    for _ in range(400):
        hits = (rng.random((2, 40, 100)) < 0.2).sum(2).cumsum(1)
        arms = [[Arm.of_counts(int(x), int(n)) for x, n in zip(row, sizes, strict=True)] for row in hits]
        looks = [measure(PILOT, a, b) for a, b in zip(*arms, strict=True)]
        rates = hits / sizes
        se = np.sqrt((rates * (1 - rates) / sizes).sum(0))
        ours += any(e.ci_low > 0 or e.ci_high < 0 for e in looks)
        naive += bool((np.abs(rates[0] - rates[1]) > 1.96 * se).any())

    assert ours / 400 <= 0.05
    assert naive / 400 > 0.2


@pytest.mark.parametrize(
    ("treated", "control", "says"),
    [
        ((100, 2000), (300, 2000), WORKS),
        ((300, 2000), (100, 2000), HARMS),
        ((2000, 20_000), (2010, 20_000), NO_EFFECT),
        ((150, 800), (180, 800), NOT_ENOUGH),
        ((1, 50), (25, 50), NOT_ENOUGH),
        ((100, 1000), (300, 2000), BROKEN),
    ],
)
def test_the_verdict_says_what_the_data_allow(treated, control, says):
    assert verdict(PILOT, measure(PILOT, Arm.of_counts(*treated), Arm.of_counts(*control))) == says


def test_a_broken_guardrail_asks_for_a_rollback_and_a_whole_one_does_not():
    pilot = Pilot("p", 0.5, 4000, 0.05, guardrails={"escalations": 0.01, "refunds": 0.01})
    at = datetime(2024, 5, 1, tzinfo=UTC)
    bad, fine = (
        (Arm.of_counts(400, 2000), Arm.of_counts(200, 2000)),
        (Arm.of_counts(200, 2000), Arm.of_counts(200, 2000)),
    )

    (event,) = check_guardrails(pilot, {"escalations": bad, "refunds": fine}, at=at)

    assert (event.metric, event.at) == ("escalations", at)
    with pytest.raises(StatisticsError, match="refunds"):
        check_guardrails(pilot, {"escalations": bad}, at=at)


@pytest.mark.parametrize("plan", [(0.0, 10, 0.1), (0.5, 0, 0.1), (0.5, 10, 0.0)])
def test_a_plan_that_cannot_be_is_refused(plan):
    with pytest.raises(StatisticsError):
        Pilot("p", *plan)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(StatisticsError, match="cannot be"):
        Arm.of_counts(5, 3)


def doses(slope, n=4000, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i}" for i in range(n)])
    exposed = rng.random(n) < 0.3
    size = rng.uniform(0, 3, n)
    has = rng.random(n) < 1 / (1 + np.exp(2 - exposed * (0.5 + slope * size)))
    cases = pl.DataFrame({"case_id": ids, "segment": rng.choice(["a", "b"], n)})
    outcomes = pl.DataFrame({"case_id": ids[has], "outcome": "delay"})
    deviations = pl.DataFrame(
        {"case_id": ids[exposed], "kind": "sla_breach", "step": "ship", "magnitude_s": size[exposed] * 3600}
    )
    return cases, outcomes, deviations


def test_larger_deviations_with_more_of_the_outcome_make_a_trend():
    found = dose_response(*doses(0.8), ("delay", "sla_breach", "ship"))

    assert found.rising
    assert found.trend_p < 1e-4
    ratios = [level.odds_ratio for level in found.levels]
    assert ratios == sorted(ratios)


def test_being_exposed_alone_makes_no_trend():
    assert dose_response(*doses(0.0), ("delay", "sla_breach", "ship")).trend_p > 0.01


def test_a_dose_needs_magnitudes():
    cases, outcomes, deviations = doses(0.8)

    assert (
        dose_response(cases, outcomes, deviations.drop("magnitude_s"), ("delay", "sla_breach", "ship"))
        is None
    )
    assert dose_response(cases, outcomes, deviations.head(20), ("delay", "sla_breach", "ship")) is None


def test_lag_is_from_the_deviation_to_the_first_outcome_after_it():
    outcomes = pl.DataFrame(
        {
            "case_id": ["a", "a", "b", "c"],
            "outcome": "delay",
            "timestamp": ["2024-01-01 05:00", "2024-01-02 00:00", "2024-01-01 03:00", "2023-12-31 00:00"],
        }
    )
    deviations = pl.DataFrame(
        {"case_id": ["a", "b", "c"], "kind": "stalled", "step": "ship", "timestamp": "2024-01-01 00:00"}
    )

    found = lag(outcomes, deviations, ("delay", "stalled", "ship"))

    assert (found.n_cases, found.median_h) == (3, 4.0)
    assert found.share_after == pytest.approx(2 / 3)
    assert lag(outcomes.drop("timestamp"), deviations, ("delay", "stalled", "ship")) is None
