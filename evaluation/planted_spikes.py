"""Made-up feedback of several apps with known bursts, some after a change, some of no known cause."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from voc.records import Change
from voc.rootcause.changes import candidates
from voc.rootcause.series import build_series
from voc.rootcause.spikes import find_spikes

DAY_S = 86_400
START = int(datetime(2023, 1, 2, tzinfo=UTC).timestamp())
WEEKDAY = np.array([1.15, 1.1, 1.05, 1.0, 1.0, 0.85, 0.85])


@dataclass(frozen=True, slots=True)
class Burst:
    """A planted rise: hours into the run, the rate's factor, and the change that began it, if one did."""

    app: str
    start_h: float
    length_h: float
    factor: float
    change_id: str | None


@dataclass(frozen=True, slots=True)
class Planted:
    """Feedback, changes, and the truth about the bursts."""

    feedback: pl.DataFrame
    changes: tuple[Change, ...]
    bursts: tuple[Burst, ...]


def make_feedback(
    seed: int, *, n_days: int = 365, n_apps: int = 4, overdispersion: float = 1.3, bursts: bool = True
) -> Planted:
    """Draw a year of feedback; each app has a burst after a change, one of no cause, and decoy changes.

    Rates are 5 to 50 a day with weekday, trend and hour of day; daily counts vary `overdispersion` times
    as much as Poisson. Decoys keep ten days from bursts of their own app, as changes of other apps do
    not: those may fall anywhere.
    """
    rng = np.random.default_rng(seed)
    planted: list[Burst] = []
    changes: list[Change] = []
    times: list[npt.NDArray[np.float64]] = []
    apps: list[str] = []
    for i in range(n_apps):
        app = f"app-{i}"
        spots = np.sort(rng.choice(np.arange(45, n_days - 20, 30), 2, replace=False)) * 24.0
        for j, at in enumerate(rng.permutation(spots) if bursts else []):
            start = float(at + rng.uniform(0, 72))
            cause = f"{app}-cause" if j == 0 else None
            if cause:
                lag = rng.exponential(12.0)
                changes.append(_change(cause, app, start - min(lag, 60.0)))
            planted.append(Burst(app, start, rng.uniform(24, 200), rng.uniform(2.0, 5.0), cause))
        mine = [b for b in planted if b.app == app]
        for k, at in enumerate(rng.uniform(0, n_days * 24, 15)):
            if all(not b.start_h - 240 < at < b.start_h + b.length_h for b in mine):
                changes.append(_change(f"{app}-decoy-{k}", app, float(at)))
        at = _times(rng, n_days, mine, overdispersion)
        times.append(at)
        apps += [app] * len(at)
    seconds = pl.Series("timestamp", (np.concatenate(times) * 3600).astype(np.int64) + START)
    feedback = pl.DataFrame(
        {"timestamp": (seconds * 1_000_000).cast(pl.Datetime("us", "UTC")), "text": "", "app": apps}
    )
    return Planted(feedback, tuple(changes), tuple(planted))


def _change(name: str, app: str, at_h: float) -> Change:
    return Change(name, name, datetime.fromtimestamp(START + at_h * 3600, UTC), scope={"app": app})


def _times(
    rng: np.random.Generator, n_days: int, bursts: list[Burst], overdispersion: float
) -> npt.NDArray[np.float64]:
    hours = np.arange(n_days * 24)
    rate = np.exp(rng.uniform(np.log(5), np.log(50))) / 24
    by_hour = 1 + 0.6 * np.sin(2 * np.pi * (hours % 24 - 9) / 24)
    trend = np.exp(rng.normal(0, 0.4) * hours / hours[-1])
    mean = rate * by_hour * trend * WEEKDAY[hours // 24 % 7]
    for b in bursts:
        inside = np.clip(np.minimum(hours + 1, b.start_h + b.length_h) - np.maximum(hours, b.start_h), 0, 1)
        mean = mean * (1 + (b.factor - 1) * inside)
    daily = np.repeat(mean.reshape(-1, 24).sum(1), 24)
    extra = max(overdispersion - 1, 1e-9)
    shape = daily[::24] / extra
    shake = np.repeat(rng.gamma(shape, 1 / shape), 24)
    counts = rng.poisson(mean * shake)
    within: npt.NDArray[np.float64] = np.repeat(hours, counts) + rng.random(int(counts.sum()))
    return within


@dataclass(frozen=True, slots=True)
class SpikeResult:
    """Counts over one draw."""

    n_bursts: int
    n_found: int
    n_false: int  # spikes that touch no burst
    n_caused: int  # found bursts with a planted change
    n_first: int  # of them, the planted change ranks first
    n_causeless: int  # found bursts without one
    n_empty: int  # of them, no candidate is named
    onset_error_h: tuple[float, ...]


def score(planted: Planted) -> SpikeResult:
    """Find spikes and candidates and compare them with the truth."""
    scanned = find_spikes(build_series(planted.feedback))
    found: dict[Burst, list[str]] = {}
    errors: list[float] = []
    n_false = 0
    for one in scanned:
        for spike in one.spikes:
            end = (one.series.first_day + spike.last + 1) * DAY_S
            touched = [
                b
                for b in planted.bursts
                if b.app == one.series.app
                and START + b.start_h * 3600 < end
                and spike.onset_s < START + (b.start_h + b.length_h) * 3600
            ]
            n_false += not touched
            for b in touched:
                if b not in found:
                    found[b] = [c.change_id for c in candidates(one, spike, planted.changes)]
                    errors.append((spike.onset_s - START) / 3600 - b.start_h)
    caused = {b: ids for b, ids in found.items() if b.change_id}
    return SpikeResult(
        n_bursts=len(planted.bursts),
        n_found=len(found),
        n_false=n_false,
        n_caused=len(caused),
        n_first=sum(ids[:1] == [b.change_id] for b, ids in caused.items()),
        n_causeless=len(found) - len(caused),
        n_empty=sum(not ids for b, ids in found.items() if not b.change_id),
        onset_error_h=tuple(errors),
    )
