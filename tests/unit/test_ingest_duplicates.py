"""What repeats is collapsed and says into what; what different people say, and say again, is not."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.ingest import minhash
from voc.ingest.duplicates import DuplicateFinder, normalised_text
from voc.ingest.rules import DuplicateRule
from voc.records import Feedback, Rating

T0 = datetime(2025, 5, 1, tzinfo=UTC)
LONG = "the parcel was promised for monday and then for tuesday and nobody at the shop could tell me where it was"
NEAR = LONG.replace("tuesday", "thursday")
MIDDLE = "the parcel was promised for monday and has not come"  # 10 words
SHORT = "great app"
_names = iter(range(10**9))
FIRST_KEYS = [18212253483327255255, 14214686978949173735]


def said(text, who=None, **fields):
    values = {"source": "s", "kind": "review", "external_id": f"id{next(_names)}", "occurred_at": T0}
    return Feedback(text=text, customer_ref=who, **{**values, **fields})


def collapsed(*feedback, rule=None):
    """For each: None, or the position of the one it collapses into and the basis."""
    finder = DuplicateFinder(rule or DuplicateRule())
    positions = {f.external_id: i for i, f in enumerate(feedback)}
    return [d and (positions[d.of], d.basis) for d in finder.find(feedback)]


def test_the_same_customer_submitting_twice_counts_once_however_short():
    assert collapsed(said(SHORT, "a"), said("  Great   APP ", "a")) == [None, (0, "exact")]


def test_short_texts_of_different_or_unknown_people_all_count():
    assert collapsed(said(SHORT), said(SHORT), said(SHORT, "a"), said(SHORT, "b")) == [None] * 4


def test_a_longer_text_delivered_twice_counts_once():
    assert collapsed(said(MIDDLE), said(MIDDLE), said(MIDDLE + "!")) == [None, (0, "exact"), (0, "near")]


def test_two_customers_with_the_same_text_are_two_voices():
    for kind in ("survey", "ticket", "email"):
        assert collapsed(said(LONG, "a", kind=kind), said(LONG, "b", kind=kind)) == [None, None]


@pytest.mark.parametrize("kind", ["social", "review"])
def test_a_post_copied_by_other_customers_counts_once_on_public_channels(kind):
    posts = [said(LONG, "a", kind=kind), said(LONG, "b", kind=kind), said(NEAR, "c", kind=kind)]

    assert collapsed(*posts) == [None, (0, "exact"), (0, "near")]
    assert collapsed(said(MIDDLE, "a", kind=kind), said(MIDDLE, "b", kind=kind)) == [None, None]


def test_copies_that_differ_by_their_short_address_alone_are_exact():
    assert collapsed(said(f"{MIDDLE} https://t.co/abc"), said(f"{MIDDLE} https://t.co/xyz")) == [
        None,
        (0, "exact"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"occurred_at": T0 + timedelta(hours=25)},
        {"ratings": (Rating("stars", 1),)},
        {"source": "t"},
        {"case_id": "c2"},
        {"meta": {"question": "Why?"}},
    ],
)
def test_time_rating_source_case_and_question_tell_texts_apart(other):
    assert collapsed(said(LONG, "a", case_id="c1"), said(LONG, "a", **{"case_id": "c1", **other})) == [
        None,
        None,
    ]


def test_a_case_of_its_own_does_not_tell_tickets_apart():
    tickets = [said(LONG, "a", kind="ticket", external_id=f"t{i}", case_id=f"t{i}") for i in range(2)]

    assert collapsed(*tickets) == [None, (0, "exact")]


def test_verbatims_of_one_response_are_never_collapsed():
    meta = {"response_id": "r"}

    assert collapsed(said(LONG, "a", meta=meta), said(LONG, "a", meta=meta)) == [None, None]


def test_near_texts_about_different_numbers_are_kept():
    texts = [said(f"{LONG}, order {number}", "a") for number in (4711, 4712)]

    assert collapsed(*texts) == [None, None]


def test_turns_of_a_conversation_are_never_collapsed():
    turns = [said(LONG, "a", conversation_id="c", turn_index=i, speaker="customer") for i in range(3)]

    assert collapsed(*turns) == [None] * 3


def test_ratings_without_text_are_never_collapsed():
    assert collapsed(said("", "a"), said("", "a"), said(" ", "a")) == [None] * 3


def test_exact_and_near_can_be_switched_off():
    pair = (said(LONG, "a"), said(LONG, "a"), said(NEAR, "a"))

    assert collapsed(*pair, rule=DuplicateRule(exact=False, near=False)) == [None] * 3
    assert collapsed(*pair, rule=DuplicateRule(near=False)) == [None, (0, "exact"), None]
    assert collapsed(*pair, rule=DuplicateRule(exact=False)) == [None, (0, "near"), (0, "near")]


def test_every_duplicate_points_at_one_that_is_kept():
    texts = [said(f"{LONG} {'again ' * (i % 4)}", f"c{i % 5}", kind="social") for i in range(200)]

    found = DuplicateFinder(DuplicateRule()).find(texts)

    kept = {f.external_id for f, d in zip(texts, found, strict=True) if d is None}
    assert {d.of for d in found if d} <= kept
    assert {d.feedback.external_id for d in found if d} == {f.external_id for f in texts} - kept


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(0, 40), max_size=4))
def test_batches_make_no_difference(cuts):
    texts = [
        said((LONG, NEAR, MIDDLE, SHORT)[i % 4] + "." * (i % 3), ("a", None, "b")[i % 3], external_id=f"x{i}")
        for i in range(40)
    ]
    whole = DuplicateFinder(DuplicateRule()).find(texts)

    finder, bounds = DuplicateFinder(DuplicateRule()), [0, *sorted(cuts), 40]
    parts = [d for a, b in itertools.pairwise(bounds) for d in finder.find(texts[a:b])]

    assert parts == whole


words = st.lists(
    st.sampled_from("refund parcel late agent never called twice monday price wrong".split()), min_size=12
)


@settings(deadline=None, max_examples=60)
@given(words, words)
def test_similarity_equals_a_count_by_hand(a, b):
    a, b = " ".join(a), " ".join(b)

    def pieces(text):
        return {text[i : i + 5] for i in range(len(text) - 4)}

    expected = len(pieces(a) & pieces(b)) / len(pieces(a) | pieces(b))
    assert minhash.jaccard(minhash.shingles(a), minhash.shingles(b)) == pytest.approx(expected)


def test_band_keys_do_not_depend_on_the_batch_and_find_alike_texts():
    alone = [minhash.band_keys([text])[0] for text in (LONG, NEAR, SHORT, "a")]

    assert minhash.band_keys([LONG, NEAR, SHORT, "a"]) == alone
    assert set(alone[0]) & set(alone[1])
    assert not set(alone[0]) & set(alone[2])
    assert minhash.band_keys([]) == []


def test_band_keys_are_the_same_on_every_machine():
    """Keys of one text, written down: a change in the drawing of hash functions would show here."""
    assert minhash.band_keys(["the same text"])[0][:2] == FIRST_KEYS


def test_texts_at_the_threshold_are_nearly_always_found():
    """With 12 bands of 4, a pair at Jaccard 0.8 is missed about twice in a thousand."""
    rng = np.random.default_rng(7)
    letters = list("abcdefghij")
    n_found = 0
    for _ in range(100):
        base = "".join(rng.choice(letters, 200))
        at = int(rng.integers(0, 150))
        other = base[:at] + "".join(rng.choice(letters, 16)) + base[at + 16 :]  # Jaccard about 0.8
        first, second = minhash.band_keys([base, other])
        n_found += bool(set(first) & set(second))

    assert n_found >= 96


def test_normalised_text_evens_case_space_and_addresses_alone():
    assert normalised_text("  No\n REFUND! https://x.y/z?a=1 ") == "no refund!"
    assert normalised_text("https://x.y") == "https://x.y"
