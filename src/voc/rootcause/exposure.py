"""Who had a change, where it is known: did those who had it complain more afterwards than the others?"""

import math
from dataclasses import dataclass
from datetime import timedelta

import polars as pl
from scipy.special import ndtr

from voc.records import Change
from voc.rootcause.times import to_utc

BEFORE = timedelta(days=28)
AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Complaints before and after a change of those who had it and of the others.

    `ratio` is the rise of those who had it over the rise of the others; a cause that struck everyone
    alike gives 1. `p_value` is one-sided, for a ratio above 1; None where a group has nothing to count.
    """

    columns: tuple[str, ...]  # of the feedback, that tell who had it
    n_exposed_before: int
    n_exposed_after: int
    n_others_before: int
    n_others_after: int
    ratio: float | None
    p_value: float | None


def measure_exposure(
    feedback: pl.DataFrame, change: Change, *, before: timedelta = BEFORE, after: timedelta = AFTER
) -> Exposure | None:
    """Compare the two groups around a change; None where the feedback does not tell who had it.

    The app is not a group: feedback of other apps is left out. Counts are taken as independent, so the
    p-value is a little too small where complaints come in bursts.

    Parameters
    ----------
    feedback : timestamp, and columns named as the keys of the change's scope
    """
    columns = tuple(name for name in change.scope if name != "app" and name in feedback.columns)
    if not columns:
        return None
    told = feedback.with_columns(to_utc(feedback["timestamp"], file="feedback").alias("_at"))
    if "app" in change.scope and "app" in told.columns:
        told = told.filter(pl.col("app").cast(pl.String) == change.scope["app"])
    of_scope = pl.all_horizontal(pl.col(name).cast(pl.String) == change.scope[name] for name in columns)
    since = pl.col("_at") - change.started_at
    near = told.select(
        had=of_scope.fill_null(value=False),
        late=since >= timedelta(0),
        inside=(since >= -before) & (since < after),
    ).filter("inside")
    counts = {(had, late): n for had, late, n in near.group_by("had", "late").len("n").iter_rows()}
    a, b, c, d = (counts.get(key, 0) for key in ((True, False), (True, True), (False, False), (False, True)))
    if min(a + b, c + d) == 0:
        return Exposure(columns, a, b, c, d, None, None)
    # Half a complaint in each cell, so that an empty one gives no infinity (Haldane 1956).
    cells = [n + 0.5 for n in (a, b, c, d)]
    log_ratio = math.log(cells[1] * cells[2] / (cells[0] * cells[3]))
    error = math.sqrt(sum(1 / n for n in cells))
    return Exposure(columns, a, b, c, d, math.exp(log_ratio), float(ndtr(-log_ratio / error)))
