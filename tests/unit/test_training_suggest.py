"""Suggesting texts: doubt counts, rare doubt counts more, and no two alike are chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.suggest import choose, uncertainty

HALF = np.full(16, 0.5)


def test_a_text_at_the_threshold_is_worth_more_than_a_sure_one():
    sentiment = np.array([[0.98, 0.01, 0.01]] * 3)
    binary = np.full((3, 16), 0.02)
    binary[1, 4] = 0.5
    binary[2, 4] = 0.98

    worth = uncertainty(sentiment, binary, HALF)

    assert worth.total.argmax() == 1
    assert worth.by_head[1].argmax() == 5


def test_a_rare_labels_doubt_weighs_more_than_a_common_ones():
    binary = np.full((100, 16), 0.3)
    binary[:, 7] = 0.01
    binary[0, 2] = binary[1, 7] = 0.5

    worth = uncertainty(np.full((100, 3), 1 / 3), binary, HALF)

    assert worth.by_head[1, 8] > 2 * worth.by_head[0, 3]


def test_a_label_that_is_never_flagged_has_no_threshold_to_be_near():
    never = np.full(16, 1.01)

    worth = uncertainty(np.array([[1.0, 0, 0]]), np.full((1, 16), 0.5), never)

    assert worth.total[0] < 0.2


def test_of_two_equal_texts_one_is_chosen_before_the_other():
    embedding = np.eye(4)[[0, 0, 1, 2, 3]]
    worth = np.array([5.0, 5.0, 1.0, 1.0, 1.0])

    chosen = choose(worth, embedding, 4)

    assert len({tuple(embedding[i]) for i in chosen}) == 4


def test_what_is_labelled_already_is_not_wanted_again():
    rng = np.random.default_rng(0)
    embedding = np.concatenate([np.eye(6)[[0] * 20], np.eye(6)[[1] * 20]]) + rng.normal(0, 0.05, (40, 6))

    (first,) = choose(np.ones(40), embedding, 1, labelled=np.eye(6)[[0]])

    assert first >= 20


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 80), st.integers(0, 1000))
def test_as_many_distinct_rows_as_asked_for_or_all(n_rows, n, seed):
    rng = np.random.default_rng(seed)

    chosen = choose(rng.random(n_rows), rng.normal(size=(n_rows, 5)), n)

    assert len(chosen) == len(set(chosen)) == min(n, n_rows)
    assert all(0 <= i < n_rows for i in chosen)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_texts_give_the_same_choice(seed):
    rng = np.random.default_rng(seed)
    worth, embedding = rng.random(50), rng.normal(size=(50, 5))

    assert choose(worth, embedding, 10) == choose(worth, embedding, 10)
