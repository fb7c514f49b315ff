"""Words that tell a theme from the others: class-based TF-IDF, made varied by maximal marginal relevance."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

N_TERMS = 8
_WORD = re.compile(r"[a-z][a-z']+")
_CANDIDATES = 40  # terms a theme that maximal marginal relevance chooses among
_MAX_TEXTS = 400  # a theme whose texts tell which terms come together
# Words that say nothing of a matter; negations stay, they carry complaints.
STOP_WORDS = frozenset(
    "a an the this that these those there here it its it's i i'm i've i'd i'll me my mine we we're we've our us "
    "you your you're he she him her his they they're them their is am are was were be been being do does did "
    "doing have has had having will would can could should shall may might must of at by for with about into "
    "through to from in on off over under out up down and or but if so as than then too very just also again "
    "what which who whom whose when where why how all any both each some such own same only more most much "
    "many other another because while until during between because get got getting go going goes gone let make "
    "made like want know please hi hello thanks thank ok okay yes really even still ever since now that's "
    "someone somebody think sure able possible seem seems seemed need needs needed help use using used try "
    "tried trying what's there's one thing things way lot something anything everything".split()
)


def words(text: str) -> list[str]:
    """Lower-case words of a text, without those that say nothing."""
    found = (w.strip("'").removesuffix("'s") for w in _WORD.findall(text.lower().replace("\u2019", "'")))
    return [w for w in found if len(w) > 1 and w not in STOP_WORDS]


def terms_of(text: str) -> set[str]:
    """Single words and pairs of neighbours."""
    found = words(text)
    return {*found, *(f"{a} {b}" for a, b in pairwise(found) if a != b)}


def theme_terms(
    texts: Sequence[str], theme: NDArray[np.int64], n_themes: int, *, diversity: float = 0.3
) -> list[tuple[str, ...]]:
    """The terms of each theme, best first.

    Weight: share of the theme's texts with the term, times log(1 + average over themes / total)
    (class-based TF-IDF, arXiv:2203.05794, counting texts and not tokens: one long rant is one voice).

    Parameters
    ----------
    theme : (n_texts,) index of each text's theme; negative for none
    """
    by_theme: list[list[set[str]]] = [[] for _ in range(n_themes)]
    for text, index in zip(texts, theme.tolist(), strict=True):
        if index >= 0:
            by_theme[index].append(terms_of(text))
    counts = [Counter(term for found in members for term in found) for members in by_theme]
    total: Counter[str] = Counter()
    shares: list[dict[str, float]] = []
    for members, count in zip(by_theme, counts, strict=True):
        least = min(3, max(1, len(members) // 4))  # a term of one text names no theme
        shares.append({t: n / len(members) for t, n in count.items() if n >= least})
        total.update(shares[-1])
    average = sum(total.values()) / max(1, n_themes)
    chosen = []
    for members, share in zip(by_theme, shares, strict=True):
        weight = {t: s * float(np.log1p(average / total[t])) for t, s in share.items()}
        best = sorted(weight, key=lambda t: (-weight[t], t))[:_CANDIDATES]
        picked = mmr(
            np.array([weight[t] for t in best]), _together(best, members[:_MAX_TEXTS]), N_TERMS, diversity
        )
        chosen.append(tuple(best[i] for i in picked))
    return chosen


def _together(terms: Sequence[str], members: Sequence[set[str]]) -> NDArray[np.float64]:
    """Cosine of the terms' occurrence over texts, (n_terms, n_terms); 1 where they share a word."""
    there = np.array([[term in found for found in members] for term in terms], dtype=np.float64)
    there = there.reshape(len(terms), len(members))
    lengths = np.maximum(np.linalg.norm(there, axis=1), 1e-12)
    cosine: NDArray[np.float64] = (there @ there.T) / np.outer(lengths, lengths)
    parts = [{_stem(word) for word in term.split()} for term in terms]
    for i, a in enumerate(parts):
        for j, b in enumerate(parts):
            if a & b:
                cosine[i, j] = 1.0
    return cosine


def _stem(word: str) -> str:
    """A word without its ending, good enough to tell that "refunds" repeats "refund"."""
    for ending in ("ing", "ies", "ed", "es", "s", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word


def mmr(
    relevance: NDArray[np.floating], similarity: NDArray[np.floating], k: int, diversity: float
) -> list[int]:
    """Maximal marginal relevance: indices of up to k items, each relevant and unlike those before it.

    `relevance` (n,) is scaled to its maximum; `similarity` (n, n) in [-1, 1]; `diversity` in [0, 1]: 0 looks
    at relevance alone. Source: Carbonell and Goldstein, SIGIR 1998.
    """
    scaled = np.asarray(relevance, dtype=np.float64)
    if not len(scaled):
        return []
    scaled = scaled / max(float(np.abs(scaled).max()), 1e-12)
    picked: list[int] = []
    left = list(range(len(scaled)))
    while left and len(picked) < k:
        closest = similarity[np.ix_(left, picked)].max(axis=1) if picked else np.zeros(len(left))
        value = (1 - diversity) * scaled[left] - diversity * closest
        picked.append(left.pop(int(value.argmax())))
    return picked


def name_of(terms: Iterable[str]) -> str:
    """A name for people to read, and to change: the first three terms."""
    return ", ".join(list(terms)[:3]) or "unnamed"
