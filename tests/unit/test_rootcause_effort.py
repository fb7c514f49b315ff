"""Recurrence and effort: chains by hand, laws of counting, facts told again after a handoff."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.errors import InputError
from voc.rootcause.effort import facts, find_chains, measure_effort, measure_handoffs

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def contacts(*rows):
    """Rows of id, customer, day, topic."""
    return pl.DataFrame(
        [(name, customer, START + day * DAY, topic) for name, customer, day, topic in rows],
        schema={
            "contact_id": pl.String,
            "customer_ref": pl.String,
            "timestamp": pl.Datetime("us", "UTC"),
            "topic": pl.String,
        },
        orient="row",
    )


def test_contacts_within_the_window_of_the_last_are_one_issue():
    table = contacts(
        ("1", "ann", 0, "delay"),
        ("2", "ann", 10, "delay"),
        ("3", "ann", 24, "delay"),
        ("4", "ann", 39, "delay"),
    )

    chains = find_chains(table)

    assert [chain.contacts for chain in chains] == [("1", "2", "3"), ("4",)]
    assert [chain.settled for chain in chains] == [True, False]


def test_customers_and_topics_make_chains_of_their_own():
    table = contacts(("1", "ann", 0, "delay"), ("1", "ann", 0, "privacy"), ("2", "bob", 1, "delay"))
    assert [(c.customer_ref, c.topic) for c in find_chains(table)] == [
        ("ann", "delay"),
        ("ann", "privacy"),
        ("bob", "delay"),
    ]


def test_first_contact_resolution_is_of_issues_no_contact_can_follow():
    table = contacts(
        ("1", "ann", 0, "delay"),
        ("2", "bob", 0, "delay"),
        ("3", "bob", 3, "delay"),
        ("4", "cem", 60, "delay"),  # may come back still
    )

    (found,) = measure_effort(find_chains(table))

    assert (found.n_issues, found.n_contacts, found.n_customers) == (3, 4, 3)
    assert found.contacts_per_issue == pytest.approx(4 / 3)
    assert (found.n_settled, found.first_contact_resolution) == (2, 0.5)
    assert (found.n_repeat, found.longest) == (1, 2)


def test_nothing_settled_gives_no_resolution():
    (found,) = measure_effort(find_chains(contacts(("1", "ann", 0, "delay"))))
    assert found.first_contact_resolution is None


def test_rows_without_customer_or_topic_and_an_empty_table_make_no_chain():
    assert find_chains(contacts(("1", None, 0, "delay"), ("2", "ann", 0, None))) == []
    assert find_chains(contacts()) == []
    assert measure_effort([]) == []


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="'topic'"):
        find_chains(contacts().drop("topic"))


rows = st.lists(
    st.tuples(
        st.integers(0, 30).map(str), st.sampled_from("ab"), st.integers(0, 60), st.sampled_from(["x", "y"])
    ),
    max_size=30,
    unique_by=lambda row: row[0],
)


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_order_and_repeats_of_rows_change_nothing_and_no_contact_is_lost(given_rows, random):
    shuffled = given_rows + random.sample(given_rows, k=len(given_rows) // 2)
    random.shuffle(shuffled)

    chains = find_chains(contacts(*given_rows))

    assert find_chains(contacts(*shuffled)) == chains
    assert sorted(c for chain in chains for c in chain.contacts) == sorted(row[0] for row in given_rows)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order 12-345, please", {"12345"}),
        ("Order #AB1234 of 2026-03-01", {"ab1234", "20260301"}),
        ("write to Ann.Lee@example.org", {"annlee@exampleorg"}),
        ("two of them at 5", set()),
    ],
)
def test_facts_are_what_can_be_recognised_again(text, expected):
    assert facts(text) == expected


def turns(*rows):
    """Rows of speaker, agent, text in one conversation."""
    return pl.DataFrame(
        [("c", at, speaker, agent, text) for at, (speaker, agent, text) in enumerate(rows)],
        schema=["conversation_id", "turn_index", "speaker", "agent", "text"],
        orient="row",
    )


def test_a_fact_told_to_the_next_agent_too_is_a_repeat():
    found = measure_handoffs(
        turns(
            ("customer", None, "My order 12345 is late"),
            ("agent", "ann", "I pass you on"),
            ("customer", None, "fine"),
            ("agent", "bob", "Your order number?"),
            ("customer", None, "12345, as I said"),
            ("agent", "cem", "Hello"),
            ("customer", None, "it should be here by now"),
        )
    )
    assert (found.n_handoffs, found.n_repeated, found.share) == (2, 1, 0.5)


def test_telling_the_same_agent_twice_or_a_new_fact_is_no_repeat():
    found = measure_handoffs(
        turns(
            ("agent", "ann", "hello"),
            ("customer", None, "order 12345"),
            ("customer", None, "12345!"),
            ("system", None, "transfer"),
            ("agent", "bob", "hello"),
            ("customer", None, "the code is 987"),
        )
    )
    assert (found.n_handoffs, found.n_repeated) == (1, 0)


def test_a_handoff_that_the_customer_never_answers_does_not_count():
    found = measure_handoffs(turns(("agent", "ann", "hello"), ("agent", "bob", "hello")))
    assert (found.n_conversations, found.n_handoffs, found.share) == (1, 0, None)
