"""Is the evidence what the model used? Delete it, keep only it, and compare with random spans (ERASER)."""

import random
from typing import Any

from voc.classify.scorer import Scorer
from voc.records import Score, Span


def measure_evidence(scorer: Scorer, texts: list[str], *, seed: int = 0) -> list[dict[str, Any]]:
    """Comprehensiveness and sufficiency of evidence, beside random spans of equal length.

    Comprehensiveness: how far a label's probability falls when its spans are deleted (higher is more
    faithful). Sufficiency: how far it falls when only its spans are kept (lower is more faithful).

    Source: DeYoung et al., arXiv:1911.03429.
    """
    rng = random.Random(seed)
    cases: list[tuple[str, str, float, list[Span]]] = []
    for text, score in zip(texts, scorer.score(texts), strict=True):
        for label in sorted({span.label for span in score.evidence}):
            spans = [s for s in score.evidence if s.label == label]
            if sum(s.end - s.start for s in spans) < 0.8 * len(text):  # else nothing is left to compare
                cases.append((text, label, _proba(score, label), spans))
    rows = []
    for kind in ("sentiment", "frustration and signals"):
        chosen = [c for c in cases if (c[1] in ("negative", "positive")) == (kind == "sentiment")]
        without = _mean_drop(scorer, chosen, [_delete(text, spans) for text, _, _, spans in chosen])
        random_spans = [_random_spans(rng, text, spans) for text, _, _, spans in chosen]
        without_random = _mean_drop(
            scorer, chosen, [_delete(c[0], r) for c, r in zip(chosen, random_spans, strict=True)]
        )
        only = _mean_drop(scorer, chosen, [_keep(text, spans) for text, _, _, spans in chosen])
        only_random = _mean_drop(
            scorer, chosen, [_keep(c[0], r) for c, r in zip(chosen, random_spans, strict=True)]
        )
        rows.append({
            "evidence": kind, "n": len(chosen), "comprehensiveness": without,
            "of random spans": without_random, "sufficiency": only, "of random spans kept": only_random,
        })  # fmt: skip
    return rows


def _mean_drop(scorer: Scorer, cases: list[tuple[str, str, float, list[Span]]], texts: list[str]) -> float:
    # The model, not the language check, is under test: a remnant of a text may look foreign.
    logits = scorer.model.logits([t or "." for t in texts])
    sentiment, binary = scorer.model.proba(logits)
    labels = {"negative": 0, "neutral": 1, "positive": 2}
    names = ("frustration", *scorer.bundle.manifest["labels"]["signals"])
    drops = [
        before - (sentiment[i, labels[label]] if label in labels else binary[i, names.index(label)])
        for i, (_, label, before, _) in enumerate(cases)
    ]
    return float(sum(drops) / max(1, len(drops)))


def _proba(score: Score, label: str) -> float:
    if label in ("negative", "positive") and score.sentiment_proba:
        return score.sentiment_proba[0 if label == "negative" else 2]
    return (score.frustration or 0.0) if label == "frustration" else score.signals[label]


def _delete(text: str, spans: list[Span]) -> str:
    for span in sorted(spans, key=lambda s: -s.start):
        text = text[: span.start] + " " + text[span.end :]
    return text


def _keep(text: str, spans: list[Span]) -> str:
    return " ".join(text[s.start : s.end] for s in sorted(spans, key=lambda s: s.start))


def _random_spans(rng: random.Random, text: str, spans: list[Span]) -> list[Span]:
    """As many words as each span has, from a random place."""
    words: list[tuple[int, int]] = []
    at = 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        words.append((start, at))
    found = []
    for span in spans:
        n = max(1, len(text[span.start : span.end].split()))
        first = rng.randrange(max(1, len(words) - n + 1))
        last = min(len(words) - 1, first + n - 1)
        found.append(Span(span.label, words[first][0], words[last][1]))
    merged: list[Span] = []
    for span in sorted(found, key=lambda s: s.start):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(span.label, merged[-1].start, max(span.end, merged[-1].end))
        else:
            merged.append(span)
    return merged
