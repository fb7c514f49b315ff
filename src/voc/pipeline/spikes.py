"""Spikes of complaints, and the changes that came before them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import Engine

from voc.pipeline.outcomes import UNIT
from voc.rootcause.change_files import read_changes
from voc.rootcause.changes import candidates
from voc.rootcause.series import DAY_S, build_series
from voc.rootcause.spikes import find_spikes
from voc.store.changes import save_changes
from voc.store.engine import transaction


def find_spikes_after_changes(engine: Engine, path: Path, scored: pl.DataFrame) -> list[dict[str, Any]]:
    """Spikes of each signal in the feedback given, each with its candidate changes; the changes are stored."""
    changes = read_changes(str(path))
    with transaction(engine) as conn:
        save_changes(conn, changes)
    feedback = scored.filter(UNIT).select(timestamp="occurred_at", signals="flags")
    found = []
    for one in find_spikes(build_series(feedback, theme=None)):
        for spike in one.spikes:
            ranked = candidates(one, spike, [c for c in changes if not c.external])
            titles = {c.id: c.title for c in changes}
            found.append({
                "series": spike.series,
                "start": _iso(spike.onset_s),
                "end": _iso((one.series.first_day + spike.last + 1) * DAY_S),
                "observed": spike.observed,
                "expected": round(spike.expected, 2),
                "candidates": [
                    {"change_id": c.change_id, "title": titles[c.change_id], "lag_h": c.lag_h,
                     "rate_ratio": c.rate_ratio, "ci_low": c.ci_low, "ci_high": c.ci_high, "p_value": c.p_value}
                    for c in ranked
                ],
            })  # fmt: skip
    return sorted(found, key=lambda s: s["start"])


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(round(seconds), UTC).isoformat().replace("+00:00", "Z")
