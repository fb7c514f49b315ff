"""Has the traffic changed since the reference? Inputs, label mix and calibration, segment by segment.

    python -m evaluation.drift reference.csv current.csv --by segment
    python -m evaluation.drift --demo

Both files (CSV, JSON Lines, Parquet) need `text`; judged columns (`sentiment`, `frustration`,
`signals`) add calibration. Three families of tests share the level: inputs (kernel two-sample test of
embeddings), mix (exact test of each label's share, said and judged) and calibration (truth less probability); within
each, over all labels and segments, Holm's correction holds the chance of one false alarm.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.page import print_table
from evaluation.two_sample import holm, mean_test, mmd_test, share_test, stability_index
from voc.classify.bundle import BINARY_LABELS, Bundle, find_live_bundle, load_bundle
from voc.classify.model import Model
from voc.errors import InputError, VocError
from voc.files import stream_rows
from voc.taxonomy import SENTIMENTS, SIGNALS

Floats = NDArray[np.float64]
HEADS = (*SENTIMENTS, *BINARY_LABELS)
FAMILIES = ("inputs", "mix", "calibration")
MIN_TEXTS = 30  # of a segment, in either file; fewer are named and not tested
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Sample:
    """One file, scored: `flags` and `proba` (n, 19) in the order of HEADS, `truth` alike (-1: not judged)."""

    embedding: Floats
    proba: Floats
    flags: NDArray[np.bool_]
    truth: NDArray[np.int64]
    segments: NDArray[np.str_]

    def take(self, rows: NDArray[Any]) -> "Sample":
        """Some of the texts."""
        return Sample(self.embedding[rows], self.proba[rows], self.flags[rows], self.truth[rows],
                      self.segments[rows])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One test. `size` is squared MMD, stability index, or how far truth left probability."""

    family: str
    segment: str
    what: str
    n_reference: int
    n_current: int
    size: float
    low: float | None
    high: float | None
    p_value: float
    p_adjusted: float = 1.0

    def drifted(self, level: float) -> bool:
        """Is it drift, with all that was tested taken into account?"""
        return self.p_adjusted <= level


def score(bundle: Bundle, rows: list[dict[str, Any]], by: str | None) -> Sample:
    """Score the rows of one file."""
    model = Model(bundle)
    logits = model.logits([str(row["text"]) for row in rows])
    sentiment, binary = model.proba(logits)
    point = bundle.operating_point(None)
    thresholds = np.array([point.thresholds[label] for label in BINARY_LABELS])
    winner = sentiment.argmax(1)[:, None] == np.arange(len(SENTIMENTS))
    return Sample(
        logits.embedding().astype(np.float64),
        np.concatenate([sentiment, binary], axis=1),
        np.concatenate([winner, binary >= thresholds], axis=1),
        np.array([truth_of(row) for row in rows]),
        np.array([str(row[by]) if by else "" for row in rows]),
    )


def truth_of(row: dict[str, Any]) -> list[int]:
    """What was judged of a text, in the order of HEADS."""
    truth = [UNKNOWN] * len(HEADS)
    if row.get("sentiment") in SENTIMENTS:
        truth[:3] = [int(row["sentiment"] == name) for name in SENTIMENTS]
    if row.get("frustration") not in (None, ""):
        truth[3] = int(str(row["frustration"]).lower() in ("1", "true", "yes"))
    signals = row.get("signals")
    if signals is not None:
        named = signals if isinstance(signals, list) else str(signals).replace(",", " ").split()
        truth[4:] = [int(name in named) for name in SIGNALS]
    return truth


def find_drift(reference: Sample, current: Sample, *, seed: int = 0) -> list[Finding]:
    """Every test of every segment, corrected for all of them, most striking first."""
    rng = np.random.default_rng(seed)
    findings: list[Finding] = []
    segments = sorted(set(reference.segments) | set(current.segments))
    for segment in ["all", *(segments if len(segments) > 1 else [])]:
        a = reference if segment == "all" else reference.take(reference.segments == segment)
        b = current if segment == "all" else current.take(current.segments == segment)
        if min(len(a.proba), len(b.proba)) >= MIN_TEXTS:
            findings += _inputs(a, b, segment, rng)
            findings += _mix(a, b, segment, rng)
            findings += _calibration(a, b, segment, rng)
    if len(segments) > 1:
        findings += _segment_mix(reference, current, segments, rng)
    return _corrected(findings)


def _inputs(a: Sample, b: Sample, segment: str, rng: np.random.Generator) -> Iterable[Finding]:
    size, p = mmd_test(a.embedding, b.embedding, rng)
    yield Finding("inputs", segment, "embedding", len(a.proba), len(b.proba), size, None, None, p)


def _mix(a: Sample, b: Sample, segment: str, rng: np.random.Generator) -> Iterable[Finding]:
    """What the bundle says, and, where people judged both samples, what they said."""
    for j, head in enumerate(HEADS):
        yield _share("mix", segment, head, a.flags[:, j], b.flags[:, j], rng)
        x, y = (sample.truth[sample.truth[:, j] != UNKNOWN, j] == 1 for sample in (a, b))
        if min(len(x), len(y)) >= MIN_TEXTS:
            yield _share("mix", segment, f"{head} (judged)", x, y, rng)


def _share(
    family: str, segment: str, what: str, a: NDArray[np.bool_], b: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Finding:  # fmt: skip
    counts = int(a.sum()), len(a), int(b.sum()), len(b)
    size, low, high = stability_index(*counts, rng)
    return Finding(family, segment, what, len(a), len(b), size, low, high, share_test(*counts))


def _segment_mix(a: Sample, b: Sample, segments: list[str], rng: np.random.Generator) -> Iterable[Finding]:
    """A segment that grew or shrank is a change of the mix, too."""
    for segment in segments:
        yield _share("mix", "all", f"segment {segment}", a.segments == segment, b.segments == segment, rng)


def _calibration(a: Sample, b: Sample, segment: str, rng: np.random.Generator) -> Iterable[Finding]:
    for j, head in enumerate(HEADS):
        gaps = []
        for sample in (a, b):
            judged = sample.truth[:, j] != UNKNOWN
            gaps.append(sample.truth[judged, j] - sample.proba[judged, j])
        if min(len(gap) for gap in gaps) >= MIN_TEXTS:
            size, low, high, p = mean_test(gaps[0], gaps[1], rng)
            yield Finding("calibration", segment, head, len(gaps[0]), len(gaps[1]), size, low, high, p)


def _corrected(findings: list[Finding]) -> list[Finding]:
    families = [f for f in FAMILIES if any(x.family == f for x in findings)]
    corrected = []
    for family in families:
        own = [f for f in findings if f.family == family]
        adjusted = np.minimum(1.0, holm(np.array([f.p_value for f in own])) * len(families))
        corrected += [
            Finding(**{**asdict(f), "p_adjusted": float(p)}) for f, p in zip(own, adjusted, strict=True)
        ]
    return sorted(corrected, key=lambda f: f.p_adjusted)


def read_texts(path: str, by: str | None) -> list[dict[str, Any]]:
    """The rows of one file that hold a text.

    Raises
    ------
    InputError
        A column is missing, or there are too few texts to compare.
    """
    rows = list(stream_rows(path, required=("text", *([by] if by else []))))
    rows = [row for row in rows if str(row["text"] or "").strip()]
    if len(rows) < MIN_TEXTS:
        raise InputError(f"{len(rows)} texts are too few to compare", file=path,
                         remedy=f"give at least {MIN_TEXTS}")  # fmt: skip
    return rows


def print_findings(findings: list[Finding], level: float, *, everything: bool) -> None:
    """The table of what drifted, or of all."""
    shown = findings if everything else [f for f in findings if f.drifted(level)]
    cells = [
        [f.family, f.segment, f.what, f.n_reference, f.n_current, f"{f.size:.4f}",
         "" if f.low is None else f"{f.low:.3f} to {f.high:.3f}", f"{f.p_value:.2g}", f"{f.p_adjusted:.2g}"]
        for f in shown
    ]  # fmt: skip
    if cells:
        header = ["family", "segment", "what", "reference", "current", "size", "95 % interval", "p",
                  "corrected"]  # fmt: skip
        print_table(header, cells)
    n = sum(f.drifted(level) for f in findings)
    print(f"{'drift' if n else 'no drift'}: {n} of {len(findings)} tests at level {level:g}, corrected")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", nargs="?", help="texts the model was calibrated on, or of a quiet month")
    parser.add_argument("current", nargs="?", help="texts of now")
    parser.add_argument("--by", metavar="FIELD", help="also compare each value of this field by itself")
    parser.add_argument("--bundle", type=Path, help="folder of a bundle; the live one if left out")
    parser.add_argument("--level", type=float, default=0.05, help="chance of a false alarm in one comparison")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="print every test, not only what drifted")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--demo", action="store_true", help="stable replays and injected shifts, counted")
    parser.add_argument("--runs", type=int, default=20, help="replays of the demo")
    args = parser.parse_args()
    if not args.demo and not args.current:
        parser.error("give two files, or --demo")
    try:
        bundle = load_bundle(args.bundle or find_live_bundle(Path("models")))
        if args.demo:
            from evaluation.drift_demo import print_demo

            print_demo(bundle, n_runs=args.runs, level=args.level)
            return
        files = [read_texts(path, args.by) for path in (args.reference, args.current)]
        reference, current = (score(bundle, rows, args.by) for rows in files)
    except VocError as error:
        sys.exit(f"drift: {error}")
    few = [
        f"{segment or '(empty)'} ({m} and {n})"
        for segment in sorted(set(reference.segments) | set(current.segments))
        for m, n in [(Counter(reference.segments)[segment], Counter(current.segments)[segment])]
        if min(m, n) < MIN_TEXTS
    ]
    if few:
        print(f"too few texts to test by themselves: {', '.join(few)}", file=sys.stderr)
    findings = find_drift(reference, current, seed=args.seed)
    if args.json:
        print(json.dumps([asdict(f) for f in findings], indent=1))
    else:
        print_findings(findings, args.level, everything=args.all)


if __name__ == "__main__":
    main()
