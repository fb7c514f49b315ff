"""Spikes of complaints, and the changes that came before them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from voc.pipeline.outcomes import UNIT
from voc.records import Change
from voc.rootcause.changes import candidates
from voc.rootcause.externals import Window, as_spans
from voc.rootcause.series import DAY_S, build_series
from voc.rootcause.spikes import find_spikes


def find_spikes_after_changes(
    changes: Sequence[Change], external: Sequence[Window], scored: pl.DataFrame
) -> list[dict[str, Any]]:
    """Spikes of each signal in the feedback given, each with its candidate changes.

    The windows of `external` are left out of baselines and spikes.
    """
    feedback = scored.filter(UNIT).select(timestamp="occurred_at", signals="flags")
    found = []
    for one in find_spikes(build_series(feedback, theme=None), external=as_spans(external)):
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
