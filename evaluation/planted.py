"""Planted truth: are known causes found, and is nothing else? For associations and for spikes.

    python -m evaluation.planted --seeds 50 --output planted.html

Draws made-up companies with known causes (`evaluation.planted_world`), runs the service's association at
its defaults, and beside it, on the same tables, a naive unstratified chi-square and the same statistics
without calendar periods. Then bursts of feedback with known changes (`evaluation.planted_spikes`).
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from evaluation import planted_spikes
from evaluation.planted_html import Table, write_page
from evaluation.planted_world import CAUSES, Settings, World, make_world, permute
from voc.records import Association
from voc.rootcause.association import associate
from voc.rootcause.fdr import benjamini_hochberg

FDR = 0.05
Pair = tuple[str, str, str]
SCENARIOS: dict[str, Settings] = {
    "default": Settings(),
    "no outage": Settings(n_outages=0),
    "strong confounding": Settings(confounding=2.0, outage=2.0),
    "small (3,000 cases)": Settings(n_cases=3_000),
    "no cause planted": Settings(effect=0.0),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one method did on one world."""

    n_reported: int
    n_false: int
    n_confounded: int
    covered_null: tuple[bool, ...]  # does the interval hold 1, for each pair not planted
    covered_planted: tuple[bool, ...]
    planted: tuple[tuple[int, bool, float, int], ...]  # cause, reported, odds ratio, exposed complaints


def score(world: World, rows: tuple[Association, ...], reported: frozenset[Pair]) -> Outcome:
    """Compare what was reported with what was planted."""
    pairs = {(r.outcome, r.kind, r.step): r for r in rows}
    false = reported - world.truth.keys()
    return Outcome(
        n_reported=len(reported),
        n_false=len(false),
        n_confounded=len(false & world.confounded),
        covered_null=tuple(r.ci_low <= 1 <= r.ci_high for p, r in pairs.items() if p not in world.truth),
        covered_planted=tuple(
            pairs[p].ci_low <= ratio <= pairs[p].ci_high for p, ratio in world.truth.items() if p in pairs
        ),
        planted=tuple(
            (i, p in reported, ratio, pairs[p].n_exposed_outcome if p in pairs else 0)
            for i, (p, ratio) in enumerate(world.truth.items())
        ),
    )


def ours(world: World) -> Outcome:
    """The service at its defaults."""
    rows = associate(world.cases, world.outcomes, world.deviations, fdr=FDR).rows
    return score(world, rows, frozenset((r.outcome, r.kind, r.step) for r in rows if r.reported))


def without_periods(world: World) -> Outcome:
    """The service with strata, but blind to time."""
    rows = associate(world.cases, world.outcomes, world.deviations, fdr=FDR, by_period=False).rows
    return score(world, rows, frozenset((r.outcome, r.kind, r.step) for r in rows if r.reported))


def naive(world: World) -> Outcome:
    """An unstratified chi-square for each pair with Benjamini-Hochberg at the same rate."""
    rows = associate(world.cases, world.outcomes, world.deviations, fdr=FDR, strata=(), by_period=False).rows
    a = np.array([r.n_exposed_outcome for r in rows], dtype=float)
    n1 = np.array([r.n_exposed for r in rows], dtype=float)
    c = np.array([r.n_unexposed_outcome for r in rows], dtype=float)
    n = n1 + np.array([r.n_unexposed for r in rows])
    m1 = a + c
    statistic = n * (a * (n - n1 - c) - (n1 - a) * c) ** 2 / (n1 * (n - n1) * m1 * (n - m1))
    q = benjamini_hochberg(chi2.sf(statistic, 1))
    positive = a * n > n1 * m1
    reported = frozenset(
        (r.outcome, r.kind, r.step) for r, hit in zip(rows, positive & (q <= FDR), strict=True) if hit
    )
    return score(world, rows, reported)


METHODS: dict[str, Callable[[World], Outcome]] = {
    "voc associate": ours,
    "without periods": without_periods,
    "naive chi-square": naive,
}


def summary(scenario: str, method: str, outcomes: list[Outcome]) -> dict[str, object]:
    """One row of the table: means over seeds."""
    null = [x for o in outcomes for x in o.covered_null]
    planted = [x for o in outcomes for x in o.covered_planted]
    strong = [hit for o in outcomes for _, hit, ratio, n in o.planted if ratio >= 2 and n >= 200]
    return {
        "scenario": scenario,
        "method": method,
        "FDP": float(np.mean([o.n_false / max(1, o.n_reported) for o in outcomes])),
        "power OR>=2, 200": float(np.mean(strong)) if strong else "-",
        "false a run": float(np.mean([o.n_false for o in outcomes])),
        "confounded a run": float(np.mean([o.n_confounded for o in outcomes])),
        "coverage null": float(np.mean(null)),
        "coverage planted": float(np.mean(planted)) if planted else "-",
    }


def power_rows(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """Power for each planted cause at defaults."""
    rows: list[dict[str, object]] = []
    for i, (ratio, _, _) in enumerate(CAUSES):
        mine = [x for o in outcomes for x in o.planted if x[0] == i]
        rows.append(
            {
                "planted odds ratio": ratio,
                "seen through mislabelling": float(np.mean([x[2] for x in mine])),
                "exposed complaints": float(np.mean([x[3] for x in mine])),
                "power": float(np.mean([x[1] for x in mine])),
            }
        )
    return rows


def spike_rows(n_seeds: int) -> list[dict[str, object]]:
    """Spikes and candidates over drawn years of four apps."""
    kinds = {
        "bursts": {},
        "bursts, noisy days": {"overdispersion": 2.5},
        "steady": {"bursts": False},
        "steady, noisy days": {"bursts": False, "overdispersion": 2.5},
    }
    rows: list[dict[str, object]] = []
    for name, settings in kinds.items():
        results = [
            planted_spikes.score(planted_spikes.make_feedback(s, **settings))
            for s in range(n_seeds)  # type: ignore[arg-type]
        ]
        total = {
            k: sum(getattr(r, k) for r in results)
            for k in planted_spikes.SpikeResult.__dataclass_fields__
            if k.startswith("n_")
        }
        errors = np.abs([e for r in results for e in r.onset_error_h])
        rows.append(
            {
                "feedback": name,
                "bursts": total["n_bursts"],
                "found": total["n_found"],
                "false spikes a run": total["n_false"] / n_seeds,
                "right change first": f"{total['n_first']}/{total['n_caused']}",
                "no cause, none named": f"{total['n_empty']}/{total['n_causeless']}",
                "onset error h (median)": float(np.median(errors)) if len(errors) else "-",
            }
        )
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=50, help="companies drawn for each scenario")
    parser.add_argument("--output", type=Path, help="write a page of the tables here")
    args = parser.parse_args()
    began = time.perf_counter()
    rows: list[dict[str, object]] = []
    at_default: list[Outcome] = []
    for name, settings in SCENARIOS.items():
        results: dict[str, list[Outcome]] = {method: [] for method in METHODS}
        for seed in range(args.seeds):
            world = make_world(seed, settings)
            for method, run in METHODS.items():
                results[method].append(run(world))
            print(f"\r{name}: {seed + 1}/{args.seeds}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        rows += [summary(name, method, outcomes) for method, outcomes in results.items()]
        at_default = at_default or results["voc associate"]
    shuffled = [ours(permute(make_world(s), s)) for s in range(args.seeds)]
    rows.append(summary("deviations shuffled", "voc associate", [replace(o, planted=()) for o in shuffled]))
    n_nothing = sum(o.n_reported == 0 for o in shuffled)
    tables = [
        Table(
            f"Associations over {args.seeds} seeds at false discovery rate {FDR:g}",
            rows,
            f"Shuffled: nothing reported in {n_nothing} of {args.seeds} runs. FDP counts pairs not planted; "
            "coverage of planted pairs is of the odds ratio as seen through mislabelled signals.",
        ),
        Table("Power at defaults by planted cause", power_rows(at_default)),
        Table("Spikes and candidate changes, a year of four apps", spike_rows(args.seeds)),
    ]
    print("\n".join(t.text() for t in tables))
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    if args.output:
        write_page(args.output, "Planted truth", "Known causes in made-up companies: what is found.", tables)


if __name__ == "__main__":
    main()
