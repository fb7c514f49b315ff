"""`voc spikes`: bursts of feedback, and the changes shortly before them."""

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import polars as pl
import typer

from voc.errors import InputError
from voc.files import check_output, read_table, write_json_lines
from voc.records import Change
from voc.rootcause.change_files import read_changes
from voc.rootcause.changes import MAX_LAG_H, candidates
from voc.rootcause.exposure import measure_exposure
from voc.rootcause.externals import as_spans, external_windows
from voc.rootcause.series import DAY_S, build_series
from voc.rootcause.spikes import Scanned, Spike, find_spikes


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("spikes")(spikes_command)


def spikes_command(
    feedback: Annotated[
        str, typer.Argument(help="Feedback: timestamp, text, and any of app, segment, theme, signals.")
    ],
    changes: Annotated[
        str, typer.Option(help="Changes: id, timestamp, title, and app, ended_at, external where known.")
    ],
    theme: Annotated[str, typer.Option(help="Column of the feedback that holds its theme.")] = "theme",
    max_lag_h: Annotated[
        float, typer.Option(help="A change is a candidate up to this many hours before the spike.")
    ] = MAX_LAG_H,
    external: Annotated[
        bool,
        typer.Option(
            "--leave-out-external/--keep-external",
            help="Leave windows of external changes (say, a network outage) out of baselines and spikes.",
        ),
    ] = True,
    exposure: Annotated[
        bool,
        typer.Option(
            "--exposure",
            help="Also compare those who had a change (its segment, region, channel, version) with the others.",
        ),
    ] = False,
    output: Annotated[str | None, typer.Option(help="Where to write; stdout if not given.")] = None,
) -> None:
    """Find when far more was said than usual, and which changes came shortly before.

    Series are counted by app, and within it by segment, theme and signal, against a baseline with level,
    trend and day of the week. Each spike gives one JSON line; "candidates" is empty when no change is
    near. A candidate came before the spike; whether it caused it, a person must judge.

    Example: voc spikes complaints.csv --changes releases.csv
    """
    if not max_lag_h > 0:
        raise typer.BadParameter(f"{max_lag_h:g} is not above 0", param_hint="--max-lag-h")
    if feedback == changes == "-":
        raise typer.BadParameter("only one of the files may be '-' (stdin)")
    check_output(output)
    table = read_table(feedback, required=["timestamp"])
    if theme != "theme" and theme not in table.columns:
        raise InputError(
            f"column is missing; the columns are {', '.join(table.columns)}",
            file=feedback,
            field=theme,
            remedy="name a column in --theme",
        )
    known = read_changes(changes)
    series = build_series(table, theme=theme, file=feedback)
    outside = [c for c in known if c.external] if external else []
    inside = [c for c in known if c not in outside]
    scanned = find_spikes(series, external=as_spans(external_windows(outside)))
    n_spikes = sum(len(s.spikes) for s in scanned)
    left_out = f"; {len(outside)} external windows left out" if outside else ""
    print(f"voc spikes: {len(series)} series, {n_spikes} spikes{left_out}", file=sys.stderr)
    rows = (
        to_json(one, spike, inside, max_lag_h=max_lag_h, feedback=table if exposure else None)
        for one, spike in sorted(
            ((one, spike) for one in scanned for spike in one.spikes),
            key=lambda x: (x[1].onset_s, x[1].series),
        )
    )
    write_json_lines(rows, output)


def to_json(
    scanned: Scanned,
    spike: Spike,
    changes: list[Change],
    *,
    max_lag_h: float,
    feedback: pl.DataFrame | None = None,
) -> Mapping[str, Any]:
    """The spike as the command writes it; with `feedback`, each candidate with its exposure or null."""
    by_id = {change.id: change for change in changes}
    end = (scanned.series.first_day + spike.last + 1) * DAY_S
    return {
        "series": spike.series,
        "start": _iso(spike.onset_s),
        "end": _iso(end),
        "observed": spike.observed,
        "expected": round(spike.expected, 3),
        "rate_ratio": round(spike.observed / spike.expected, 4),
        "candidates": [
            {
                "change_id": c.change_id,
                "lag_h": c.lag_h,
                "rate_ratio": _number(c.rate_ratio),
                "ci_low": _number(c.ci_low),
                "ci_high": _number(c.ci_high),
                "p_value": c.p_value,
                **({} if feedback is None else {"exposure": _exposure(feedback, by_id[c.change_id])}),
            }
            for c in candidates(scanned, spike, changes, max_lag_h=max_lag_h)
        ],
    }


def _exposure(feedback: pl.DataFrame, change: Change) -> dict[str, Any] | None:
    found = measure_exposure(feedback, change)
    return None if found is None else asdict(found)


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(round(seconds), UTC).isoformat().replace("+00:00", "Z")
