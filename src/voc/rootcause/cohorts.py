"""Did a fix work? A pilot on a cohort against a control group, honest at every interim look."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from voc.errors import StatisticsError

WORKS, HARMS = "works", "harms"
NO_EFFECT = "no effect that matters"
NOT_ENOUGH = "not enough data"
BROKEN = "assignment broken"
MIN_UNITS = 100  # in each arm; below it the normal limit is not trusted
SRM_P = 1e-3  # arms whose sizes are less likely than this were not drawn as planned


@dataclass(frozen=True, slots=True)
class Pilot:
    """The plan, written down before the first look. The metric is better when lower."""

    id: str
    share: float  # of units that get the fix, in (0, 1)
    planned_units: int  # in both arms together; the interval is tightest there
    margin: float  # the smallest change of the metric that matters, above 0
    alpha: float = 0.05
    guardrails: Mapping[str, float] | None = None  # metric -> rise that is still tolerated

    def __post_init__(self) -> None:
        if not (0 < self.share < 1 and self.planned_units > 0 and self.margin > 0 and 0 < self.alpha < 1):
            raise StatisticsError(
                f"pilot {self.id}: share and alpha must lie between 0 and 1, planned units and margin above 0"
            )


@dataclass(frozen=True, slots=True)
class Arm:
    """A metric over the units (customers) of one arm in one period: one value each, e.g. complained 0 or 1."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "Arm":
        """From one value a unit; sum up a customer's cases first, since they are not independent."""
        x = np.asarray(values, dtype=np.float64)
        if len(x) < 2 or not np.isfinite(x).all():
            raise StatisticsError(f"{len(x)} values, or some not finite; give at least 2 finite ones")
        return cls(len(x), float(x.mean()), float(x.var(ddof=1)))

    @classmethod
    def of_counts(cls, events: int, n: int) -> "Arm":
        """From how many of `n` units had the event."""
        if not 0 <= events <= n or n < 2:
            raise StatisticsError(f"{events} events in {n} units cannot be")
        rate = events / n
        return cls(n, rate, rate * (1 - rate) * n / (n - 1))


@dataclass(frozen=True, slots=True)
class Effect:
    """Treated less control, with an interval that holds at every look; below 0 is an improvement."""

    estimate: float
    ci_low: float
    ci_high: float
    n_treated: int
    n_control: int
    by_trend: bool  # difference in differences


@dataclass(frozen=True, slots=True)
class Rollback:
    """A guardrail broke: the metric rose by surely more than tolerated."""

    pilot_id: str
    metric: str
    effect: Effect
    tolerated: float
    at: datetime


def assign(pilot: Pilot, unit_ids: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which units get the fix: by a hash of pilot and unit, so the same at any time and place."""
    cut = int(pilot.share * 2**64)
    digests = (hashlib.sha256(f"{pilot.id}\0{unit}".encode()).digest() for unit in unit_ids)
    return np.array([int.from_bytes(d[:8], "big") < cut for d in digests], dtype=bool)


def measure(
    pilot: Pilot,
    treated: Arm,
    control: Arm,
    *,
    treated_before: Arm | None = None,
    control_before: Arm | None = None,
) -> Effect:
    """The effect with an always-valid interval: look as often as you like, stop when you like.

    With both periods before the pilot given, the difference in differences, which removes what already
    set the arms apart (and holds if without the fix both would have moved alike).

    Source: asymptotic confidence sequence, Waudby-Smith et al. 2024 (Annals of Statistics 52), eq. 10,
    tuned to be tightest at the planned number of units.
    """
    if (treated_before is None) != (control_before is None):
        raise StatisticsError("a difference in differences needs both arms before the pilot, or neither")
    estimate = treated.mean - control.mean
    variance = treated.variance / treated.n + control.variance / control.n
    if treated_before is not None and control_before is not None:
        estimate -= treated_before.mean - control_before.mean
        variance += treated_before.variance / treated_before.n + control_before.variance / control_before.n
    n = treated.n + control.n
    log_alpha = -2 * np.log(pilot.alpha)
    rho2 = (log_alpha + np.log(log_alpha + 1)) / pilot.planned_units
    width = np.sqrt(variance * 2 * (n * rho2 + 1) / (n * rho2) * np.log(np.sqrt(n * rho2 + 1) / pilot.alpha))
    return Effect(
        estimate,
        float(estimate - width),
        float(estimate + width),
        treated.n,
        control.n,
        treated_before is not None,
    )


def verdict(pilot: Pilot, effect: Effect) -> str:
    """`works`, `harms`, `no effect that matters`, `not enough data` or `assignment broken`."""
    n = effect.n_treated + effect.n_control
    planned = pilot.share * n
    mismatch = (effect.n_treated - planned) ** 2 / (planned * (1 - pilot.share))
    if chdtrc(1, mismatch) < SRM_P:
        return BROKEN
    if min(effect.n_treated, effect.n_control) < MIN_UNITS:
        return NOT_ENOUGH
    if effect.ci_high < 0:
        return WORKS
    if effect.ci_low > 0:
        return HARMS
    if -pilot.margin < effect.ci_low and effect.ci_high < pilot.margin:
        return NO_EFFECT
    return NOT_ENOUGH


def check_guardrails(pilot: Pilot, arms: Mapping[str, tuple[Arm, Arm]], *, at: datetime) -> list[Rollback]:
    """The guardrails that broke, given (treated, control) for each metric; a metric left out is an error.

    Each is held at alpha over the number of guardrails, at every look.
    """
    limits = pilot.guardrails or {}
    broken = []
    for metric, tolerated in limits.items():
        if metric not in arms:
            raise StatisticsError(f"pilot {pilot.id}: guardrail '{metric}' was not measured; give both arms")
        treated, control = arms[metric]
        if min(treated.n, control.n) < MIN_UNITS:
            continue
        strict = Pilot(pilot.id, pilot.share, pilot.planned_units, pilot.margin, pilot.alpha / len(limits))
        effect = measure(strict, treated, control)
        if effect.ci_low > tolerated:
            broken.append(Rollback(pilot.id, metric, effect, tolerated, at))
    return broken
