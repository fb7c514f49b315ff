"""How good a bundle is: accuracy, calibration, behaviour and evidence on the visible sets.

    python -m evaluation.report models/voc-small/1.1.0 --output var/report.html
    python -m evaluation.report models/own/1.0.1 --against models/voc-small/1.1.0

Prints the accuracy table, writes a self-contained HTML page and a JSON file beside it. With
`--against`, each figure comes with a paired bootstrap interval of the difference.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.faithfulness import measure_evidence
from evaluation.page import heading, page, paragraph, print_table, reliability_plot, table
from evaluation.sets import NOT_NEGATIVE, LabelledSet, data_folder, read_test_sets
from voc.classify.bundle import BINARY_LABELS, Bundle, load_bundle
from voc.classify.model import Model
from voc.classify.scorer import Scorer
from voc.errors import VocError
from voc.metrics import (
    bootstrap_interval,
    brier,
    expected_calibration_error,
    f1_scores,
    macro_f1,
    macro_f1_of_frequent,
    macro_recall,
    micro_f1,
)
from voc.taxonomy import SENTIMENTS

Ints = NDArray[np.int64]
N = len(SENTIMENTS)
TARGETS = {
    ("tweeteval_sentiment", "macro-recall"): 0.71, ("sst3_sentences", "macro-F1"): 0.69,
    ("dynasent_r1r2 r1", "macro-F1"): 0.76, ("dynasent_r1r2 r2", "macro-F1"): 0.66,
    ("checklist_mft", "failure rate"): 0.15, ("signals dev", "signals micro-F1"): 0.82,
    ("signals dev", "signals macro-F1"): 0.78, ("signals dev_social", "signals micro-F1"): 0.74,
    ("signals dev_social", "signals macro-F1"): 0.70, ("signals dev", "macro-F1"): 0.88,
    ("signals dev_social", "macro-F1"): 0.86,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Predicted:
    """Calibrated probabilities of one bundle on one set."""

    sentiment: NDArray[np.float64]
    binary: NDArray[np.float64]
    flags: NDArray[np.bool_]


def predict(bundle: Bundle, texts: list[str]) -> Predicted:
    """Score `texts` without the language check: a test set's labels say that it is to be scored."""
    model = Model(bundle)
    sentiment, binary = model.proba(model.logits(texts))
    point = bundle.operating_point(None)
    thresholds = np.array([point.thresholds[label] for label in BINARY_LABELS])
    return Predicted(sentiment, binary, binary >= thresholds)


def is_right(s: LabelledSet, p: Predicted) -> NDArray[np.bool_]:
    """Whether the sentiment said is the one wanted."""
    said = p.sentiment.argmax(1)
    right: NDArray[np.bool_] = np.where(s.sentiment == NOT_NEGATIVE, said != 0, s.sentiment == said)
    return right


def figures_of(s: LabelledSet, p: Predicted) -> dict[str, Callable[[Ints], float]]:
    """The figures of a set, each a function of the rows it is taken over."""
    y, pred = s.sentiment, p.sentiment.argmax(1)
    figures: dict[str, Callable[[Ints], float]] = {}
    if s.name == "checklist_mft":
        right = is_right(s, p)
        figures["failure rate"] = lambda i: float(1 - right[i].mean())
    elif s.name == "tweeteval_sentiment":
        figures["macro-recall"] = lambda i: macro_recall(y[i], pred[i], N)
    else:
        figures["macro-F1"] = lambda i: macro_f1(y[i], pred[i], N)
    if s.binary is not None:
        truth, flags = s.binary[:, 1:], p.flags[:, 1:]
        figures["signals micro-F1"] = lambda i: micro_f1(truth[i], flags[i])
        figures["signals macro-F1"] = lambda i: macro_f1_of_frequent(truth[i], flags[i])
        figures["frustration F1"] = lambda i: float(f1_scores(s.binary[i, :1], p.flags[i, :1])[0])  # type: ignore[index]
    return figures


def accuracy_rows(
    sets: list[LabelledSet], predicted: list[Predicted], other: list[Predicted] | None
) -> list[dict[str, Any]]:
    """One row a figure: value, interval, target, and the paired difference to another bundle."""
    rows = []
    for k, (s, p) in enumerate(zip(sets, predicted, strict=True)):
        everything = np.arange(len(s.texts))
        theirs = figures_of(s, other[k]) if other else {}
        for name, figure in figures_of(s, p).items():
            low, high = bootstrap_interval(figure, len(s.texts), n_draws=400)
            row = {"set": s.name, "n": len(s.texts), "measure": name, "value": figure(everything), "low": low,
                   "high": high, "target": TARGETS.get((s.name, name))}  # fmt: skip
            if name in theirs:
                g = theirs[name]
                gap = bootstrap_interval(lambda i, f=figure, g=g: f(i) - g(i), len(s.texts), n_draws=400)
                row |= {"other": g(everything), "gap_low": gap[0], "gap_high": gap[1]}
            rows.append(row)
    return rows


def calibration_rows(s: LabelledSet, p: Predicted) -> list[dict[str, Any]]:
    """ECE with interval, and Brier score, of sentiment and each binary label."""
    correct = is_right(s, p)
    top = p.sentiment.max(1)
    heads = [("sentiment (winner)", correct, top)]
    if s.binary is not None:
        heads += [(label, s.binary[:, j], p.binary[:, j]) for j, label in enumerate(BINARY_LABELS)]
    rows = []
    for name, truth, proba in heads:
        low, high = bootstrap_interval(
            lambda i, t=truth, q=proba: expected_calibration_error(t[i], q[i]), len(truth), n_draws=200
        )
        rows.append({"set": s.name, "head": name, "n": len(truth), "positives": int(truth.sum()),
                     "ece": expected_calibration_error(truth, proba), "low": low, "high": high,
                     "brier": brier(truth, proba)})  # fmt: skip
    return rows


def label_rows(s: LabelledSet, p: Predicted) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each binary label at the default operating point."""
    if s.binary is None:
        return []
    rows = []
    for j, label in enumerate(BINARY_LABELS):
        truth, flag = s.binary[:, j], p.flags[:, j]
        hits = int((truth & flag).sum())
        rows.append({"set": s.name, "label": label, "positives": int(truth.sum()), "flagged": int(flag.sum()),
                     "precision": hits / max(1, int(flag.sum())), "recall": hits / max(1, int(truth.sum())),
                     "f1": float(f1_scores(truth[:, None], flag[:, None])[0])})  # fmt: skip
    return rows


def group_rows(s: LabelledSet, p: Predicted) -> list[dict[str, Any]]:
    """Share of right sentiment by capability or channel, and by length of text."""
    right = is_right(s, p)
    words = np.array([len(t.split()) for t in s.texts])
    groups = {f"{g}": np.array([h == g for h in s.groups or []]) for g in sorted(set(s.groups or [])) if g}
    groups |= {
        "under 10 words": words < 10,
        "10 to 40 words": (words >= 10) & (words < 40),
        "40 words and more": words >= 40,
    }
    return [
        {"set": s.name, "group": name, "n": int(rows.sum()), "accuracy": float(right[rows].mean()),
         "ece": expected_calibration_error(right[rows], p.sentiment.max(1)[rows])}
        for name, rows in groups.items() if rows.any()
    ]  # fmt: skip


def reliability(
    truth: NDArray[np.bool_], proba: NDArray[np.float64], n_bins: int = 10
) -> tuple[list[float], list[float]]:
    """Mean stated probability and observed rate over bins of equal mass."""
    parts = [part for part in np.array_split(np.argsort(proba, kind="stable"), n_bins) if part.size]
    return [float(proba[i].mean()) for i in parts], [float(truth[i].mean()) for i in parts]


def as_html(result: dict[str, Any], sets: list[LabelledSet], predicted: list[Predicted]) -> str:
    """The page."""
    parts = [paragraph(f"Operating point: {result['operating_point']}. Intervals: bootstrap, 95 %.")]
    titles = {
        "accuracy": "Accuracy",
        "labels": "Labels",
        "calibration": "Calibration",
        "groups": "By capability, channel and length",
        "evidence": "Evidence",
    }
    for key, title in titles.items():
        rows = result[key]
        header = list(rows[0])
        parts += [heading(title), table(header, [[_cell(r.get(h)) for h in header] for r in rows])]
    for s, p in zip(sets, predicted, strict=True):
        if s.binary is not None:
            plots = [
                reliability_plot(
                    "sentiment", *reliability(s.sentiment == p.sentiment.argmax(1), p.sentiment.max(1))
                )
            ]
            plots += [
                reliability_plot(label, *reliability(s.binary[:, j], p.binary[:, j]))
                for j, label in enumerate(BINARY_LABELS)
            ]
            parts += [heading(f"Reliability on {s.name}"), f"<div class=plots>{''.join(plots)}</div>"]
    return page(f"Report on {result['bundle']}", parts)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--against", type=Path, help="another bundle to compare with, paired")
    parser.add_argument("--output", type=Path, default=Path("var/report.html"))
    args = parser.parse_args()
    try:
        bundle = load_bundle(args.bundle)
        other = load_bundle(args.against) if args.against else None
        sets = read_test_sets(data_folder())
    except VocError as error:
        sys.exit(f"report: {error}")
    predicted = []
    for s in sets:
        print(f"scoring {s.name} ({len(s.texts):,})", file=sys.stderr)
        predicted.append(predict(bundle, s.texts))
    theirs = [predict(other, s.texts) for s in sets] if other else None
    result = {
        "bundle": bundle.id,
        "operating_point": bundle.default_point,
        "accuracy": accuracy_rows(sets, predicted, theirs),
        "labels": [r for s, p in zip(sets, predicted, strict=True) for r in label_rows(s, p)],
        "calibration": [r for s, p in zip(sets, predicted, strict=True) for r in calibration_rows(s, p)],
        "groups": [r for s, p in zip(sets, predicted, strict=True) for r in group_rows(s, p)],
        "evidence": measure_evidence(Scorer(bundle), sets[5].texts[:300]),
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(as_html(result, sets, predicted))
    args.output.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    rows = [[r["set"], r["measure"], r["n"], f"{r['value']:.3f}", f"{r['low']:.3f}-{r['high']:.3f}",
             r["target"] or "", f"{r['gap_low']:+.3f} to {r['gap_high']:+.3f}" if "gap_low" in r else ""]
            for r in result["accuracy"]]  # fmt: skip
    print_table(["set", "measure", "n", "value", "95 % interval", "target", "gap to other"], rows)
    for s in (sets[5].name, sets[6].name):
        own = [r for r in result["calibration"] if r["set"] == s]
        mean = np.mean([r["ece"] for r in own[2:]])
        print(f"{s}: sentiment ECE {own[0]['ece']:.3f}, mean signal ECE {mean:.3f}")
    for row in result["evidence"]:
        print(", ".join(f"{k} {_cell(v)}" for k, v in row.items()))
    print(f"written: {args.output}, {args.output.with_suffix('.json')}")


if __name__ == "__main__":
    main()
