"""Accuracy against speed of several bundles, on the development sets: for choosing what to ship.

    python -m evaluation.frontier models/voc-small/1.1.0 var/bundles/voc-mini/0.1.0

Prints a table and writes a page with the frontier as a plot, and a JSON file beside it. Development
sets alone are read (`evaluation.sets.read_development_sets`); test sets are for `evaluation.report`.
Speed is the median of alternating passes over the same 600 texts, one process, all cores.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.page import page, paragraph, print_table, scatter_plot, table
from evaluation.report import is_right, predict
from evaluation.sets import LabelledSet, data_folder, read_development_sets
from voc.classify.bundle import Bundle, load_bundle
from voc.classify.model import Model
from voc.errors import VocError
from voc.metrics import macro_f1, macro_f1_of_frequent, micro_f1
from voc.taxonomy import SENTIMENTS

N_TEXTS = 600


def accuracy_of(bundle: Bundle, sets: list[LabelledSet]) -> dict[str, float]:
    """Sentiment macro-F1 of each set, its mean, and F1 of the signals where they were judged."""
    found: dict[str, float] = {}
    sentiment = []
    for s in sets:
        p = predict(bundle, s.texts)
        f1 = macro_f1(s.sentiment, p.sentiment.argmax(1), len(SENTIMENTS))
        found[f"{s.name} macro-F1"] = f1
        sentiment.append(f1)
        found[f"{s.name} accuracy"] = float(is_right(s, p).mean())
        if s.binary is not None:
            truth, flags = s.binary[:, 1:], p.flags[:, 1:]
            found[f"{s.name} signals micro-F1"] = micro_f1(truth, flags)
            found[f"{s.name} signals macro-F1"] = macro_f1_of_frequent(truth, flags)
    found["mean sentiment macro-F1"] = float(np.mean(sentiment))
    return found


def speeds_of(bundles: list[Bundle], texts: list[str], n_passes: int) -> list[float]:
    """Texts a second of each bundle: passes alternate, so that a busy moment hits all alike."""
    models = [Model(bundle) for bundle in bundles]
    for model in models:
        model.logits(texts[:64])
    seconds: list[list[float]] = [[] for _ in models]
    for _ in range(n_passes):
        for k, model in enumerate(models):
            started = time.perf_counter()
            model.logits(texts)
            seconds[k].append(time.perf_counter() - started)
    return [len(texts) / statistics.median(s) for s in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--passes", type=int, default=3, help="timed passes of each bundle")
    parser.add_argument("--output", type=Path, default=Path("var/frontier.html"))
    args = parser.parse_args()
    try:
        bundles = [load_bundle(folder) for folder in args.bundles]
        sets = read_development_sets(data_folder())
    except VocError as error:
        sys.exit(f"frontier: {error}")
    texts = [t for s in sets for t in s.texts]
    texts = texts[:: max(1, len(texts) // N_TEXTS)][:N_TEXTS]
    speeds = speeds_of(bundles, texts, args.passes)
    rows: list[dict[str, Any]] = []
    for bundle, speed in zip(bundles, speeds, strict=True):
        print(f"measuring {bundle.id}", file=sys.stderr)
        rows.append({
            "bundle": bundle.id,
            "base": bundle.manifest.get("base", {}).get("model", ""),
            "MB": round((bundle.folder / "model.onnx").stat().st_size / 1e6, 1),
            "texts/s": round(speed),
            **{k: round(v, 3) for k, v in accuracy_of(bundle, sets).items()},
        })  # fmt: skip
    measures = [k for k in rows[0] if k not in ("bundle", "base", "MB", "texts/s")]
    print_table(["", *(r["bundle"] for r in rows)],
                [[k, *(r[k] for r in rows)] for k in ("base", "MB", "texts/s", *measures)])  # fmt: skip
    args.output.parent.mkdir(parents=True, exist_ok=True)
    plots = [
        scatter_plot(measure, [(r["bundle"], r["texts/s"], r[measure]) for r in rows], x_name="texts/s")
        for measure in measures
        if measure.startswith("mean") or "signals micro" in measure
    ]
    args.output.write_text(
        page("Accuracy against speed", [
            paragraph(f"Development sets. Speed: {len(texts)} texts, median of {args.passes} passes, this machine."),
            f"<div class=plots>{''.join(plots)}</div>",
            table(list(rows[0]), [list(r.values()) for r in rows]),
        ])
    )  # fmt: skip
    args.output.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    print(f"written: {args.output}, {args.output.with_suffix('.json')}")


if __name__ == "__main__":
    main()
