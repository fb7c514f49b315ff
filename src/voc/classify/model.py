"""A bundle's tokenizer and graph together: texts to logits, one row a text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from voc.classify.bundle import Bundle
from voc.classify.calibration import binary_proba, sentiment_proba
from voc.classify.engine import Engine, Logits
from voc.classify.windows import Window, aggregate, make_windows
from voc.errors import BundleError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TextLogits:
    """Uncalibrated logits a text, and the windows that they come from.

    `sentiment` (n_texts, 3), `binary` (n_texts, 16), `n_windows` and `first` (n_texts,): the windows
    of text i are `first[i]` to `first[i] + n_windows[i]`; `spoke` (n_texts, 16) is the window whose
    logit is the text's.
    """

    sentiment: Floats
    binary: Floats
    n_windows: NDArray[np.int64]
    first: NDArray[np.int64]
    spoke: NDArray[np.int64]
    windows: list[Window]
    by_window: Logits

    def embedding(self) -> NDArray[np.float32]:
        """Unit-length mean of each text's windows, (n_texts, dim)."""
        total = np.add.reduceat(self.by_window.embedding, self.first, axis=0)
        unit: NDArray[np.float32] = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
        return unit


class Model:
    """Runs a bundle; safe to call from several threads."""

    def __init__(self, bundle: Bundle, *, threads: int | None = None, token_budget: int = 1024) -> None:
        self.bundle = bundle
        try:
            self._tokenizer = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises bare Exception
            raise BundleError(f"{bundle.folder}: tokenizer.json cannot be read; export again") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.engine = Engine(bundle.folder / "model.onnx", threads=threads, token_budget=token_budget)

    def logits(self, texts: Sequence[str], *, max_tokens: int | None = None) -> TextLogits:
        """Logits of one text or more, in order; `max_tokens` cuts windows smaller than the bundle's."""
        windows = self.windows(texts, max_tokens=max_tokens)
        return by_text(windows, self.engine.run(windows), len(texts))

    def windows(self, texts: Sequence[str], *, max_tokens: int | None = None) -> list[Window]:
        """The texts cut into windows, in order; what `engine.run` takes."""
        size = max_tokens or self.bundle.max_tokens
        overlap = min(self.bundle.overlap, size // 4)
        return make_windows(self._tokenizer, texts, max_tokens=size, overlap=overlap)

    def proba(self, logits: TextLogits) -> tuple[Floats, Floats]:
        """Calibrated probabilities: sentiment (n_texts, 3), frustration and signals (n_texts, 16)."""
        calibration = self.bundle.calibration
        return (
            sentiment_proba(logits.sentiment, calibration),
            binary_proba(logits.binary, logits.n_windows, calibration),
        )


def by_text(windows: list[Window], by_window: Logits, n_texts: int) -> TextLogits:
    """The windows' logits, in their order, gathered to one row a text."""
    sentiment, binary, n_windows, spoke = aggregate(windows, by_window.sentiment, by_window.binary, n_texts)
    first = np.concatenate([[0], np.cumsum(n_windows)[:-1]])
    return TextLogits(
        sentiment.astype(np.float64),
        binary.astype(np.float64),
        n_windows,
        first,
        spoke,
        windows,
        by_window,
    )
