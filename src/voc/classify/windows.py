"""Texts to windows of tokens, and windows' logits back to one row a text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """One pass through the model: token ids with the special tokens, and where they sit in the text.

    `offsets` are (start, end) characters of each token; special tokens have (0, 0).
    """

    text: int  # which text
    ids: list[int]
    offsets: list[tuple[int, int]]


def make_windows(
    tokenizer: Tokenizer, texts: Sequence[str], *, max_tokens: int, overlap: int
) -> list[Window]:
    """Cut each text into windows of at most `max_tokens` tokens that share `overlap` tokens.

    Every token of every text is in at least one window, in order; a text that fits gives one window.
    `tokenizer` must neither pad nor truncate.
    """
    windows = []
    for number, encoding in enumerate(tokenizer.encode_batch(list(texts))):
        windows += _cut(number, encoding, max_tokens, overlap)
    return windows


def _cut(number: int, encoding: Encoding, max_tokens: int, overlap: int) -> list[Window]:
    ids, offsets = encoding.ids, encoding.offsets
    if len(ids) <= max_tokens:
        return [Window(number, ids, offsets)]
    first, last = ids[0], ids[-1]  # [CLS] and [SEP]
    inner, places = ids[1:-1], offsets[1:-1]
    size = max_tokens - 2
    starts = range(0, len(inner) - overlap, size - overlap)
    # The last window is drawn back so that it is full: a few words alone have no context.
    return [
        Window(
            number,
            [first, *inner[s : s + size], last],
            [(0, 0), *places[s : s + size], (0, 0)],
        )
        for s in (min(start, len(inner) - size) for start in starts)
    ]


def pack_windows(windows: Sequence[Window], *, token_budget: int) -> list[list[int]]:
    """Indices of windows in batches of like length, each at most `token_budget` padded tokens.

    Sorting by length and a small budget that stays in the cache are worth more than any engine
    setting (measured: `python -m evaluation.engine`).
    """
    order = sorted(range(len(windows)), key=lambda i: len(windows[i].ids))
    batches: list[list[int]] = []
    batch: list[int] = []
    for i in order:
        # Ascending order: the newest window is the longest of its batch.
        if batch and len(windows[i].ids) * (len(batch) + 1) > token_budget:
            batches.append(batch)
            batch = []
        batch.append(i)
    if batch:
        batches.append(batch)
    return batches


def aggregate(
    windows: Sequence[Window], sentiment: Floats, binary: Floats, n_texts: int
) -> tuple[Floats, Floats, NDArray[np.int64], NDArray[np.int64]]:
    """One row of logits a text.

    Sentiment is the mean over windows, each weighing by its tokens: the whole text speaks.
    Frustration and signals take their highest window: one paragraph is enough to raise a signal.

    Returns
    -------
    sentiment (n_texts, 3), binary (n_texts, n_binary), n_windows (n_texts,), and for each text and
    binary label the window that spoke (n_texts, n_binary)
    """
    owner = np.array([w.text for w in windows], dtype=np.int64)
    weight = np.array([len(w.ids) for w in windows], dtype=np.float64)
    n_windows = np.bincount(owner, minlength=n_texts)
    total = np.bincount(owner, weights=weight, minlength=n_texts)
    mean = np.stack(
        [np.bincount(owner, weights=weight * column, minlength=n_texts) / total for column in sentiment.T],
        axis=1,
    )
    starts = np.searchsorted(owner, np.arange(n_texts))
    highest = np.maximum.reduceat(binary, starts, axis=0)
    spoke = np.empty((n_texts, binary.shape[1]), dtype=np.int64)
    for text in range(n_texts):
        part = binary[starts[text] : starts[text] + n_windows[text]]
        spoke[text] = starts[text] + part.argmax(axis=0)
    return mean.astype(np.float32), highest, n_windows.astype(np.int64), spoke
