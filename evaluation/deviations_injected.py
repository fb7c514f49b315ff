"""Slips injected into real logs: how well a baseline tells them from what the log's own cases do.

The logs are not those of `deviations/`, so that what is chosen here can be judged there.
"""

import random
from pathlib import Path

import polars as pl

from evaluation.deviations_simulated import KINDS, inject
from evaluation.deviations_truth import compare
from voc.process.baseline import learn_baseline
from voc.process.logs import log_of, read_log
from voc.records import Event

# Log -> cases drawn from it: about as many as the logs with injected deviations have.
REAL_LOGS = {
    "bpic2020_domestic": 3000,
    "bpic2020_requestforpayment": 3000,
    "helpdesk_it": 3000,
    "hospital_billing": 3000,
    "traffic_fines": 3000,
    "repair_sim": 1104,
    "teleclaims_sim": 3000,
    "bpic2014_incidents": 1500,
    "bpic2012_loan": 1000,
}
RATE = 0.09  # share of cases with a slip, as in the logs of `deviations/`


def spoil(events: pl.DataFrame, n_cases: int, *, seed: int) -> tuple[list[Event], dict[str, str]]:
    """Some cases of a log without times, a share of them with a slip; and the kind of slip of those."""
    rng = random.Random(seed)
    cases = events.group_by("case_id", maintain_order=True).agg("activity").rows()
    rng.shuffle(cases)
    names = events["activity"].unique().sort().to_list()
    spoiled: list[Event] = []
    slips = {}
    for case_id, steps in cases[:n_cases]:
        after = steps
        if len(steps) > 2 and rng.random() < RATE:
            kind = rng.choice(KINDS)
            after = inject(steps, kind, rng, names)
            if after and after != steps:
                slips[case_id] = kind
            else:
                after = steps
        spoiled += [Event(case_id, step, None) for step in after]
    return spoiled, slips


def score_real(folder: Path, name: str, *, seeds: int = 2) -> dict[str, object]:
    """One row: precision, recall and F1 of cases, over all seeds together."""
    events = read_log(folder / f"{name}.csv.gz").events
    truth: set[str] = set()
    found: set[str] = set()
    n_sequences = n_cases = 0
    for seed in range(seeds):
        spoiled, slips = spoil(events, REAL_LOGS[name], seed=seed)
        log = log_of(spoiled).events
        baseline = learn_baseline(log)
        known: dict[tuple[str, ...], bool] = {}
        for case_id, steps in log.group_by("case_id").agg("activity").iter_rows():
            trace = tuple(steps)
            if trace not in known:
                known[trace] = bool(baseline.check(trace))
            if known[trace]:
                found.add(f"{seed} {case_id}")
            n_cases += 1
        truth |= {f"{seed} {case_id}" for case_id in slips}
        n_sequences += len(known)
    hits = compare(truth, found)
    return {
        "log": name,
        "cases": n_cases,
        "sequences": n_sequences,
        "precision": hits.precision,
        "recall": hits.recall,
        "F1": hits.f1,
    }
