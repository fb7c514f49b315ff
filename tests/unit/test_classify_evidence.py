"""Evidence: spans lie on word boundaries and point at what weighs."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voc.classify.evidence import find_spans


def _offsets(text: str) -> list[tuple[int, int]]:
    places, start = [], 0
    for word in text.split(" "):
        places.append((start, start + len(word)))
        start += len(word) + 1
    return [(0, 0), *places, (0, 0)]


def test_the_heaviest_words_are_found():
    text = "hello the parcel never came and so on"
    share = np.array([0, 0, 0, 0.1, 2.0, 1.5, 0, 0, 0, 0], dtype=np.float32)

    (span,) = find_spans("delay", text, _offsets(text), share)

    assert text[span.start : span.end] == "never came"


def test_pieces_of_one_word_are_joined():
    text = "unacceptable service"
    offsets = [(0, 2), (2, 12), (13, 20)]

    spans = find_spans("negative", text, offsets, np.array([0.0, 3.0, 0.1], dtype=np.float32))

    assert text[spans[0].start : spans[0].end] == "unacceptable"


def test_nothing_speaks_for_a_label_without_positive_shares():
    text = "all is well"

    assert find_spans("delay", text, _offsets(text), np.full(5, -1, dtype=np.float32)) == []


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=40))
def test_spans_are_inside_the_text_and_do_not_overlap(weights):
    text = " ".join(f"word{i}" for i in range(len(weights)))
    share = np.array([0.0, *weights, 0.0], dtype=np.float32)

    spans = sorted(find_spans("delay", text, _offsets(text), share), key=lambda s: s.start)

    assert len(spans) <= 3
    assert all(0 <= s.start < s.end <= len(text) for s in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
