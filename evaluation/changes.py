"""Spikes of complaints and the releases before them, on real app reviews over five years.

    python -m evaluation.changes --output changes.html

Reads `changes/` of the data folder (VOC_DATA_DIR): reviews of three apps, one and two stars counted as
complaints, and their releases. There are no gold links. Checked instead: the negative control (Gmail in
May 2020 must have a spike and no candidate), and chance: the same spikes against releases moved by
whole months, and reviews shuffled over time.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from evaluation.planted_html import Table, write_page
from voc.records import Change
from voc.rootcause.changes import MAX_LAG_H, candidates
from voc.rootcause.series import DAY_S, build_series
from voc.rootcause.spikes import Scanned, Spike, find_spikes

COMPLAINT_STARS = 2
CONTROL = ("Gmail", datetime(2020, 5, 1, tzinfo=UTC), datetime(2020, 6, 1, tzinfo=UTC))
SHIFTS = tuple(d for d in range(-300, 301, 30) if d)
N_SHUFFLES = 20


def read_complaints(folder: Path) -> pl.DataFrame:
    """Time and app of each review of one or two stars."""
    meta = pl.col("meta")
    table = pl.read_csv(folder / "app_reviews.csv.gz", infer_schema=False)
    return (
        table.select(
            timestamp=meta.str.json_path_match("$.date"),
            app=meta.str.json_path_match("$.app"),
            stars=meta.str.json_path_match("$.rating").cast(pl.Int64),
        )
        .filter(pl.col("stars") <= COMPLAINT_STARS)
        .drop("stars")
    )


def read_releases(folder: Path, apps: Sequence[str]) -> list[Change]:
    """The releases of the apps."""
    table = pl.read_csv(folder / "changes_app_releases.csv.gz", infer_schema=False)
    return [
        Change(
            f"{app} {version}", version, datetime.fromisoformat(day).replace(tzinfo=UTC), scope={"app": app}
        )
        for app, day, version in table.select("case_id", "timestamp", "resource").iter_rows()
        if app in apps
    ]


def spike_rows(scanned: Sequence[Scanned], releases: Sequence[Change]) -> list[dict[str, object]]:
    """A row for each spike, by app and time."""
    rows: list[dict[str, object]] = []
    for one in scanned:
        for spike in one.spikes:
            found = candidates(one, spike, releases)
            first = found[0] if found else None
            rows.append(
                {
                    "app": one.series.app,
                    "begins": _day(spike.onset_s),
                    "days": spike.last - spike.first + 1,
                    "complaints": spike.observed,
                    "expected": spike.expected,
                    "ratio": spike.observed / spike.expected,
                    "candidate release": first.change_id if first else "no candidate",
                    "lag h": f"{first.lag_h:.0f}" if first else "",
                    "rate ratio after release": f"{first.rate_ratio:.1f} [{first.ci_low:.1f}, {first.ci_high:.1f}]"
                    if first
                    else "",
                    "p": f"{first.p_value:.3f}" if first else "",
                    "more": len(found) - 1 if found else 0,
                }
            )
    return rows


def control_row(scanned: Sequence[Scanned], releases: Sequence[Change]) -> dict[str, object]:
    """The negative control: spikes that touch the month, and their candidates."""
    app, start, end = CONTROL
    inside = [
        (one, spike)
        for one in scanned
        for spike in one.spikes
        if one.series.app == app and spike.onset_s < end.timestamp() and _end(one, spike) > start.timestamp()
    ]
    n_named = sum(len(candidates(one, spike, releases)) for one, spike in inside)
    verdict = "passed" if inside and not n_named else "failed"
    return {"control": "Gmail, May 2020", "spikes": len(inside), "candidates": n_named, "verdict": verdict}


def chance_rows(
    scanned: Sequence[Scanned], releases: Sequence[Change], complaints: pl.DataFrame
) -> list[dict[str, object]]:
    """How many spikes would have a candidate if releases had nothing to do with them."""
    spikes = [(one, spike) for one in scanned for spike in one.spikes]
    real = sum(bool(candidates(one, spike, releases)) for one, spike in spikes)
    moved = [
        sum(bool(candidates(one, spike, [_moved(c, days) for c in releases])) for one, spike in spikes)
        for days in SHIFTS
    ]
    shuffled = [_shuffled(complaints, seed) for seed in range(N_SHUFFLES)]
    n_shuffled = [sum(len(one.spikes) for one in find_spikes(build_series(table))) for table in shuffled]
    return [
        {"what": "spikes", "value": len(spikes)},
        {"what": "with a candidate release", "value": real},
        {
            "what": f"with one, releases moved by 30 to 300 days (mean of {len(SHIFTS)})",
            "value": float(np.mean(moved)),
        },
        {
            "what": f"spikes after reviews are spread evenly over time (mean of {N_SHUFFLES})",
            "value": float(np.mean(n_shuffled)),
        },
    ]


def lag_rows(scanned: Sequence[Scanned], releases: Sequence[Change]) -> list[dict[str, object]]:
    """Days from the last release to each onset, beside what chance would give: where to stop looking."""
    edges = (0, 1, 2, 3, 4, 7, 14)
    spikes = [(one, spike) for one in scanned for spike in one.spikes]

    def counts(changes: Sequence[Change]) -> np.ndarray:
        lags = [
            min(
                (
                    (spike.onset_s - c.started_at.timestamp()) / DAY_S
                    for c in changes
                    if c.scope["app"] == one.series.app and c.started_at.timestamp() <= spike.onset_s
                ),
                default=np.inf,
            )
            for one, spike in spikes
        ]
        return np.histogram(lags, bins=edges)[0]

    real = counts(releases)
    chance = np.mean([counts([_moved(c, days) for c in releases]) for days in SHIFTS], axis=0)
    return [
        {"days since the last release": f"{a} to {b}", "spikes": int(n), "by chance": float(m)}
        for a, b, n, m in zip(edges, edges[1:], real, chance, strict=False)
    ]


def chart(one: Scanned, releases: Sequence[Change]) -> str:
    """Weekly complaints, baseline, spikes and releases of one app as an inline drawing."""
    weeks = len(one.series.counts) // 7
    seen = one.series.counts[: weeks * 7].reshape(weeks, 7).sum(1)
    base = one.baseline.expected[: weeks * 7].reshape(weeks, 7).sum(1)
    width, height, top = 1000.0, 160.0, float(seen.max())

    def line(values: np.ndarray) -> str:
        return " ".join(
            f"{i / weeks * width:.1f},{height - v / top * height:.1f}" for i, v in enumerate(values)
        )

    def at(seconds: float) -> float:
        return (seconds / DAY_S - one.series.first_day) / (weeks * 7) * width

    bands = "".join(
        f'<rect x="{at(s.onset_s):.1f}" y="0" width="{max(2.0, at(_end(one, s)) - at(s.onset_s)):.1f}" '
        f'height="{height}" fill="{"#f6b26b" if candidates(one, s, releases) else "#cccccc"}" />'
        for s in one.spikes
    )
    ticks = "".join(
        f'<line x1="{at(c.started_at.timestamp()):.1f}" x2="{at(c.started_at.timestamp()):.1f}" y1="{height}" '
        f'y2="{height + 8}" stroke="#888" />'
        for c in releases
        if c.scope["app"] == one.series.app
    )
    return (
        f"<h3>{one.series.app}</h3><svg viewBox='0 0 {width:.0f} {height + 12:.0f}' width='100%' role='img' "
        f"aria-label='weekly complaints'>{bands}{ticks}<polyline points='{line(seen)}' fill='none' stroke='#1155cc'/>"
        f"<polyline points='{line(base)}' fill='none' stroke='#cc0000' stroke-dasharray='4 3'/></svg>"
    )


def _moved(change: Change, days: int) -> Change:
    return Change(change.id, change.title, change.started_at + timedelta(days=days), scope=change.scope)


def _shuffled(complaints: pl.DataFrame, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    first, last = datetime(2017, 1, 1, tzinfo=UTC).timestamp(), datetime(2022, 1, 1, tzinfo=UTC).timestamp()
    seconds = pl.Series("timestamp", (rng.uniform(first, last, len(complaints)) * 1e6).astype(np.int64))
    return complaints.with_columns(seconds.cast(pl.Datetime("us", "UTC")))


def _end(one: Scanned, spike: Spike) -> float:
    return float((one.series.first_day + spike.last + 1) * DAY_S)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def main() -> None:
    """Run the evaluation; exit 1 when the negative control fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("VOC_DATA_DIR", "../shared/data"))
    parser.add_argument("--output", type=Path, help="write a page of the tables here")
    args = parser.parse_args()
    folder = Path(args.data) / "changes"
    if not folder.is_dir():
        sys.exit(f"{folder} is not there; set VOC_DATA_DIR to the data folder")
    complaints = read_complaints(folder)
    releases = read_releases(folder, complaints["app"].unique().to_list())
    scanned = find_spikes(build_series(complaints))
    control = control_row(scanned, releases)
    tables = [
        Table(
            "Spikes of complaints and candidate releases",
            spike_rows(scanned, releases),
            f"A candidate came up to {MAX_LAG_H:g} h before; it is not shown to be the cause.",
        ),
        Table("Negative control", [control]),
        Table("Against chance", chance_rows(scanned, releases, complaints)),
        Table("Days from release to spike", lag_rows(scanned, releases)),
    ]
    print("\n".join(t.text() for t in tables))
    if args.output:
        charts = [
            "<p>Weekly complaints (blue), baseline (dashed), releases (ticks), spikes with a candidate "
            "(orange) and without (grey).</p>",
            *(chart(one, releases) for one in scanned),
        ]
        intro = "Complaints about three apps over five years, and the releases before their spikes."
        write_page(args.output, "Spikes and releases", intro, [*charts, *tables])
    if control["verdict"] != "passed":
        sys.exit(1)


if __name__ == "__main__":
    main()
