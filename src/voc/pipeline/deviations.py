"""The process step: an event log against its maps; cases and deviations into the store."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Engine

from voc.pipeline.spec import ProcessPart
from voc.process.deviations import References, assign_maps, find_deviations, to_records
from voc.process.flows import read_flows
from voc.process.logs import EventLog, read_log
from voc.process.map_files import read_maps
from voc.process.maps import ProcessMap
from voc.store.engine import transaction
from voc.store.process import Case, replace_cases, save_map

CUSTOMER_KEYS = ("customer_ref", "customer", "caller_id")
STRATA = ("segment", "channel", "region")


@dataclass(frozen=True, slots=True)
class Checked:
    """A checked log: its cases (with strata, customer, start and end) and its deviations."""

    cases: pl.DataFrame
    deviations: pl.DataFrame
    map_ids: list[int]
    map_version: str  # of what the cases were checked against, as stored
    n_maps: int
    n_left_out: int  # cases that no map is for, or several are

    def counts(self) -> dict[str, Any]:
        """How many, by kind."""
        return {
            "maps": self.n_maps,
            "cases": len(self.cases),
            "cases_left_out": self.n_left_out,
            "cases_with": self.deviations["case_id"].n_unique(),
            "deviations": len(self.deviations),
            "by_kind": dict(Counter(self.deviations["kind"].to_list()).most_common()),
        }


def check_process(engine: Engine, name: str, part: ProcessPart) -> Checked:
    """Read the log, check each case against its map (or a baseline learnt from the log), store both.

    With several maps a case takes the one that its attributes name. A case that several maps are for
    is left out and counted: what is rework in one may be a first step in the other.
    """
    log = read_log(part.log)
    maps = [one for path in part.maps for one in read_maps(path)]
    if part.flows is not None:
        maps += read_flows(part.flows, end=part.flows_end)
    references, taken = _references(log, maps)
    events = log.events.filter(pl.col("case_id").is_in(taken)) if taken is not None else log.events
    found = find_deviations(events, references)
    cases = _cases(events)
    text = _text_of(part)
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    with transaction(engine) as conn:
        map_id = save_map(conn, name, version, text)
        replace_cases(conn, map_id, (Case(**row) for row in cases.iter_rows(named=True)), to_records(found))
    return Checked(cases, found, [map_id], version, len(maps), log.n_cases - len(cases))


def _text_of(part: ProcessPart) -> str:
    """What the maps were read from, to keep with what was derived from them."""
    files = [f for path in part.maps for f in (sorted(path.glob("*.y*ml")) if path.is_dir() else [path])]
    texts = [f.read_text(encoding="utf-8") for f in [*files, *([part.flows] if part.flows else [])]]
    return "\n---\n".join(texts) or f"# learnt from {part.log.name}\n"


def _references(log: EventLog, maps: Sequence[ProcessMap]) -> tuple[References | None, list[str] | None]:
    """What to check against, and which cases (None: all)."""
    if not maps:
        return None, None
    if len(maps) == 1 and maps[0].applies_to is None:
        return maps[0], None
    assigned = assign_maps(log.events, maps)
    n_maps = Counter(case_id for ids in assigned for case_id in ids)
    chosen = {
        case_id: process
        for process, ids in zip(maps, assigned, strict=True)
        for case_id in ids
        if n_maps[case_id] == 1
    }
    return chosen, list(chosen)


def _cases(events: pl.DataFrame) -> pl.DataFrame:
    """One row a case: id, customer, strata, first and last time; from `case` in its first attributes."""
    spans = events.group_by("case_id", maintain_order=True).agg(
        started_at=pl.col("timestamp").min(),
        ended_at=pl.col("timestamp").max(),
        raw=pl.col("attributes").first(),
    )

    def attribute(*names: str) -> pl.Expr:
        raw = pl.col("raw")
        return pl.coalesce(raw.str.json_path_match(f"$.case.{name}") for name in names)

    return spans.select(
        "case_id",
        attribute(*CUSTOMER_KEYS).alias("customer_ref"),
        *(attribute(name).alias(name) for name in STRATA),
        "started_at",
        "ended_at",
    )
