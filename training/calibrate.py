"""Fit calibration and thresholds of a bundle on labelled texts, without touching the encoder.

    python -m training.calibrate models/voc-small/1.0.0 --version 1.0.1
    python -m training.calibrate models/voc-small/1.0.0 --version 1.1.0 --labels own.jsonl \\
        --false-positive-rate 0.01 --min-precision 0.9 --alerts-per-day 20 --volume 5000

Labels are JSON Lines with text, sentiment, frustration and signals; without --labels, the eighth of
the judged texts that never trains. Writes a new version beside the old one; the old stays.
"""

import argparse
import getpass
import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from training import data as sets
from training.export import write_bundle
from training.guarantee import NEVER, Guaranteed, bound_false_positive_rate, bound_precision
from training.settings import data_folder
from voc.classify.bundle import BINARY_LABELS, Bundle, load_bundle
from voc.classify.calibration import Calibration, binary_proba
from voc.classify.model import Model
from voc.errors import VocError

Floats = NDArray[np.float64]
MIN_POSITIVES = 5  # fewer say nothing about a label's slope


def fit_sentiment(z: Floats, y_true: NDArray[np.int64]) -> tuple[float, tuple[float, ...]]:
    """Temperature and per-class bias that minimise log loss (one slope, three intercepts)."""

    def loss(x: Floats) -> float:
        s = z / np.exp(x[0]) + np.array([x[1], 0.0, x[2]])
        s = s - s.max(1, keepdims=True)
        log_p = s - np.log(np.exp(s).sum(1, keepdims=True))
        return float(-log_p[np.arange(len(z)), y_true].mean() + 1e-3 * (x**2).sum())

    x = minimize(loss, np.zeros(3), method="L-BFGS-B").x
    return float(np.exp(x[0])), (float(x[1]), 0.0, float(x[2]))


def fit_binary(z: Floats, y_true: NDArray[np.bool_]) -> tuple[float, float]:
    """Platt slope and offset with Platt's smoothed targets and a pull of the slope towards 1."""
    n_pos, n_neg = int(y_true.sum()), int((~y_true).sum())
    if n_pos < MIN_POSITIVES:
        return 1.0, 0.0
    target = np.where(y_true, (n_pos + 1) / (n_pos + 2), 1 / (n_neg + 2))

    def loss(x: Floats) -> float:
        s = z * np.exp(x[0]) + x[1]
        return float(np.mean(np.logaddexp(0, s) - target * s) * len(z) + 0.5 * (x[0] / 0.5) ** 2)

    x = minimize(loss, np.zeros(2), method="L-BFGS-B").x
    return float(np.exp(x[0])), float(x[1])


def fit_window_penalty(
    model: Model, texts: list[str], y_true: NDArray[np.bool_], fitted: Calibration
) -> float:
    """How much the highest of many windows exaggerates, learnt by cutting known texts into small windows."""
    long = [i for i, text in enumerate(texts) if len(text.split()) >= 60]
    if len(long) < 50:
        return 0.0
    cut = model.logits([texts[i] for i in long], max_tokens=40)
    labels = y_true[long]

    def loss(penalty: float) -> float:
        p = binary_proba(
            cut.binary, cut.n_windows, Calibration(**{**asdict(fitted), "window_penalty": penalty})
        )
        p = np.clip(p, 1e-6, 1 - 1e-6)
        return float(-(labels * np.log(p) + ~labels * np.log(1 - p)).mean())

    return float(minimize_scalar(loss, bounds=(0.0, 2.0), method="bounded").x)


def balanced_threshold(proba: Floats, y_true: NDArray[np.bool_]) -> float:
    """Threshold of the best F1: the mean of what was counted and what calibrated probabilities expect.

    The expectation steadies labels with few positives, where the count alone would chase noise.
    """
    best, chosen = -1.0, 0.5
    for t in np.linspace(0.1, 0.8, 141):
        flagged = proba >= t
        counted = 2 * (flagged & y_true).sum() / max(1, flagged.sum() + y_true.sum())
        expected = 2 * proba[flagged].sum() / max(1e-9, flagged.sum() + proba.sum())
        if counted + expected > best + 1e-12:
            best, chosen = float(counted + expected), float(t)
    return chosen


def calibrate(bundle: Bundle, examples: list[sets.Example]) -> tuple[Calibration, Floats, NDArray[np.bool_]]:
    """Fit on judged texts; returns the calibration, the probabilities and the truth (n, 16)."""
    texts = [e.text for e in examples]
    model = Model(bundle)
    z = model.logits(texts)
    y_sentiment = np.array([e.sentiment for e in examples])
    y_binary = np.array([[e.frustration, *e.signals] for e in examples]) == 1
    temperature, bias = fit_sentiment(z.sentiment, y_sentiment)
    pairs = [fit_binary(z.binary[:, j], y_binary[:, j]) for j in range(len(BINARY_LABELS))]
    fitted = Calibration(temperature, bias, tuple(a for a, _ in pairs), tuple(b for _, b in pairs))
    penalty = fit_window_penalty(model, texts, y_binary, fitted)
    fitted = Calibration(**{**asdict(fitted), "window_penalty": penalty})
    return fitted, binary_proba(z.binary, z.n_windows, fitted), y_binary


def operating_points(
    proba: Floats, y_true: NDArray[np.bool_], args: argparse.Namespace, about: dict[str, Any]
) -> dict[str, Any]:
    """The balanced point and one for each budget asked for."""
    points: dict[str, Any] = {
        "balanced": {
            "thresholds": {
                label: balanced_threshold(proba[:, j], y_true[:, j]) for j, label in enumerate(BINARY_LABELS)
            },
            "about": {"method": "best F1 a label, no guarantee", **about},
        }
    }
    limits = {f"fpr_{rate:g}": rate for rate in args.false_positive_rate}
    if args.alerts_per_day is not None:
        # All labels share the budget: each may raise its part of the daily alerts on clean traffic.
        limits[f"alerts_{args.alerts_per_day:g}_a_day"] = (
            args.alerts_per_day / args.volume / len(BINARY_LABELS)
        )
    for name, limit in limits.items():
        found = {
            label: bound_false_positive_rate(
                proba[:, j], y_true[:, j], limit=limit, confidence=args.confidence
            )
            for j, label in enumerate(BINARY_LABELS)
        }
        points[name] = _point(found, {"method": f"false-positive rate at most {limit:g}", **about}, args)
    if args.min_precision is not None:
        found = {
            label: bound_precision(
                proba[:, j], y_true[:, j], minimum=args.min_precision, confidence=args.confidence
            )
            for j, label in enumerate(BINARY_LABELS)
        }
        about_precision = {"method": f"precision at least {args.min_precision:g}", **about}
        points[f"precision_{args.min_precision:g}"] = _point(found, about_precision, args)
    return points


def _point(found: dict[str, Guaranteed], about: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    for label, g in found.items():
        if g.threshold == NEVER:
            print(
                f"{label}: the labels support no threshold ({about['method']} at {args.confidence:.0%}); "
                f"{g.n_judged} texts count, at least {g.needed} without an error are needed; "
                "it is never flagged",
                file=sys.stderr,
            )
    return {
        "thresholds": {label: g.threshold for label, g in found.items()},
        "about": {
            **about,
            "confidence": args.confidence,
            "labels": {label: asdict(g) for label, g in found.items()},
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--version", required=True, help="version to write")
    parser.add_argument("--labels", type=Path, help="JSON Lines of judged texts that trained nothing")
    parser.add_argument("--false-positive-rate", type=float, action="append", default=[], metavar="RATE")
    parser.add_argument(
        "--alerts-per-day", type=float, help="false alerts a day at most, all labels together"
    )
    parser.add_argument("--volume", type=float, default=1000, help="texts a day, for --alerts-per-day")
    parser.add_argument("--min-precision", type=float)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--default-point", default="balanced")
    args = parser.parse_args()
    try:
        started = time.monotonic()
        target = _calibrate_folder(args)
    except VocError as error:
        sys.exit(f"calibrate: {error}")
    print(f"{target} in {time.monotonic() - started:.0f} s")


def _calibrate_folder(args: argparse.Namespace) -> Path:
    bundle = load_bundle(args.bundle)
    target: Path = args.bundle.parent / args.version
    if target.exists():
        raise VocError(f"{target} exists; give another --version")
    if args.labels:
        examples, where = sets.read_signals(args.labels), args.labels.name
    else:
        examples, where = sets.calibration_examples(data_folder()), "calibration eighth of the judged texts"
    fitted, proba, y_true = calibrate(bundle, examples)
    about = {
        "by": getpass.getuser(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": where,
        "n_texts": len(examples),
        "sha256": sets.fingerprint(examples),
    }
    points = operating_points(proba, y_true, args, about)
    if args.default_point not in points:
        raise VocError(f"no operating point '{args.default_point}'; there are {', '.join(points)}")
    manifest = {
        **bundle.manifest,
        "version": args.version,
        "created_at": about["at"],
        "calibration": fitted.to_dict(),
        "calibrated_on": about,
        "operating_points": points,
        "default_operating_point": args.default_point,
    }
    write_bundle(bundle.folder, target, manifest)
    print(
        json.dumps({"temperature": fitted.temperature, "window_penalty": fitted.window_penalty}),
        file=sys.stderr,
    )
    return target


if __name__ == "__main__":
    main()
