"""Made-up processes with known deviations: choices, parallel steps and loops; clean logs too."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from voc.process.baseline import learn_baseline
from voc.process.logs import log_of
from voc.records import Event

KINDS = ("skip", "rework", "early", "late", "insert")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a process: a step, or parts in sequence, by choice, side by side, or in a loop."""

    kind: str  # step, seq, choice, parallel, loop
    step: str = ""
    parts: tuple["Block", ...] = ()
    weights: tuple[float, ...] = ()
    again: float = field(default=0.0)


def make_process(
    rng: random.Random, steps: Sequence[str], *, parallel: bool, loops: bool, depth: int = 0
) -> Block:
    """A random process over `steps`."""
    n = len(steps)
    if n == 1:
        return Block("step", step=steps[0])
    kinds = ["seq", "seq", "choice", "choice"]
    kinds += ["parallel"] * 3 if parallel and n <= 6 else []
    kinds += ["loop"] * 2 if loops and depth > 0 and n <= 4 else []
    kind = rng.choice(kinds) if depth else "seq"
    if kind == "loop":
        inner = make_process(rng, steps, parallel=False, loops=False, depth=depth + 1)
        return Block("loop", parts=(inner,), again=rng.uniform(0.05, 0.4))
    cuts = sorted(rng.sample(range(1, n), rng.randint(2, min(6 if kind == "seq" else 3, n)) - 1))
    parts = tuple(
        make_process(rng, steps[start:stop], parallel=parallel, loops=loops, depth=depth + 1)
        for start, stop in zip([0, *cuts], [*cuts, n], strict=True)
    )
    return Block(kind, parts=parts, weights=tuple(rng.random() ** 1.5 + 0.05 for _ in parts))


def play(block: Block, rng: random.Random) -> list[str]:
    """One case."""
    if block.kind == "step":
        return [block.step]
    if block.kind == "choice":
        return play(rng.choices(block.parts, block.weights)[0], rng)
    if block.kind == "loop":
        steps = play(block.parts[0], rng)
        while rng.random() < block.again:
            steps += play(block.parts[0], rng)
        return steps
    ways = [play(part, rng) for part in block.parts]
    if block.kind == "seq":
        return [step for way in ways for step in way]
    merged = []
    while any(ways):
        merged.append(rng.choices(ways, [len(way) for way in ways])[0].pop(0))
    return merged


def inject(steps: list[str], kind: str, rng: random.Random, names: Sequence[str]) -> list[str]:
    """The case with one slip of the kind; it may come out as it was."""
    n = len(steps)
    size = rng.randint(1, min(3 if kind == "rework" else 2, n - 1))
    start = rng.randrange(n - size + 1)
    block, rest = steps[start : start + size], steps[:start] + steps[start + size :]
    if kind == "skip":
        return rest
    if kind == "rework":
        to = rng.randint(start + size, n)
        return steps[:to] + block + steps[to:]
    if kind == "insert":
        changed = list(steps)
        for _ in range(rng.randint(1, 2)):
            changed.insert(rng.randint(0, len(changed)), rng.choice(names))
        return changed
    places = [to for to in range(len(rest) + 1) if (to < start if kind == "early" else to > start)]
    if not places:
        return steps
    to = rng.choice(places)
    return rest[:to] + block + rest[to:]


def score_simulated(
    *, n_cases: int, rate: float, parallel: bool, loops: bool, seeds: int
) -> dict[str, object]:
    """One row: mean precision, recall and F1 over made-up processes; share of clean cases flagged."""
    right = wrong = missed = clean = 0
    for seed in range(seeds):
        rng = random.Random(seed)
        names = [f"s{at:02}" for at in range(rng.randint(8, 25))]
        process = make_process(rng, names, parallel=parallel, loops=loops)
        events: list[Event] = []
        deviating = set()
        for no in range(n_cases):
            steps = play(process, rng)
            if len(steps) > 2 and rng.random() < rate:
                changed = inject(steps, rng.choice(KINDS), rng, names)
                if changed and changed != steps:
                    deviating.add(str(no))
                    steps = changed
            events += [Event(str(no), step, None) for step in steps]
        log = log_of(events).events
        baseline = learn_baseline(log)
        known: dict[tuple[str, ...], bool] = {}
        for case_id, steps in log.group_by("case_id").agg("activity").iter_rows():
            trace = tuple(steps)
            if trace not in known:
                known[trace] = bool(baseline.check(trace))
            flagged, deviates = known[trace], case_id in deviating
            right += flagged and deviates
            wrong += flagged and not deviates
            missed += deviates and not flagged
            clean += not deviates
    return {
        "process": " and ".join(
            ["choices", *(["parallel steps"] if parallel else []), *(["loops"] if loops else [])]
        ),
        "cases": n_cases,
        "deviating": rate,
        # A clean log has nothing to find: only the last column speaks of it.
        "precision": right / (right + wrong) if rate else "-",
        "recall": right / (right + missed) if rate else "-",
        "F1": 2 * right / (2 * right + wrong + missed) if rate else "-",
        "clean cases flagged": wrong / max(1, clean),
    }
