"""From cases, outcomes and deviations to stacks of 2x2 tables: strata and counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import chdtrc

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHUNK_CELLS = 1_500_000  # pairs times strata held at once
# A stratum of n cases keeps about (n - 1) / n of its information: under these sizes adjusting costs
# more than confounding is likely to.
MIN_CASES_PER_STRATUM = 4.0


@dataclass(frozen=True, slots=True)
class Strata:
    """Which stratum each case is in: `codes` from 0 to `n_strata` - 1, shape (n_cases,)."""

    codes: Ints
    n_strata: int


@dataclass(frozen=True, slots=True)
class Marks:
    """Which cases have which outcome (or deviation), each pair once: parallel arrays of codes."""

    case: Ints
    label: Ints
    n_labels: int


@dataclass(frozen=True, slots=True)
class PairTables:
    """Tables of a chunk of pairs: margins of shape (n_pairs, n_strata), for outcomes x deviations."""

    outcome: Ints
    deviation: Ints
    a: Floats
    n1: Floats
    m1: Floats
    n: Floats


def cross(cases: pl.DataFrame, columns: Sequence[str]) -> tuple[Strata, list[str], list[str]]:
    """Cross the columns into strata, leaving out those that cannot help.

    A column with one value adds nothing; one that would leave under `MIN_CASES_PER_STRATUM` cases in
    the average stratum would cost most of the information. An empty value is a level of its own.

    Returns
    -------
    The strata, the columns used, and a note for each column left out.
    """
    used: list[str] = []
    notes: list[str] = []
    strata = Strata(np.zeros(len(cases), dtype=np.int64), 1)
    for column in columns:
        values = cases[column].cast(pl.String).fill_null("")
        if values.n_unique() < 2:
            notes.append(f"strata: '{column}' has one value only and is left out")
            continue
        finer = refine(strata, values.rank("dense").to_numpy().astype(np.int64))
        if len(cases) / finer.n_strata < MIN_CASES_PER_STRATUM:
            notes.append(
                f"strata: '{column}' is left out; it would leave {len(cases) / finer.n_strata:.1f} cases each"
            )
            continue
        strata = finer
        used.append(column)
    return strata, used, notes


def refine(strata: Strata, codes: Ints) -> Strata:
    """Split each stratum by a further code, numbering the occupied cells from 0."""
    joint = strata.codes * (int(codes.max(initial=0)) + 1) + codes
    _, dense = np.unique(joint, return_inverse=True)
    return Strata(dense.astype(np.int64), int(dense.max(initial=-1)) + 1)


def moves_over_time(marks: Marks, period: Ints) -> npt.NDArray[np.bool_]:
    """Which labels are not equally common in all periods: chi-square at 5 %; shape (n_labels,)."""
    size = np.bincount(period).astype(np.float64)
    flat = marks.label * len(size) + period[marks.case]
    seen = np.bincount(flat, minlength=marks.n_labels * len(size)).reshape(marks.n_labels, len(size))
    rate = seen.sum(1, keepdims=True) / size.sum()
    spread = np.maximum(size * rate * (1 - rate), 1e-12)
    statistic = ((seen - size * rate) ** 2 / spread).sum(1)
    moves: npt.NDArray[np.bool_] = chdtrc(max(len(size) - 1, 1), statistic) < 0.05
    return moves


def count_tables(
    outcomes: Marks, deviations: Marks, strata: Strata, wanted: npt.NDArray[np.bool_]
) -> Iterator[PairTables]:
    """Count the tables of the wanted pairs, a chunk of outcomes at a time.

    Parameters
    ----------
    wanted : bool, shape (n_outcomes, n_deviations)
    """
    k = strata.n_strata
    size = np.bincount(strata.codes, minlength=k).astype(np.float64)
    n1 = _by_stratum(deviations, strata)
    m1 = _by_stratum(outcomes, strata)
    both = _joint_marks(outcomes, deviations, strata)
    step = max(1, CHUNK_CELLS // max(1, deviations.n_labels * k))
    for first in range(0, outcomes.n_labels, step):
        last = min(first + step, outcomes.n_labels)
        block = wanted[first:last]
        if not block.any():
            continue
        begin, end = np.searchsorted(both, np.array([first, last]) * deviations.n_labels * k)
        cells = (last - first) * deviations.n_labels * k
        a = np.bincount(both[begin:end] - first * deviations.n_labels * k, minlength=cells)
        row, column = np.nonzero(block)
        yield PairTables(
            outcome=row + first,
            deviation=column,
            a=a.reshape(last - first, deviations.n_labels, k)[row, column].astype(np.float64),
            n1=n1[column],
            m1=m1[row + first],
            n=np.broadcast_to(size, (len(row), k)),
        )


def _by_stratum(marks: Marks, strata: Strata) -> Floats:
    flat = marks.label * strata.n_strata + strata.codes[marks.case]
    counts = np.bincount(flat, minlength=marks.n_labels * strata.n_strata)
    return counts.reshape(marks.n_labels, strata.n_strata).astype(np.float64)


def _joint_marks(outcomes: Marks, deviations: Marks, strata: Strata) -> Ints:
    """One sorted flat index (outcome, deviation, stratum) for each case that has both."""
    left = pl.DataFrame({"case": outcomes.case, "outcome": outcomes.label})
    right = pl.DataFrame({"case": deviations.case, "deviation": deviations.label})
    both = left.join(right, on="case")
    flat = both["outcome"].to_numpy() * deviations.n_labels + both["deviation"].to_numpy()
    return np.sort(flat * strata.n_strata + strata.codes[both["case"].to_numpy()])
