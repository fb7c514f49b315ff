"""Fit calibration and thresholds of a bundle on labelled texts, without touching the encoder.

    python -m training.calibrate models/voc-small/1.1.0 --version 1.1.1
    python -m training.calibrate models/voc-small/1.1.0 --version 1.2.0 --labels own.csv \\
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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import data as sets
from training.crossfit import out_of_fold_error
from training.export import write_bundle
from training.fits import MIN_POSITIVES, balanced_threshold, fit_binary, fit_sentiment, fit_window_penalty
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


def judged_mask(examples: list[sets.Example]) -> Bools:
    """Which of frustration and signals somebody judged, (n_texts, 16)."""
    known: Bools = np.array([[e.frustration, *e.signals] for e in examples]) != sets.UNKNOWN
    return known


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration, the probabilities it gives (n, 16), the truth, and its error out of fold, by head."""

    calibration: Calibration
    proba: Floats
    y_true: Bools
    error: dict[str, float]


def calibrate(bundle: Bundle, examples: list[sets.Example]) -> Fitted:
    """Fit on judged texts.

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

    def fit(rows: NDArray[np.int64], penalty: float = 0.0) -> Calibration:
        temperature, bias = before.temperature, before.bias
        known = rows[y_sentiment[rows] != sets.UNKNOWN]
        if np.bincount(y_sentiment[known], minlength=3).min() >= MIN_POSITIVES:
            temperature, bias = fit_sentiment(z.sentiment[known], y_sentiment[known])
        pairs = []
        for j in range(len(BINARY_LABELS)):
            own = rows[judged[rows, j]]
            enough = y_binary[own, j].sum() >= MIN_POSITIVES
            pairs.append(
                fit_binary(z.binary[own, j], y_binary[own, j])
                if enough
                else (before.slope[j], before.offset[j])
            )
        return Calibration(
            temperature, bias, tuple(a for a, _ in pairs), tuple(b for _, b in pairs), window_penalty=penalty
        )

    penalty = fit_window_penalty(model, texts, y_binary, fit(np.arange(len(texts))), judged)
    fitted = fit(np.arange(len(texts)), penalty)
    error = out_of_fold_error(
        z.sentiment, z.binary, z.n_windows, y_sentiment, y_binary, judged, lambda rows: fit(rows, penalty)
    )
    return Fitted(fitted, binary_proba(z.binary, z.n_windows, fitted), y_binary, error)


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
    fitted = calibrate(bundle, examples)
    about = {
        "by": getpass.getuser(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": where,
        "n_texts": len(examples),
        "sha256": sets.fingerprint(examples),
    }
    calibrated_on = {**about, "ece_out_of_fold": fitted.error}
    # A bundle that was never calibrated has no threshold worth keeping.
    kept = None
    if "calibrated_on" in bundle.manifest and "balanced" in bundle.operating_points:
        kept = bundle.operating_points["balanced"].thresholds
    points = operating_points(fitted.proba, fitted.y_true, args, about, judged_mask(examples), kept)
    if args.default_point not in points:
        raise VocError(f"no operating point '{args.default_point}'; there are {', '.join(points)}")
    manifest = {
        **bundle.manifest,
        "version": args.version,
        "created_at": about["at"],
        "calibration": fitted.calibration.to_dict(),
        "calibrated_on": calibrated_on,
        "operating_points": points,
        "default_operating_point": args.default_point,
    }
    write_bundle(bundle.folder, target, manifest)
    print(
        json.dumps(
            {
                "temperature": fitted.calibration.temperature,
                "window_penalty": fitted.calibration.window_penalty,
                "ece_out_of_fold": fitted.error,
            }
        ),
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
