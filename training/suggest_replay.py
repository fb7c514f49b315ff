"""Does choosing texts teach more than drawing them? Replayed on texts whose labels are known.

A linear probe on the bundle's embeddings starts from 60 judged texts and is given 60 more, five
times: drawn at random, or chosen by `training.suggest` from the probe's own doubts. Both start from
the same texts and are measured on the same 700 others. The bundle's embeddings have seen these texts
in training; both ways profit from that alike.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from training.data import read_signals
from training.progress import Progress
from training.settings import data_folder
from training.suggest import choose, uncertainty
from voc.classify.bundle import BINARY_LABELS, Bundle
from voc.classify.model import Model
from voc.metrics import macro_f1, micro_f1
from voc.taxonomy import SENTIMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
START, STEP, ROUNDS, N_TEST = 60, 60, 5, 700
CUT = 0.3  # of the probe: few positives make it cautious
RARE = 45  # positives in the test texts; below, a signal is rare
MEASURES = ("signals mean AP", "rare signals mean AP", "signals micro-F1", "sentiment macro-F1")


@dataclass(frozen=True, slots=True)
class Pool:
    """Judged texts: embeddings (n, dim), sentiment (n,), frustration and signals (n, 16)."""

    embedding: Floats
    sentiment: Ints
    binary: NDArray[np.bool_]


class Probe:
    """A logistic regression for each head on embeddings."""

    def __init__(self, pool: Pool, rows: Ints) -> None:
        x = pool.embedding[rows]
        self._sentiment = _fitted(x, pool.sentiment[rows])
        self._binary = [_fitted(x, pool.binary[rows, j]) for j in range(len(BINARY_LABELS))]

    def proba(self, x: Floats) -> tuple[Floats, Floats]:
        """(sentiment (n, 3), binary (n, 16)); a label that was never seen is unlikely."""
        sentiment = np.full((len(x), len(SENTIMENTS)), 1e-3)
        if isinstance(self._sentiment, LogisticRegression):
            sentiment[:, self._sentiment.classes_] = self._sentiment.predict_proba(x)
        else:
            sentiment[:, int(self._sentiment)] = 1.0
        binary = [
            m.predict_proba(x)[:, 1] if isinstance(m, LogisticRegression) else np.full(len(x), 0.01)
            for m in self._binary
        ]
        return sentiment, np.stack(binary, axis=1)


def _fitted(x: Floats, y: NDArray[np.generic]) -> LogisticRegression | int:
    """A regression, or the one class there is."""
    if len(set(y.tolist())) == 1:
        return int(y[0])
    return LogisticRegression(C=20, max_iter=200).fit(x, y)


def replay(pool: Pool, seed: int, *, chosen: bool) -> Floats:
    """Figures (ROUNDS + 1, len(MEASURES)) after each round of one draw."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pool.sentiment))
    test, have, rest = order[:N_TEST], order[N_TEST : N_TEST + START], order[N_TEST + START :]
    figures = []
    for _ in range(ROUNDS):
        probe = Probe(pool, have)
        figures.append(_figures(pool, probe, test))
        if chosen:
            worth = uncertainty(*probe.proba(pool.embedding[rest]), np.full(len(BINARY_LABELS), CUT))
            x = pool.embedding
            pick = np.array(choose(worth.total, x[rest], STEP, labelled=x[have]))
        else:
            pick = rng.choice(len(rest), STEP, replace=False)
        have, rest = np.concatenate([have, rest[pick]]), np.delete(rest, pick)
    figures.append(_figures(pool, Probe(pool, have), test))
    return np.array(figures)


def _figures(pool: Pool, probe: Probe, test: Ints) -> list[float]:
    sentiment, binary = probe.proba(pool.embedding[test])
    truth, score = pool.binary[test, 1:], binary[:, 1:]
    n = truth.sum(0)
    precision = {j: average_precision_score(truth[:, j], score[:, j]) for j in np.flatnonzero(n >= 5)}
    rare = [p for j, p in precision.items() if n[j] < RARE]
    return [
        float(np.mean(list(precision.values()))),
        float(np.mean(rare)) if rare else math.nan,
        micro_f1(truth, score >= CUT),
        macro_f1(pool.sentiment[test], sentiment.argmax(1), len(SENTIMENTS)),
    ]


def read_pool(bundle: Bundle) -> Pool:
    """The judged training texts of the data folder, embedded."""
    examples = read_signals(data_folder() / "signals" / "train.jsonl")
    model = Model(bundle)
    parts = []
    progress = Progress("embedding", total=len(examples), unit="texts")
    for start in range(0, len(examples), 128):
        texts = [e.text for e in examples[start : start + 128]]
        parts.append(model.logits(texts).embedding())
        progress.advance(len(texts))
    progress.close()
    return Pool(
        np.concatenate(parts).astype(np.float64),
        np.array([e.sentiment for e in examples]),
        np.array([[e.frustration, *e.signals] for e in examples]) == 1,
    )


def print_replay(bundle: Bundle, *, n_seeds: int) -> None:
    """The table: random, chosen, and their difference with a 95 % interval over the draws."""
    pool = read_pool(bundle)
    progress = Progress("replay", total=2 * n_seeds, unit="runs")
    runs: dict[bool, list[Floats]] = {True: [], False: []}
    for seed in range(n_seeds):
        for chosen in (False, True):
            runs[chosen].append(replay(pool, seed, chosen=chosen))
            progress.advance(1)
    progress.close()
    at_random, by_choice = np.array(runs[False]), np.array(runs[True])
    print(f"{bundle.id}: {n_seeds} draws, the same start and test texts for both\n")
    print(f"{'measure':22} {'texts':>5}  {'random':>6}  {'chosen':>6}  {'gain':>6}  95 % interval")
    for k, measure in enumerate(MEASURES):
        for r in range(ROUNDS + 1):
            gain = by_choice[:, r, k] - at_random[:, r, k]
            half = stats.t.ppf(0.975, n_seeds - 1) * stats.sem(gain) if n_seeds > 1 else math.nan
            print(f"{measure if r == 0 else '':22} {START + r * STEP:5}  {at_random[:, r, k].mean():6.3f}  "
                  f"{by_choice[:, r, k].mean():6.3f}  {gain.mean():+6.3f}  "
                  f"{gain.mean() - half:+.3f} to {gain.mean() + half:+.3f}")  # fmt: skip
