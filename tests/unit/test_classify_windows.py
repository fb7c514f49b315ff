"""Windows: nothing is lost, nothing is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from voc.classify.windows import Window, aggregate, make_windows, pack_windows


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2} | {f"w{i}": i + 3 for i in range(50)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


@given(n_words=st.integers(0, 400), max_tokens=st.integers(10, 64), overlap=st.integers(0, 4))
def test_every_word_is_in_a_window_and_no_window_is_too_long(tokenizer, n_words, max_tokens, overlap):
    text = " ".join(f"w{i % 50}" for i in range(n_words))

    windows = make_windows(tokenizer, [text], max_tokens=max_tokens, overlap=overlap)

    assert all(len(w.ids) <= max_tokens for w in windows)
    assert all(w.ids[0] == 1 and w.ids[-1] == 2 for w in windows)
    covered = {place for w in windows for place in w.offsets if place != (0, 0)}
    assert len(covered) == n_words
    if n_words + 2 <= max_tokens:
        assert len(windows) == 1


def test_a_text_one_token_too_long_gives_two_full_windows(tokenizer):
    text = " ".join(["w1"] * 15)

    windows = make_windows(tokenizer, [text], max_tokens=16, overlap=4)

    assert [len(w.ids) for w in windows] == [16, 16]


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 300))
def test_batches_hold_each_window_once_and_stay_in_budget(lengths, budget):
    windows = [Window(i, [0] * n, [(0, 0)] * n) for i, n in enumerate(lengths)]

    batches = pack_windows(windows, token_budget=budget)

    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget


def test_signals_take_the_highest_window_and_sentiment_the_weighted_mean():
    windows = [Window(0, [0] * 10, []), Window(0, [0] * 30, []), Window(1, [0] * 5, [])]
    sentiment = np.array([[0.0, 0, 4], [4, 0, 0], [1, 2, 3]], dtype=np.float32)
    binary = np.array([[1.0, -2], [3, -4], [0, 0]], dtype=np.float32)

    mean, highest, n_windows, spoke = aggregate(windows, sentiment, binary, 2)

    np.testing.assert_allclose(mean, [[3, 0, 1], [1, 2, 3]])
    np.testing.assert_allclose(highest, [[3, -2], [0, 0]])
    assert n_windows.tolist() == [2, 1]
    assert spoke.tolist() == [[1, 0], [2, 2]]
