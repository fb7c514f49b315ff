"""The next texts worth labelling: where the bundle is unsure, rare signals first, no two alike.

    python -m training.suggest unlabelled.csv --n 100 --output next.jsonl
    python -m training.suggest --replay

Reads CSV, JSON Lines or Parquet with a `text` (and `id`, if there is one); gives JSON Lines with the
text, why it was chosen and what the bundle thinks, ready to be judged. `--labelled own.csv` keeps
away from what is labelled already. `--replay` shows on the judged texts of the data folder that
choosing so teaches a linear probe more than drawing at random.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import normal_form
from training.labels_in import read_labels
from voc.classify.bundle import BINARY_LABELS, Bundle, find_live_bundle, load_bundle
from voc.classify.model import Model
from voc.classify.scorer import MAX_CHARS
from voc.errors import InputError, VocError
from voc.files import stream_rows, write_json_lines
from voc.language import LanguageDetector
from voc.taxonomy import SENTIMENTS

Floats = NDArray[np.float64]
MAX_WEIGHT = 4.0  # of a rare label, times the commonest's: a label of one in 10,000 must not decide alone
SENTIMENT_WEIGHT = 3.0  # below 2, sentiment of the probe in --replay falls behind drawing at random
MAX_COVERED = 4000  # texts that the choice must stand for; more change nothing but the time


@dataclass(frozen=True, slots=True)
class Worth:
    """What labelling each text may teach: `total` (n,), and by head (n, 17): sentiment, then labels."""

    total: Floats
    by_head: Floats


def uncertainty(sentiment: Floats, binary: Floats, thresholds: Floats) -> Worth:
    """How unsure a bundle is of each text, rare labels weighing more.

    Parameters
    ----------
    sentiment : calibrated probabilities, shape (n, 3)
    binary : calibrated probabilities of frustration and signals, shape (n, 16)
    thresholds : shape (16,)

    Sentiment counts by its entropy, `SENTIMENT_WEIGHT` times; a label by how near its probability is to
    its threshold (on the logit scale; 1 at the threshold), weighing one over the square root of its
    expected share.
    """
    p = np.clip(sentiment, 1e-9, 1)
    entropy = -(p * np.log(p)).sum(1) / np.log(3)
    q = np.clip(binary, 1e-6, 1 - 1e-6)
    t = np.clip(thresholds, 1e-3, 1 - 1e-3)  # a threshold above 1 means "never flagged": no place to be near
    z = np.log(q / (1 - q)) - np.log(t / (1 - t))
    near = 1 / np.cosh(z / 2) ** 2
    share = np.maximum(q.mean(0), 1e-6)
    weight = np.minimum(np.sqrt(share.max() / share), MAX_WEIGHT)
    by_head = np.concatenate([SENTIMENT_WEIGHT * entropy[:, None], near * weight], axis=1)
    return Worth(by_head.sum(1), by_head)


def choose(worth: Floats, embedding: Floats, n: int, *, labelled: Floats | None = None) -> list[int]:
    """Choose `n` rows that stand for what is worth most: greedy facility location.

    Each text wants a chosen one near it, the more the more it is worth; a text beside one that is
    chosen (or `labelled`) already adds little. Of a large pool, the 4,000 worth most take part.

    Source: Wei, Iyer and Bilmes, "Submodularity in data subset selection and active learning", 2015.
    """
    # Sentence embeddings share a large common part: without it, unlike texts are at right angles.
    centre = embedding.mean(axis=0)
    pool = np.argsort(-worth, kind="stable")[:MAX_COVERED]
    points = _unit(embedding[pool] - centre)
    want = worth[pool].astype(np.float32)
    similar = np.maximum(points @ points.T, 0.0)
    best = np.zeros(len(pool), dtype=np.float32)
    if labelled is not None and len(labelled):
        best = np.maximum((points @ _unit(labelled - centre).T).max(axis=1), 0.0)
    free = np.ones(len(pool), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(n, len(pool))):
        gain = np.where(free, want @ np.maximum(similar - best[:, None], 0.0), -1.0)
        j = int(gain.argmax())
        free[j] = False
        chosen.append(int(pool[j]))
        best = np.maximum(best, similar[:, j])
    return chosen


def _unit(rows: Floats) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(
        np.float32
    )
    return unit


def suggest(
    bundle: Bundle, rows: list[dict[str, Any]], n: int, *, labelled: Iterable[str] = ()
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The `n` rows (with `text`) to judge next, and how many were left out and why."""
    left_out = {"empty, not English or too long": 0, "said twice or labelled": 0}
    detector = LanguageDetector()
    known = list(labelled)
    seen = {normal_form(text) for text in known}
    kept = []
    for row in rows:
        text = str(row["text"] or "")
        if not text.strip() or len(text) > MAX_CHARS or detector.detect(text).code != "en":
            left_out["empty, not English or too long"] += 1
        elif normal_form(text) in seen:
            left_out["said twice or labelled"] += 1
        else:
            seen.add(normal_form(text))
            kept.append(row)
    if not kept:
        raise InputError("no text is left to choose from", remedy="give texts that are not labelled yet")
    model = Model(bundle)
    logits = model.logits([str(row["text"]) for row in kept])
    sentiment, binary = model.proba(logits)
    point = bundle.operating_point(None)
    worth = uncertainty(sentiment, binary, np.array([point.thresholds[label] for label in BINARY_LABELS]))
    near = model.logits(known).embedding() if known else None
    chosen = choose(worth.total, logits.embedding(), n, labelled=near)
    heads = ("sentiment", *BINARY_LABELS)
    return [
        {
            **({"id": kept[i]["id"]} if "id" in kept[i] else {}),
            "text": kept[i]["text"],
            "unsure_of": [heads[h] for h in np.argsort(-worth.by_head[i])[:3]],
            "worth": round(float(worth.total[i]), 3),
            "bundle_says": {
                "sentiment": SENTIMENTS[int(sentiment[i].argmax())],
                "signals": [name for name, p in zip(BINARY_LABELS[1:], binary[i, 1:], strict=True)
                            if p >= point.thresholds[name]],
            },
        }
        for i in chosen
    ], left_out  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "texts", nargs="?", help="CSV, JSON Lines or Parquet with a field 'text'; - for stdin"
    )
    parser.add_argument("--n", type=int, default=100, help="how many to choose")
    parser.add_argument("--text", default="text", metavar="FIELD", help="field that holds the text")
    parser.add_argument("--bundle", type=Path, help="folder of a bundle; the live one if left out")
    parser.add_argument("--labelled", type=Path, help="own labels: what is judged already")
    parser.add_argument("--output", help="JSON Lines file; stdout if left out")
    parser.add_argument("--replay", action="store_true", help="show it beside random draws, on judged texts")
    parser.add_argument("--seeds", type=int, default=10, help="draws of the replay")
    args = parser.parse_args()
    if not args.replay and not args.texts:
        parser.error("give a file of texts, or --replay")
    try:
        bundle = load_bundle(args.bundle or find_live_bundle(Path("models")))
        if args.replay:
            from training.suggest_replay import print_replay  # scikit-learn is needed there alone

            print_replay(bundle, n_seeds=args.seeds)
            return
        rows = [
            {**row, "text": row[args.text]} for row in stream_rows(args.texts, required=(args.text,))
        ]  # fmt: skip
        labelled = [e.text for e in read_labels(args.labelled).examples] if args.labelled else []
        chosen, left_out = suggest(bundle, rows, args.n, labelled=labelled)
        write_json_lines(chosen, args.output)
    except VocError as error:
        sys.exit(f"suggest: {error}")
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in left_out.items() if n)
    print(
        f"{len(chosen):,} of {len(rows):,} texts" + (f" (left out: {reasons})" if reasons else ""),
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
