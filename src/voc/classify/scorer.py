"""Texts in, scores out: language, windows, model, calibration, flags and evidence in one place."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from voc.classify.bundle import BINARY_LABELS, Bundle
from voc.classify.evidence import find_spans
from voc.classify.model import Model, TextLogits
from voc.language import Language, LanguageDetector
from voc.records import Score, Span
from voc.taxonomy import SENTIMENTS, SIGNALS

MAX_CHARS = 200_000  # about 900 windows: beyond it a text is a file by mistake, and is refused aloud
_N_SENTIMENTS = len(SENTIMENTS)


class Scorer:
    """Scores texts with one bundle at one operating point."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        operating_point: str | None = None,
        threads: int | None = None,
        token_budget: int = 1024,
    ) -> None:
        self.bundle = bundle
        self.point = bundle.operating_point(operating_point)
        self._thresholds = np.array([self.point.thresholds[label] for label in BINARY_LABELS])
        self.model = Model(bundle, threads=threads, token_budget=token_budget)
        self._languages = LanguageDetector()

    def score(self, texts: Sequence[str]) -> list[Score]:
        """Score texts: one score each, in order; equal texts are scored once.

        A text that is empty, too long (200,000 characters) or not English comes back with
        `supported` False and the reason, never with a guess.
        """
        first_seen: dict[str, int] = {}
        for text in texts:
            first_seen.setdefault(text, len(first_seen))
        scores = self._score_distinct(list(first_seen))
        return [scores[first_seen[text]] for text in texts]

    def score_all(self, texts: Iterable[str], *, chunk: int = 1024) -> Iterator[Score]:
        """Score a stream of any length in constant memory, in order."""
        stream = iter(texts)
        while part := list(islice(stream, chunk)):
            yield from self.score(part)

    def _score_distinct(self, texts: list[str]) -> list[Score]:
        scores: list[Score | None] = [None] * len(texts)
        supported: list[int] = []
        languages: dict[int, Language] = {}
        for i, text in enumerate(texts):
            reason, language = self._judge(text)
            if reason is None:
                supported.append(i)
                languages[i] = language
            else:
                scores[i] = self._refusal(reason, language)
        if supported:
            chosen = [texts[i] for i in supported]
            for i, score in zip(
                supported, self._run(chosen, [languages[i].code for i in supported]), strict=True
            ):
                scores[i] = score
        return [score for score in scores if score is not None]

    def _judge(self, text: str) -> tuple[str | None, Language]:
        nothing = Language(None, 0.0)
        if not text.strip():
            return "empty", nothing
        if len(text) > MAX_CHARS:
            return "too_long", nothing
        language = self._languages.detect(text)
        if language.code is None:
            return "no_words", language
        return ("language" if language.code != "en" else None), language

    def _refusal(self, reason: str, language: Language) -> Score:
        return Score(
            supported=False, reason=reason, language=language.code, sentiment=None, sentiment_score=None,
            sentiment_proba=None, frustration=None, frustration_flag=None, signals={}, flags=(),
            evidence=(), n_windows=0, model=self.bundle.id,
        )  # fmt: skip

    def _run(self, texts: list[str], languages: list[str | None]) -> list[Score]:
        logits = self.model.logits(texts)
        p_sentiment, p_binary = self.model.proba(logits)
        embedding = logits.embedding()
        return [
            self._score_of(i, text, languages[i], p_sentiment[i], p_binary[i], logits, embedding[i])
            for i, text in enumerate(texts)
        ]

    def _score_of(
        self,
        row: int,
        text: str,
        language: str | None,
        p_sentiment: NDArray[np.float64],
        p_binary: NDArray[np.float64],
        logits: TextLogits,
        embedding: NDArray[np.float32],
    ) -> Score:
        winner = int(p_sentiment.argmax())
        raised = np.flatnonzero(p_binary >= self._thresholds)
        evidence = tuple(self._evidence(row, text, winner, raised, logits))
        return Score(
            supported=True,
            reason=None,
            language=language,
            sentiment=SENTIMENTS[winner],
            sentiment_score=float(p_sentiment[2] - p_sentiment[0]),
            sentiment_proba=(float(p_sentiment[0]), float(p_sentiment[1]), float(p_sentiment[2])),
            frustration=float(p_binary[0]),
            frustration_flag=bool(p_binary[0] >= self._thresholds[0]),
            signals={name: float(p) for name, p in zip(SIGNALS, p_binary[1:], strict=True)},
            flags=tuple(BINARY_LABELS[label] for label in raised if label > 0),
            evidence=evidence,
            n_windows=int(logits.n_windows[row]),
            model=self.bundle.id,
            embedding=tuple(embedding.tolist()),
        )

    def _evidence(
        self, row: int, text: str, winner: int, raised: NDArray[np.int64], logits: TextLogits
    ) -> Iterator[Span]:
        by_window = logits.by_window
        if SENTIMENTS[winner] != "neutral":
            own = range(int(logits.first[row]), int(logits.first[row] + logits.n_windows[row]))
            window = max(own, key=lambda w: float(by_window.sentiment[w, winner]))
            share = by_window.evidence[window]
            # Against the other two: what all three classes share decides nothing.
            others = np.delete(share[:, :_N_SENTIMENTS], winner, axis=1).mean(axis=1)
            yield from find_spans(
                SENTIMENTS[winner], text, logits.windows[window].offsets, share[:, winner] - others
            )
        for label in raised:
            window = int(logits.spoke[row, label])
            share = by_window.evidence[window][:, _N_SENTIMENTS + label]
            yield from find_spans(BINARY_LABELS[label], text, logits.windows[window].offsets, share)
