"""The gate: the figures by which one bundle may follow another.

Macro-F1 of sentiment and micro-F1 of signals, on a labelled file, or on the named sets whose figures
both manifests hold.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import UNKNOWN, Example
from training.labels_in import read_labels
from training.seen import key_of, read_seen
from voc.classify.bundle import BINARY_LABELS, Bundle
from voc.classify.model import Model
from voc.errors import InputError
from voc.metrics import bootstrap_interval, macro_f1, micro_f1
from voc.taxonomy import SENTIMENTS

Ints = NDArray[np.int64]
N_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Figure:
    """One gate figure of the candidate, and of the live bundle where there is one."""

    name: str
    n_texts: int | None
    value: float
    live: float | None
    low: float | None = None  # 95 % interval of the difference, paired bootstrap
    high: float | None = None

    @property
    def worse(self) -> bool:
        """Is the candidate below the live bundle? Rounding in the last digits does not count."""
        return self.live is not None and self.value < self.live - 1e-6

    def as_text(self) -> str:
        """For people."""
        if self.live is None:
            return f"{self.name} {self.value:.3f}"
        interval = "" if self.low is None else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.name} {self.value:.3f}, live {self.live:.3f}: {self.value - self.live:+.3f}{interval}"


def measure(candidate: Bundle, live: Bundle | None, labels: Path) -> list[Figure]:
    """Score a labelled file with both bundles, each at its default operating point.

    Raises
    ------
    InputError
        The file is not fit (`training.labels_in`), holds nothing judged on sentiment or signals, or
        holds texts that trained one of the bundles.
    """
    own = read_labels(labels)
    examples = [e for e, s in zip(own.examples, own.splits, strict=True) if s not in ("train", "calibration")]
    for bundle in [candidate, *([live] if live else [])]:
        seen = read_seen(bundle.folder)
        n_seen = sum(key_of(e.text) in seen for e in examples)
        if n_seen:
            raise InputError(
                f"{n_seen} of {len(examples)} texts trained {bundle.id}: it would look better than it is",
                file=str(labels), remedy="gate on texts that trained neither bundle",
            )  # fmt: skip
    mine = _predict(candidate, examples)
    theirs = _predict(live, examples) if live else None
    figures = []
    truth = np.array([e.sentiment for e in examples])
    rows = np.flatnonzero(truth != UNKNOWN)
    if rows.size:
        figures.append(_figure(
            "sentiment macro-F1", truth[rows], mine[0][rows], theirs and theirs[0][rows],
            lambda y, pred: macro_f1(y, pred, len(SENTIMENTS)),
        ))  # fmt: skip
    signals = np.array([e.signals for e in examples])
    rows = np.flatnonzero((signals != UNKNOWN).all(1))
    if rows.size:
        figures.append(_figure(
            "signals micro-F1", signals[rows] == 1, mine[1][rows], theirs and theirs[1][rows], micro_f1,
        ))  # fmt: skip
    if not figures:
        raise InputError("no text is judged on sentiment or signals", file=str(labels),
                         remedy="give a gate file with both")  # fmt: skip
    return figures


def stored(candidate: Bundle, live: Bundle | None) -> list[Figure]:
    """The same figures from the manifests, over the sets that both bundles were measured on.

    Own held-out sets are compared only where both held out the same texts. Nothing in common: empty.
    """
    mine, theirs = _metrics(candidate), _metrics(live) if live else {}
    figures = []
    for name, value in mine.items():
        if live is None or name in theirs:
            figures.append(Figure(name, None, value, theirs.get(name)))
    return figures


def _metrics(bundle: Bundle) -> dict[str, float]:
    found: dict[str, float] = {}
    metrics: dict[str, Any] = bundle.manifest.get("metrics", {})
    for name, figures in metrics.get("development_fp32", {}).items():
        if "signals" in figures:  # the sets that both heads are measured on
            where = f"{name} {figures['sha256'][:8]}" if "sha256" in figures else name
            if "macro_f1" in figures:
                found[f"{where} sentiment macro-F1"] = float(figures["macro_f1"])
            found[f"{where} signals micro-F1"] = float(figures["signals"]["micro_f1"])
    return found


def _predict(bundle: Bundle, examples: list[Example]) -> tuple[Any, Any]:
    """(sentiment (n,), signal flags (n, 15))."""
    model = Model(bundle)
    sentiment, binary = model.proba(model.logits([e.text for e in examples]))
    point = bundle.operating_point(None)
    thresholds = np.array([point.thresholds[label] for label in BINARY_LABELS])
    return sentiment.argmax(1), (binary >= thresholds)[:, 1:]


def _figure(name: str, truth: Any, mine: Any, theirs: Any, metric: Any) -> Figure:
    value = float(metric(truth, mine))
    if theirs is None:
        return Figure(name, len(truth), value, None)

    def gap(rows: Ints) -> float:
        return float(metric(truth[rows], mine[rows]) - metric(truth[rows], theirs[rows]))

    low, high = bootstrap_interval(gap, len(truth), n_draws=N_DRAWS)
    return Figure(name, len(truth), value, float(metric(truth, theirs)), low, high)
