"""Daily counts of feedback by app, and within it by segment, theme and signal."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from voc.errors import InputError
from voc.rootcause.times import to_utc

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_S = 86_400
MIN_DAYS = 28
MIN_COUNT = 20  # in all; rarer series cannot show a spike worth the name


@dataclass(frozen=True, slots=True)
class Series:
    """How often something was said: times in seconds since 1970 UTC, ascending, and counts by day."""

    name: str  # "app=Mail theme=login"; "all" where nothing tells feedback apart
    app: str | None
    times: Ints
    first_day: int  # days since 1970
    counts: Floats  # shape (n_days,)
    by_day_only: bool  # the times are dates: no hour can be told
    segment: str | None = None  # where the series is that of a segment


def build_series(
    feedback: pl.DataFrame, *, theme: str | None = "theme", file: str | None = None
) -> list[Series]:
    """One series for each app, and for each segment, theme and signal within it, largest first.

    A series spans its app's whole time, so that a theme's silence before it appears counts.

    Parameters
    ----------
    feedback : timestamp, and any of app, segment, signals and the column that `theme` names;
        signals are a list, a JSON list or names divided by commas, semicolons or bars

    Raises
    ------
    InputError
        No timestamp column, a time that cannot be read, or a span of under `MIN_DAYS` days.
    """
    if "timestamp" not in feedback.columns:
        raise InputError("column is missing", file=file, field="timestamp", remedy="add it")
    times = to_utc(feedback["timestamp"], file=file).dt.epoch("s").rename("at")
    by_day_only = bool((times % DAY_S == 0).all())
    if len(times) == 0 or times.max() // DAY_S - times.min() // DAY_S + 1 < MIN_DAYS:  # type: ignore[operator]
        raise InputError(
            "spans too little time for a baseline",
            file=file,
            field="timestamp",
            remedy=f"give at least {MIN_DAYS} days of feedback",
        )
    table = feedback.select(
        times,
        app=_text(feedback, "app"),
        segment=_text(feedback, "segment"),
        theme=_text(feedback, theme) if theme else pl.lit(None, pl.String),
        signal=_signals(feedback),
    )
    found = []
    for (app,), part in table.group_by("app", maintain_order=True):
        inside = part["at"].sort().to_numpy()
        first, last = int(inside[0]) // DAY_S, int(inside[-1]) // DAY_S
        prefix = "" if app is None else f"app={app}"
        groups: list[tuple[str, Any, str | None]] = [(prefix or "all", inside, None)]
        for key in ("segment", "theme", "signal"):
            flat = part.select("at", key)
            flat = flat.explode(key) if key == "signal" else flat
            for (value,), rows in flat.drop_nulls(key).group_by(key, maintain_order=True):
                if len(rows) < len(part):  # else it is the app's own series again
                    segment = str(value) if key == "segment" else None
                    groups.append((f"{prefix} {key}={value}".strip(), rows["at"].sort().to_numpy(), segment))
        for name, at, segment in groups:
            if len(at) >= MIN_COUNT:
                counts = np.bincount(at // DAY_S - first, minlength=last - first + 1).astype(np.float64)
                found.append(Series(name, app, at.astype(np.int64), first, counts, by_day_only, segment))
    return sorted(found, key=lambda s: (-len(s.times), s.name))


def _text(table: pl.DataFrame, name: str) -> pl.Expr:
    if name not in table.columns:
        return pl.lit(None, pl.String)
    return pl.col(name).cast(pl.String).str.strip_chars().replace("", None)


def _signals(table: pl.DataFrame) -> pl.Series | pl.Expr:
    if "signals" not in table.columns:
        return pl.lit(None, pl.List(pl.String))
    return pl.Series(
        "signal", [names_in(value) for value in table["signals"].to_list()], dtype=pl.List(pl.String)
    )


def names_in(value: Any) -> list[str]:
    """Names of signals from a list, a JSON list or object (`voc score`), or divided text."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith(("[", "{")):
            try:
                return names_in(json.loads(text.replace("'", '"')))
            except json.JSONDecodeError:
                text = text.strip("[]{}")
        return [
            part.strip(" '\"") for part in text.replace(";", ",").replace("|", ",").split(",") if part.strip()
        ]
    if isinstance(value, dict):
        return [
            name for name, said in value.items() if (said.get("flag") if isinstance(said, dict) else said)
        ]
    return [] if value is None else [str(name) for name in value]
