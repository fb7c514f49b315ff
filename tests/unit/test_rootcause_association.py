"""Associations of small made-up companies: what is found, what is adjusted away, what is refused."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from voc.errors import InputError, StatisticsError
from voc.rootcause.association import associate


def company(n=2000, seed=0, *, ratio=4.0, segment_effect=0.0, outage=0.0):
    """Cases of two segments; `late` goes with `delay` at the odds ratio given; a segment or an outage
    may raise `late` and `noise` alike."""
    rng = np.random.default_rng(seed)
    segment, day = rng.integers(0, 2, n), rng.integers(0, 100, n)
    raised = segment_effect * segment + outage * ((day >= 40) & (day < 50))
    odds = lambda base, extra: 1 / (1 + np.exp(-(base + extra)))  # noqa: E731
    late = rng.random(n) < odds(-2.0, raised)
    delay = rng.random(n) < odds(-2.0, np.log(ratio) * late)
    noise = rng.random(n) < odds(-2.0, raised)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    ids = np.array([f"c{i}" for i in range(n)])
    cases = pl.DataFrame(
        {
            "case_id": ids,
            "segment": [f"s{x}" for x in segment],
            "started_at": [start + timedelta(days=int(d)) for d in day],
        }
    )
    outcomes = pl.concat(
        pl.DataFrame({"case_id": ids[who], "outcome": [name] * int(who.sum())})
        for name, who in (("delay", delay), ("noise", noise))
    )
    deviations = pl.DataFrame(
        {"case_id": ids[late], "kind": ["sla_breach"] * int(late.sum()), "step": ["ship"] * int(late.sum())}
    )
    return cases, outcomes, deviations


def by_outcome(run):
    return {row.outcome: row for row in run.rows}


def test_a_planted_pair_is_reported_and_an_unrelated_one_is_not():
    rows = by_outcome(associate(*company()))

    assert rows["delay"].reported
    assert rows["delay"].ci_low < 4.0 < rows["delay"].ci_high
    assert not rows["noise"].reported


def test_counts_are_of_cases_and_add_up():
    cases, outcomes, deviations = company(n=400)

    row = by_outcome(associate(cases, outcomes, deviations))["delay"]

    late = set(deviations["case_id"])
    angry = set(outcomes.filter(pl.col("outcome") == "delay")["case_id"])
    assert row.n_exposed == len(late)
    assert row.n_exposed_outcome == len(late & angry)
    assert row.n_exposed + row.n_unexposed == 400
    assert row.n_unexposed_outcome == len(angry - late)


def test_a_segment_that_raises_both_is_adjusted_away():
    tables = company(n=6000, segment_effect=2.0)

    assert by_outcome(associate(*tables, strata=()))["noise"].reported
    assert not by_outcome(associate(*tables))["noise"].reported


def test_an_outage_that_raises_both_is_adjusted_away():
    tables = company(n=8000, outage=2.5)

    without, with_period = associate(*tables, by_period=False), associate(*tables)

    assert by_outcome(without)["noise"].reported
    assert not by_outcome(with_period)["noise"].reported
    assert with_period.n_periods > 1


def test_time_is_left_alone_where_nothing_changes_over_time():
    run = associate(*company())

    assert run.n_periods == 1
    assert run.n_by_period == 0


def test_deviations_told_twice_count_once():
    cases, outcomes, deviations = company(n=500)

    once = associate(cases, outcomes, deviations)
    twice = associate(cases, pl.concat([outcomes] * 2), pl.concat([deviations] * 3))

    assert once.rows == twice.rows


def test_the_order_of_rows_does_not_matter():
    cases, outcomes, deviations = company(n=500)

    shuffled = associate(
        *(t.sample(fraction=1.0, shuffle=True, seed=3) for t in (cases, outcomes, deviations))
    )

    assert shuffled.rows == associate(cases, outcomes, deviations).rows


def test_a_deviation_of_the_whole_case_has_an_empty_step():
    cases, outcomes, deviations = company(n=500)

    run = associate(cases, outcomes, deviations.with_columns(step=pl.lit(None, pl.String)))

    assert {row.step for row in run.rows} == {""}


def test_pairs_without_support_are_not_tested():
    cases, outcomes, deviations = company(n=500)

    run = associate(cases, outcomes, deviations.head(5))

    assert run.rows == ()
    assert run.n_without_support == 2


def test_rows_of_unknown_cases_are_left_out_and_noted():
    cases, outcomes, deviations = company(n=500)

    run = associate(
        cases, pl.concat([outcomes, pl.DataFrame({"case_id": ["x"], "outcome": ["delay"]})]), deviations
    )

    assert any("1 of" in note for note in run.notes)


def test_a_column_of_single_cases_is_left_out_of_the_strata():
    cases, outcomes, deviations = company(n=500)

    run = associate(cases.with_columns(region=pl.col("case_id")), outcomes, deviations)

    assert run.strata == ("segment",)
    assert any("region" in note for note in run.notes)


def test_no_deviations_at_all_is_no_finding():
    cases, outcomes, deviations = company(n=500)

    assert associate(cases, outcomes, deviations.head(0)).rows == ()


BAD = {
    "repeats an earlier row": lambda c, o, d: (pl.concat([c, c.head(1)]), o, d),
    "shares no case id with the cases": lambda c, o, d: (c, o.with_columns(case_id=pl.lit("x")), d),
    "column is missing": lambda c, o, d: (c, o, d.drop("kind")),
    "is not an ISO 8601 time": lambda c, o, d: (c.with_columns(started_at=pl.lit("soon")), o, d),
    "mixes times with and without a zone": lambda c, o, d: (
        c.with_columns(
            started_at=pl.when(pl.int_range(pl.len()) == 3)
            .then(pl.lit("2024-01-01T10:00:00"))
            .otherwise(pl.lit("2024-01-01T10:00:00+02:00"))
        ),
        o,
        d,
    ),
    "field 'outcome': is empty": lambda c, o, d: (c, o.with_columns(outcome=pl.lit(None, pl.String)), d),
}


@pytest.mark.parametrize("says", BAD)
def test_bad_input_is_refused_with_its_place(says):
    with pytest.raises(InputError, match=says):
        associate(*BAD[says](*company(n=200)))


def test_too_few_cases_give_an_error_and_no_number():
    cases, outcomes, deviations = company(n=400)

    with pytest.raises(StatisticsError, match="too few"):
        associate(cases.head(30), outcomes, deviations)


def test_an_unknown_stratum_is_refused_by_name():
    with pytest.raises(InputError, match="continent"):
        associate(*company(n=200), strata=["continent"])


@pytest.mark.parametrize("fdr", [0.0, 1.0, -1.0, float("nan")])
def test_a_rate_outside_zero_and_one_is_refused(fdr):
    with pytest.raises(StatisticsError, match="false discovery rate"):
        associate(*company(n=200), fdr=fdr)
