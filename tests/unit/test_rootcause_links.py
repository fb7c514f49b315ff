"""Links of feedback to cases: by case id, else by customer and time, with confidence that falls."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from voc.errors import InputError
from voc.records import Link
from voc.rootcause.links import evidence, link_feedback, link_records, outcomes_of_cases

START = datetime(2024, 3, 1, tzinfo=UTC)


def feedback(*rows):
    return pl.DataFrame(
        [(i, case, customer, START + timedelta(days=day)) for i, (case, customer, day) in enumerate(rows)],
        schema=["feedback_id", "case_id", "customer_ref", "occurred_at"],
        orient="row",
        schema_overrides={"case_id": pl.String, "customer_ref": pl.String},
    )


def cases(*rows):
    return pl.DataFrame(
        [(case, who, START + timedelta(days=a), START + timedelta(days=b)) for case, who, a, b in rows],
        schema=["case_id", "customer_ref", "started_at", "ended_at"],
        orient="row",
    )


def test_the_named_case_is_certain_and_alone():
    links = link_feedback(feedback(("a", "u", 1)), cases(("a", "u", 0, 2), ("b", "u", 0, 2)))

    assert link_records(links) == [Link(0, "a", "case", 1.0)]


def test_confidence_halves_every_three_days_after_the_case():
    links = link_feedback(feedback((None, "u", 1), (None, "u", 5), (None, "u", 8)), cases(("a", "u", 0, 2)))

    assert links["confidence"].to_list() == pytest.approx([0.9, 0.45, 0.225])
    assert set(links["basis"]) == {"customer_window"}


def test_beyond_the_window_there_is_no_link():
    links = link_feedback(feedback((None, "u", 30), (None, "u", -3)), cases(("a", "u", 0, 2)))

    assert len(links) == 0


def test_two_running_cases_share_the_confidence():
    links = link_feedback(feedback((None, "u", 1)), cases(("a", "u", 0, 2), ("b", "u", 0, 2)))

    assert links["confidence"].to_list() == pytest.approx([0.45, 0.45])


def test_other_customers_and_unknown_ones_are_never_linked():
    links = link_feedback(feedback((None, "v", 1), (None, None, 1)), cases(("a", "u", 0, 2)))

    assert len(links) == 0


def test_a_case_that_is_not_there_falls_back_to_the_customer():
    links = link_feedback(feedback(("gone", "u", 1)), cases(("a", "u", 0, 2)))

    assert links["basis"].to_list() == ["customer_window"]


def test_outcomes_come_from_sure_links_only_and_evidence_is_surest_first():
    said = feedback(("a", "u", 1), (None, "u", 1), (None, "u", 8))
    links = link_feedback(said, cases(("a", "u", 0, 2)))
    flags = pl.DataFrame({"feedback_id": [0, 1, 2], "outcome": ["delay", "delay", "safety"]})

    assert outcomes_of_cases(links, flags).rows() == [("a", "delay")]
    assert evidence(links, flags, ["a"], "delay") == [(0, "a"), (1, "a")]


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="feedback_id"):
        link_feedback(pl.DataFrame({"case_id": ["a"]}), cases(("a", "u", 0, 2)))
