"""Does the drift check keep silent when nothing changed, and speak up when something did?

The judged training texts of the data folder are split at random into reference and current, over and
over; then a shift of a known kind is put into one source's current texts. Scored once, replayed often.
"""

import json
import sys
from collections.abc import Callable

import numpy as np

from evaluation.drift import HEADS, Finding, Sample, find_drift, score
from evaluation.page import print_table
from evaluation.sets import data_folder
from voc.classify.bundle import Bundle

SEGMENT = "cfpb"  # the largest source: the shifts go into it
OTHER = "app_reviews"  # what strange texts are taken from
Shift = Callable[[Sample, np.random.Generator], Sample]


def nothing(current: Sample, rng: np.random.Generator) -> Sample:
    """The stable replay."""
    del rng
    return current


def strange_texts(current: Sample, rng: np.random.Generator) -> Sample:
    """A third of the segment's texts are replaced by texts of another source under its name."""
    rows = np.flatnonzero(current.segments == SEGMENT)
    others = np.flatnonzero(current.segments == OTHER)
    n = min(len(rows) // 3, len(others))
    order = np.arange(len(current.segments))
    order[rng.choice(rows, n, replace=False)] = rng.choice(others, n, replace=False)
    moved = current.take(order)
    return Sample(moved.embedding, moved.proba, moved.flags, moved.truth, current.segments)


def more_of_one_signal(current: Sample, rng: np.random.Generator) -> Sample:
    """Texts of the segment judged as billing errors come three times as often."""
    j = HEADS.index("billing_error")
    rows = np.flatnonzero((current.segments == SEGMENT) & (current.truth[:, j] == 1))
    more = rng.choice(rows, 2 * len(rows))
    return current.take(np.concatenate([np.arange(len(current.segments)), more]))


def another_meaning(current: Sample, rng: np.random.Generator) -> Sample:
    """In the segment, a quarter of all texts are now judged as delays: same texts, other truth."""
    j = HEADS.index("delay")
    rows = np.flatnonzero((current.segments == SEGMENT) & (current.truth[:, j] == 0))
    truth = current.truth.copy()
    truth[rng.choice(rows, len(rows) // 4, replace=False), j] = 1
    return Sample(current.embedding, current.proba, current.flags, truth, current.segments)


# What each shift must be found as: (family, what).
SHIFTS: dict[str, tuple[Shift, str | None, str | None]] = {
    "stable replay": (nothing, None, None),
    "strange texts in one source": (strange_texts, "inputs", "embedding"),
    "three times the billing errors": (more_of_one_signal, "mix", None),
    "delay means something else": (another_meaning, "calibration", "delay"),
}


def print_demo(bundle: Bundle, *, n_runs: int, level: float) -> None:
    """Alarms a scenario, and whether they point at the right place."""
    path = data_folder() / "signals" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    print(f"scoring {len(rows):,} texts", file=sys.stderr)
    parts = [score(bundle, rows[i : i + 256], "source") for i in range(0, len(rows), 256)]
    everything = Sample(*(np.concatenate([getattr(p, name) for p in parts])
                          for name in ("embedding", "proba", "flags", "truth", "segments")))  # fmt: skip
    cells = []
    for name, (shift, family, what) in SHIFTS.items():
        alarms = right = tests = 0
        for run in range(n_runs):
            print(f"{name}: {run + 1} of {n_runs}", end="\r", file=sys.stderr)
            found = one_run(everything, shift, run)
            loud = [f for f in found if f.drifted(level)]
            tests += len(found)
            alarms += bool(loud)
            right += any(f.family == family and f.segment == SEGMENT and what in (None, f.what) for f in loud)
        cells.append([name, n_runs, tests // n_runs, alarms, right if family else "",
                      f"{family}, {SEGMENT}{', ' + what if what else ''}" if family else "silence"])  # fmt: skip
    print(f"{bundle.id}, level {level:g} a comparison: {level * n_runs:g} false alarms in {n_runs} stable "
          "replays are within what is promised")  # fmt: skip
    print_table(
        ["scenario", "runs", "tests a run", "runs with an alarm", "in the right place", "must be"], cells
    )


def one_run(everything: Sample, shift: Shift, seed: int) -> list[Finding]:
    """Split at random, shift the current half, compare."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(everything.segments))
    half = len(order) // 2
    reference, current = everything.take(order[:half]), everything.take(order[half:])
    return find_drift(reference, shift(current, rng), seed=seed)
