"""A made-up company with known causes: cases, outcomes and deviations whose truth is written down.

Planted besides the causes: confounders (a segment, a channel and a region that each raise some deviations
and some outcomes), outages that raise both for some days, rare themes, and signals mislabelled at a
model's error rates. Deviations do not depend on one another within a segment, channel, region and day.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from voc.taxonomy import DEVIATION_KINDS, SIGNALS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

STEPS = ("intake", "verify", "approve", "dispatch", "refund")
RARE_THEMES = tuple(f"theme_{i}" for i in range(6))
OUTCOMES = (*SIGNALS, "negative", "frustration", *RARE_THEMES)
LEVELS = {"segment": 4, "channel": 3, "region": 5}
# (odds ratio, share of cases exposed, base rate of the outcome): in 12,000 cases these give about 200
# exposed complaints for the first four, then weaker and rarer ones.
CAUSES = (
    (2.0, 0.10, 0.09),
    (2.5, 0.08, 0.10),
    (3.0, 0.06, 0.11),
    (4.0, 0.05, 0.12),
    (1.5, 0.10, 0.10),
    (2.0, 0.04, 0.06),
    (3.0, 0.03, 0.02),
    (5.0, 0.03, 0.005),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What kind of company; the default is the one the targets are stated for."""

    n_cases: int = 12_000
    n_days: int = 180
    effect: float = 1.0  # 0 removes every cause
    confounding: float = 1.2  # log odds that a raising segment, channel or region adds
    n_outages: int = 2
    outage_days: int = 7
    outage: float = 1.5  # log odds that an outage adds
    sensitivity: float = 0.8  # share of true signals that the model flags
    false_positives: float = 0.01  # share of other texts that it flags


@dataclass(frozen=True, slots=True)
class World:
    """The three tables that `voc associate` reads, and the truth about them."""

    cases: pl.DataFrame
    outcomes: pl.DataFrame
    deviations: pl.DataFrame
    truth: dict[tuple[str, str, str], float]  # planted pairs: odds ratio as observed through mislabelling
    confounded: frozenset[tuple[str, str, str]]  # not planted, but something raises both


def make_world(seed: int, settings: Settings = Settings()) -> World:
    """Draw a company; equal seeds give equal tables."""
    rng = np.random.default_rng(seed)
    n = settings.n_cases
    levels = {name: rng.choice(size, n, p=rng.dirichlet(np.full(size, 8.0))) for name, size in LEVELS.items()}
    day = rng.integers(0, settings.n_days, n)
    out_at = rng.integers(0, settings.n_days - settings.outage_days, settings.n_outages)
    in_outage = np.zeros(n, dtype=bool)
    for first in out_at:
        in_outage |= (day >= first) & (day < first + settings.outage_days)

    pairs = [(kind, step) for kind in DEVIATION_KINDS for step in STEPS]
    # Which deviations and outcomes each raiser touches: about a third of each.
    raisers = {
        name: (rng.random(len(pairs)) < 0.3, rng.random(len(OUTCOMES)) < 0.3) for name in (*LEVELS, "outage")
    }
    exposure_rate = np.exp(rng.uniform(np.log(0.01), np.log(0.12), len(pairs)))
    base_rate = np.exp(rng.uniform(np.log(0.01), np.log(0.15), len(OUTCOMES)))
    base_rate[-len(RARE_THEMES) :] = np.exp(rng.uniform(np.log(0.002), np.log(0.006), len(RARE_THEMES)))
    base_rate[OUTCOMES.index("negative")] = 0.3
    causes = _draw_causes(rng, settings, len(pairs), exposure_rate, base_rate)

    raised = {name: levels[name] == 0 for name in LEVELS} | {"outage": in_outage}
    strength = dict.fromkeys(LEVELS, settings.confounding) | {"outage": settings.outage}
    exposed = _draw(rng, exposure_rate, raised, {k: v[0] * strength[k] for k, v in raisers.items()})
    log_odds = np.zeros((n, len(OUTCOMES)))
    for (outcome, pair), ratio in causes.items():
        log_odds[:, outcome] += np.log(ratio) * exposed[:, pair]
    chance = _chance(base_rate, raised, {k: v[1] * strength[k] for k, v in raisers.items()}, log_odds)
    # A theme is assigned from text as signals are; all outcomes are seen through the model's errors.
    seen_chance = settings.false_positives * base_rate / base_rate.mean() * (1 - chance)
    seen_chance = chance * settings.sensitivity + np.minimum(seen_chance, 0.2)
    seen = rng.random((n, len(OUTCOMES))) < seen_chance

    cell = np.ravel_multi_index([levels[name] for name in LEVELS], list(LEVELS.values())) * 2 + in_outage
    truth = {
        (OUTCOMES[o], *pairs[d]): _expected_odds_ratio(seen_chance[:, o], exposed[:, d], cell)
        for o, d in causes
    }
    confounded = frozenset(
        (OUTCOMES[o], *pairs[d])
        for on_pairs, on_outcomes in raisers.values()
        for o in np.flatnonzero(on_outcomes)
        for d in np.flatnonzero(on_pairs)
        if (o, d) not in causes
    )
    return World(_cases(levels, day, rng), *_marks(seen, exposed, pairs), truth, confounded)


def _draw_causes(
    rng: np.random.Generator, settings: Settings, n_pairs: int, exposure_rate: Floats, base_rate: Floats
) -> dict[tuple[int, int], float]:
    """Plant each cause on an outcome and a deviation of its own, and set their rates."""
    causes: dict[tuple[int, int], float] = {}
    common = rng.permutation(len(OUTCOMES) - len(RARE_THEMES) - 2)
    spots = rng.choice(n_pairs, len(CAUSES), replace=False)
    for i, ((ratio, share, rate), pair) in enumerate(zip(CAUSES, spots, strict=True)):
        outcome = int(common[i]) if rate >= 0.01 else len(OUTCOMES) - 1
        exposure_rate[pair], base_rate[outcome] = share, rate
        if settings.effect > 0:
            causes[outcome, int(pair)] = ratio**settings.effect
    return causes


def _chance(
    rate: Floats, raised: dict[str, Bools], adds: dict[str, Floats], log_odds: Floats | float = 0.0
) -> Floats:
    total = np.log(rate / (1 - rate)) + log_odds
    for name, who in raised.items():
        total = total + np.outer(who, adds[name])
    result: Floats = 1.0 / (1.0 + np.exp(-total))
    return result


def _draw(rng: np.random.Generator, rate: Floats, raised: dict[str, Bools], adds: dict[str, Floats]) -> Bools:
    chance = _chance(rate, raised, adds)
    result: Bools = rng.random(chance.shape) < chance
    return result


def _expected_odds_ratio(chance: Floats, exposed: Bools, cell: npt.NDArray[np.int64]) -> float:
    """The Mantel-Haenszel odds ratio of the expected tables: what an interval should cover."""
    top = bottom = 0.0
    for value in np.unique(cell):
        here = cell == value
        p, x = chance[here], exposed[here]
        a, b, c, d = p[x].sum(), (1 - p[x]).sum(), p[~x].sum(), (1 - p[~x]).sum()
        top, bottom = top + a * d / here.sum(), bottom + b * c / here.sum()
    return float(top / bottom)


def _cases(
    levels: dict[str, npt.NDArray[np.int64]], day: npt.NDArray[np.int64], rng: np.random.Generator
) -> pl.DataFrame:
    seconds = day * 86_400 + rng.integers(0, 86_400, len(day))
    started = pl.Series("started_at", seconds).cast(pl.Int64) * 1_000_000 + 1_704_067_200_000_000
    return pl.DataFrame(
        {
            "case_id": [f"case-{i}" for i in range(len(day))],
            **{name: [f"{name}-{code}" for code in codes] for name, codes in levels.items()},
            "started_at": started.cast(pl.Datetime("us", "UTC")),
        }
    )


def _marks(seen: Bools, exposed: Bools, pairs: list[tuple[str, str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    case, outcome = np.nonzero(seen)
    outcomes = pl.DataFrame(
        {"case_id": [f"case-{i}" for i in case], "outcome": [OUTCOMES[o] for o in outcome]}
    )
    case, pair = np.nonzero(exposed)
    deviations = pl.DataFrame(
        {
            "case_id": [f"case-{i}" for i in case],
            "kind": [pairs[d][0] for d in pair],
            "step": [pairs[d][1] for d in pair],
        }
    )
    return outcomes, deviations


def permute(world: World, seed: int) -> World:
    """The same company with deviations handed to other cases: whatever is found now is chance."""
    rng = np.random.default_rng(seed)
    ids = world.cases["case_id"]
    swap = pl.DataFrame({"case_id": ids, "other": ids.gather(rng.permutation(len(ids)))})
    moved = world.deviations.join(swap, on="case_id").drop("case_id").rename({"other": "case_id"})
    return World(world.cases, world.outcomes, moved, {}, frozenset())
