"""Fit calibration and thresholds of a bundle on labelled texts, without touching the encoder.

    python -m training.calibrate models/voc-small/1.0.0 --version 1.0.1
    python -m training.calibrate models/voc-small/1.0.0 --version 1.1.0 --labels own.csv \\
        --false-positive-rate 0.01 --min-precision 0.9 --alerts-per-day 20 --volume 5000

Labels are a file that `training.labels_in` reads (CSV, JSON Lines, Label Studio, Argilla); without
--labels, the eighth of the judged texts that never trains. A label with under five positives keeps
the slope and offset it had. Writes a new version beside the old one; the old stays.
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
from training.labels_in import read_labels, refuse_empty_sentiment, refuse_held_out, warnings_of
from training.seen import key_of, read_seen
from training.settings import data_folder, find_data_folder
from voc.classify.bundle import BINARY_LABELS, Bundle, load_bundle
from voc.classify.calibration import Calibration, binary_proba
from voc.classify.model import Model
from voc.errors import InputError, VocError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
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
    model: Model, texts: list[str], y_true: Bools, fitted: Calibration, judged: Bools | None = None
) -> float:
    """How much the highest of many windows exaggerates, learnt by cutting known texts into small windows."""
    long = [i for i, text in enumerate(texts) if len(text.split()) >= 60]
    if len(long) < 50:
        return 0.0
    cut = model.logits([texts[i] for i in long], max_tokens=40)
    labels = y_true[long]
    known = np.ones_like(labels) if judged is None else judged[long]

    def loss(penalty: float) -> float:
        p = binary_proba(
            cut.binary, cut.n_windows, Calibration(**{**asdict(fitted), "window_penalty": penalty})
        )
        p = np.clip(p, 1e-6, 1 - 1e-6)
        return float(-(labels * np.log(p) + ~labels * np.log(1 - p))[known].mean())

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


def judged_mask(examples: list[sets.Example]) -> Bools:
    """Which of frustration and signals somebody judged, (n_texts, 16)."""
    known: Bools = np.array([[e.frustration, *e.signals] for e in examples]) != sets.UNKNOWN
    return known


def calibrate(bundle: Bundle, examples: list[sets.Example]) -> tuple[Calibration, Floats, Bools]:
    """Fit on judged texts; returns the calibration, the probabilities and the truth (n, 16).

    A label that was not judged, or has too few positives, keeps what the bundle had; where it was not
    judged (`judged_mask`), the truth says False and means nothing.
    """
    texts = [e.text for e in examples]
    model = Model(bundle)
    z = model.logits(texts)
    before = bundle.calibration
    y_sentiment = np.array([e.sentiment for e in examples])
    y_binary = np.array([[e.frustration, *e.signals] for e in examples]) == 1
    judged = judged_mask(examples)
    temperature, bias = before.temperature, before.bias
    known = y_sentiment != sets.UNKNOWN
    if np.bincount(y_sentiment[known], minlength=3).min() >= MIN_POSITIVES:
        temperature, bias = fit_sentiment(z.sentiment[known], y_sentiment[known])
    pairs = [
        fit_binary(z.binary[rows, j], y_binary[rows, j])
        if y_binary[rows, j].sum() >= MIN_POSITIVES
        else (before.slope[j], before.offset[j])
        for j, rows in enumerate(judged.T)
    ]
    fitted = Calibration(temperature, bias, tuple(a for a, _ in pairs), tuple(b for _, b in pairs))
    penalty = fit_window_penalty(model, texts, y_binary, fitted, judged)
    fitted = Calibration(**{**asdict(fitted), "window_penalty": penalty})
    return fitted, binary_proba(z.binary, z.n_windows, fitted), y_binary


def operating_points(
    proba: Floats,
    y_true: Bools,
    args: argparse.Namespace,
    about: dict[str, Any],
    judged: Bools | None = None,
    kept: dict[str, float] | None = None,
) -> dict[str, Any]:
    """The balanced point and one for each budget asked for.

    `judged` (n_texts, 16) says which labels count for which text; `kept` are thresholds to leave as
    they are for labels with too few positives to choose by.
    """
    rows = np.ones_like(y_true) if judged is None else judged

    def of(j: int) -> tuple[Floats, Bools]:
        return proba[rows[:, j], j], y_true[rows[:, j], j]

    def balanced(j: int, label: str) -> float:
        few = of(j)[1].sum() < MIN_POSITIVES
        return kept[label] if few and kept is not None else balanced_threshold(*of(j))

    points: dict[str, Any] = {
        "balanced": {
            "thresholds": {label: balanced(j, label) for j, label in enumerate(BINARY_LABELS)},
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
            label: bound_false_positive_rate(*of(j), limit=limit, confidence=args.confidence)
            for j, label in enumerate(BINARY_LABELS)
        }
        points[name] = _point(found, {"method": f"false-positive rate at most {limit:g}", **about}, args)
    if args.min_precision is not None:
        found = {
            label: bound_precision(*of(j), minimum=args.min_precision, confidence=args.confidence)
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
    parser.add_argument("--labels", type=Path, help="own labels: judged texts that trained nothing")
    parser.add_argument(
        "--unseen-only", action="store_true", help="leave out own texts that trained this bundle"
    )
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
        examples, where = own_examples(bundle, args.labels, unseen_only=args.unseen_only), args.labels.name
    else:
        seen = read_seen(bundle.folder)  # a text may have trained under the name of a sentiment set
        examples = [e for e in sets.calibration_examples(data_folder()) if key_of(e.text) not in seen]
        where = "calibration eighth of the judged texts"
    fitted, proba, y_true = calibrate(bundle, examples)
    about = {
        "by": getpass.getuser(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": where,
        "n_texts": len(examples),
        "sha256": sets.fingerprint(examples),
    }
    # A bundle that was never calibrated has no threshold worth keeping.
    kept = None
    if "calibrated_on" in bundle.manifest and "balanced" in bundle.operating_points:
        kept = bundle.operating_points["balanced"].thresholds
    points = operating_points(proba, y_true, args, about, judged_mask(examples), kept)
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


def own_examples(bundle: Bundle, path: Path, *, unseen_only: bool) -> list[sets.Example]:
    """Own labels to calibrate on: those not marked for training or testing, none that trained the bundle.

    Raises
    ------
    InputError
        The file is not fit (`training.labels_in`), or texts trained the bundle and `unseen_only` is off.
    """
    own = read_labels(path)
    folder = find_data_folder()
    if folder is not None:
        own = refuse_held_out(own, sets.held_out(folder))
    examples = [
        e for e, split in zip(own.examples, own.splits, strict=True) if split not in ("train", "test")
    ]
    seen = read_seen(bundle.folder)
    unseen = [e for e in examples if key_of(e.text) not in seen]
    if len(unseen) < len(examples) and not unseen_only:
        raise InputError(
            f"{len(examples) - len(unseen)} of {len(examples)} texts trained {bundle.id}: on them it looks "
            "surer than it is",
            file=str(path), remedy=f"add --unseen-only to calibrate on the other {len(unseen)}",
        )  # fmt: skip
    if not unseen:
        raise InputError("no text is left to calibrate on", file=str(path),
                         remedy="label texts that the bundle has not seen")  # fmt: skip
    refuse_empty_sentiment(unseen, str(path))
    for warning in warnings_of(unseen):
        print(f"own labels: {warning}", file=sys.stderr)
    return unseen


if __name__ == "__main__":
    main()
