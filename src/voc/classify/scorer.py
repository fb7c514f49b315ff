"""Texts in, scores out: language, windows, model, calibration, flags and evidence in one place."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from voc.classify.bundle import BINARY_LABELS, Bundle
from voc.classify.engine import Logits
from voc.classify.evidence import find_spans
from voc.classify.model import Model, TextLogits, by_text
from voc.classify.windows import Window
from voc.language import Language, LanguageDetector
from voc.records import Score, Span
from voc.taxonomy import SENTIMENTS, SIGNALS

MAX_CHARS = 200_000  # about 900 windows: beyond it a text is a file by mistake, and is refused aloud
REMEMBERED = 20_000  # distinct texts of a stream; a score without its embedding takes 3 kB
_N_SENTIMENTS = len(SENTIMENTS)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Texts made ready for the model: `windows` go through it, and the rest waits for the answer."""

    texts: list[str]
    distinct: list[str]  # each text once, in the order of its first
    supported: list[int]  # which of `distinct` the model will see
    languages: list[str | None]  # of those
    refused: dict[int, Score]  # the others
    windows: list[Window]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A piece of a stream: its texts, those of them that are `new`, and what was known before."""

    texts: list[str]
    new: Prepared
    known: dict[str, Score]


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
        prepared = self.prepare(texts)
        return self.finish(prepared, self.model.engine.run(prepared.windows))

    def score_all(self, texts: Iterable[str], *, chunk: int = 1024) -> Iterator[Score]:
        """Score a stream of any length in constant memory, in order, without embeddings.

        While the model works on one chunk, the next is read and cut into tokens. A text that came
        before, within the last `REMEMBERED` distinct ones, is not scored again.
        """
        stream = iter(texts)

        def read_ahead(known: dict[str, Score], running: Prepared | None) -> _Chunk | None:
            part = list(islice(stream, chunk))
            told = known.keys() | set(running.texts if running else ())
            return _Chunk(part, self.prepare([t for t in part if t not in told]), known) if part else None

        known: dict[str, Score] = {}
        with ThreadPoolExecutor(1, thread_name_prefix="prepare") as ahead:
            waiting = ahead.submit(read_ahead, known, None)
            while (now := waiting.result()) is not None:
                waiting = ahead.submit(read_ahead, known, now.new)
                scores = self.finish(now.new, self.model.engine.run(now.new.windows))
                new = {t: replace(s, embedding=None) for t, s in zip(now.new.texts, scores, strict=True)}
                told = now.known | known | new
                yield from [told[text] for text in now.texts]
                known = _newest(known | new)

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """All that comes before the model: equal texts found, languages told, windows cut."""
        distinct = list(dict.fromkeys(texts))
        refused: dict[int, Score] = {}
        languages: list[str | None] = []
        supported: list[int] = []
        for i, text in enumerate(distinct):
            reason, language = self._judge(text)
            if reason is None:
                supported.append(i)
                languages.append(language.code)
            else:
                refused[i] = self._refusal(reason, language)
        windows = self.model.windows([distinct[i] for i in supported]) if supported else []
        return Prepared(list(texts), distinct, supported, languages, refused, windows)

    def finish(self, prepared: Prepared, by_window: Logits) -> list[Score]:
        """All that comes after the model; `by_window` are the logits of `prepared.windows`, in order."""
        scores = dict(prepared.refused)
        if prepared.supported:
            logits = by_text(prepared.windows, by_window, len(prepared.supported))
            p_sentiment, p_binary = self.model.proba(logits)
            embedding = logits.embedding()
            for row, (i, language) in enumerate(zip(prepared.supported, prepared.languages, strict=True)):
                text = prepared.distinct[i]
                scores[i] = self._score_of(
                    row, text, language, p_sentiment[row], p_binary[row], logits, embedding[row]
                )
        place = {text: i for i, text in enumerate(prepared.distinct)}
        return [scores[place[text]] for text in prepared.texts]

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
            others = share[:, [i for i in range(_N_SENTIMENTS) if i != winner]].mean(axis=1)
            yield from find_spans(
                SENTIMENTS[winner], text, logits.windows[window].offsets, share[:, winner] - others
            )
        for label in raised:
            window = int(logits.spoke[row, label])
            share = by_window.evidence[window][:, _N_SENTIMENTS + label]
            yield from find_spans(BINARY_LABELS[label], text, logits.windows[window].offsets, share)


def _newest(scores: dict[str, Score]) -> dict[str, Score]:
    """The last `REMEMBERED` of them; a dict keeps the order in which it was filled."""
    return dict(islice(scores.items(), max(0, len(scores) - REMEMBERED), None))
