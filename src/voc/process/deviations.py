"""Deviations of a whole log, or of one case: the seven kinds of `taxonomy.DEVIATION_KINDS`.

In bulk, sequences are checked once for each distinct one and times by column; case by case, events
are walked one by one. Both give the same deviations.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from voc.process.baseline import Baseline, learn_baseline
from voc.process.case_clocks import find_in_case
from voc.process.clocks import FOUND, find_waits, with_steps
from voc.process.findings import Finding
from voc.process.maps import END_TO_END, ProcessMap
from voc.process.order import MapOrder
from voc.process.ping_pong import find_ping_pong
from voc.records import Deviation, Event

SCHEMA: Final[dict[str, pl.DataType]] = FOUND | dict.fromkeys(("basis", "owner", "process"), pl.String())

Reference = ProcessMap | Baseline
References = Reference | Sequence[Reference] | Mapping[str, Reference]


def find_deviations(
    log: pl.DataFrame, maps: References | None = None, *, now: datetime | None = None
) -> pl.DataFrame:
    """Every deviation of a log, by case and then by first event.

    Parameters
    ----------
    log : events as `logs.read_log` gives them (`EventLog.events`)
    maps : one reference for all cases; several, each for the cases its `applies_to` names (a case may
        have more than one); or the reference of each case by its id, cases without one being left
        out. None: what is usual is learned from the log.
    now : for what is still open; the latest time of the log if None

    Returns
    -------
    Columns of `SCHEMA`. `event_index` counts from 0 within the case, `magnitude_s` is in seconds (see
    `records.Deviation`). Without times only the order of steps is checked.
    """
    if maps is None:
        maps = learn_baseline(log)
    has_times = log.height > 0 and log["timestamp"].null_count() == 0
    if has_times and now is None:
        latest = log["timestamp"].max()
        assert isinstance(latest, datetime)
        now = latest
    parts = [
        _check_all(events, reference, now if has_times else None)
        for reference, events in _split(log, maps)
        if events.height
    ]
    found = pl.concat([pl.DataFrame(schema=SCHEMA), *parts])
    order = log.select("case_id").unique(maintain_order=True).with_row_index("case_no")
    return (
        found.join(order, on="case_id", how="left")
        .with_columns(at=pl.col("event_index").list.first())
        .sort("case_no", "at", "kind", "step", "process", maintain_order=True)
        .select(*SCHEMA)
    )


def find_case_deviations(
    events: Iterable[Event], maps: Reference | Sequence[Reference], *, now: datetime | None = None
) -> list[Deviation]:
    """Every deviation of one case; the events may come in any order, those of one time in theirs.

    Equal to what `find_deviations` says of the case, for the same `now` (the case's own latest time if
    None, so that nothing can be stalled).
    """
    ordered = list(events)
    if not ordered:
        return []
    has_times = all(event.timestamp is not None for event in ordered)
    if has_times:
        ordered.sort(key=lambda event: event.timestamp or datetime.min.replace(tzinfo=UTC))
        now = now or ordered[-1].timestamp
    attributes = _case_attributes(ordered[0].attributes)
    references = [maps] if isinstance(maps, ProcessMap | Baseline) else list(maps)
    found = [
        deviation
        for reference in references
        if _applies(reference, attributes)
        for deviation in _check_case(ordered, reference, now if has_times else None)
    ]
    return sorted(found, key=lambda one: (one.event_index[0], one.kind, one.step, one.process or ""))


def to_records(found: pl.DataFrame) -> list[Deviation]:
    """Rows of `find_deviations` as records."""
    return [
        Deviation(
            **{
                **row,
                "event_index": tuple(row["event_index"]),
                "timestamp": row["timestamp"] and row["timestamp"].astimezone(UTC),
            }
        )
        for row in found.iter_rows(named=True)
    ]


def assign_maps(log: pl.DataFrame, maps: Sequence[Reference]) -> list[list[str]]:
    """For each map the ids of the cases it applies to, in the order of the log."""
    firsts = log.filter(pl.col("position") == 0).select("case_id", "attributes")
    cases: list[list[str]] = [[] for _ in maps]
    for case_id, text in firsts.iter_rows():
        attributes = _case_attributes(_parse(text))
        for reference, ids in zip(maps, cases, strict=True):
            if _applies(reference, attributes):
                ids.append(case_id)
    return cases


def _split(log: pl.DataFrame, maps: References) -> list[tuple[Reference, pl.DataFrame]]:
    if isinstance(maps, ProcessMap) and maps.applies_to is not None:
        maps = [maps]
    if isinstance(maps, ProcessMap | Baseline):
        return [(maps, log)]
    by_reference: list[tuple[Reference, list[str]]]
    if isinstance(maps, Mapping):
        groups: dict[int, tuple[Reference, list[str]]] = {}
        for case_id, reference in maps.items():
            groups.setdefault(id(reference), (reference, []))[1].append(case_id)
        by_reference = list(groups.values())
    else:
        by_reference = list(zip(maps, assign_maps(log, maps), strict=True))
    return [(reference, log.filter(pl.col("case_id").is_in(ids))) for reference, ids in by_reference]


def _applies(reference: Reference, attributes: Mapping[str, Any]) -> bool:
    if isinstance(reference, Baseline) or reference.applies_to is None:
        return True
    value = attributes.get(reference.applies_to.attribute)
    values = value if isinstance(value, list) else [value]
    return reference.applies_to.value in map(str, values)


def _case_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    case = attributes.get("case")
    return {**attributes, **case} if isinstance(case, Mapping) else attributes


def _parse(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}  # attributes that are no JSON tell nothing of the case; the events still count
    return found if isinstance(found, dict) else {}


def _check_all(events: pl.DataFrame, reference: Reference, now: datetime | None) -> pl.DataFrame:
    limits = reference.limits if isinstance(reference, Baseline) else reference
    parts = [_check_order(events, reference, with_times=now is not None)]
    if now is not None:
        steps = with_steps(events, limits)
        if steps.height:
            waits = find_waits(steps, limits, now)
            parts.append(_told_once(waits) if isinstance(reference, Baseline) else waits)
            if limits.max_ping_pong is not None:
                parts.append(find_ping_pong(steps, limits.max_ping_pong))
    owners = limits.owners()
    return pl.concat(parts).with_columns(
        basis=pl.lit("baseline" if isinstance(reference, Baseline) else "map"),
        owner=pl.col("step").replace_strict(
            list(owners), list(owners.values()), default=limits.owner, return_dtype=pl.String
        ),
        process=pl.lit(limits.process),
    )


def _told_once(waits: pl.DataFrame) -> pl.DataFrame:
    """Tell a wait that two learned limits judge only once.

    A handoff tells the slow step after it, a stalled case its own length.
    """
    breach = pl.col("kind") == "sla_breach"
    handoffs = waits.filter(pl.col("kind") == "handoff_delay").select("case_id", "event_index")
    stalled = waits.filter(pl.col("kind") == "stalled")["case_id"]
    twice = waits.filter(breach).join(handoffs, on=["case_id", "event_index"], how="semi")
    whole = breach & (pl.col("step") == END_TO_END) & pl.col("case_id").is_in(stalled.to_list())
    return waits.filter(~whole).join(twice, on=["case_id", "kind", "event_index"], how="anti")


def _checker(reference: Reference) -> Baseline | MapOrder:
    return reference if isinstance(reference, Baseline) else MapOrder(reference)


def _check_order(events: pl.DataFrame, reference: Reference, *, with_times: bool) -> pl.DataFrame:
    """Check each distinct sequence once, then tell its findings for every case that follows it."""
    checker = _checker(reference)
    names = events["activity"].unique().sort().to_list()
    cases = (
        events.select("case_id", code=events["activity"].cast(pl.Enum(names)).to_physical())
        .group_by("case_id", maintain_order=True)
        .agg("code")
    )
    known: dict[tuple[int, ...], range] = {}
    findings: list[Finding] = []
    case_no: list[int] = []
    finding_no: list[int] = []
    for no, codes in enumerate(map(tuple, cases["code"].to_list())):
        told = known.get(codes)
        if told is None:
            first = len(findings)
            findings += checker.check([names[code] for code in codes])
            told = known[codes] = range(first, len(findings))
        finding_no += told
        case_no += [no] * len(told)
    if not finding_no:
        return pl.DataFrame(schema=FOUND)
    starts = pl.Series([0]).append(cases["code"].list.len().cast(pl.Int64).cum_sum()).gather(case_no)
    rows = _table(findings)[finding_no].with_columns(case_id=cases["case_id"].gather(case_no))
    times = events["timestamp"]
    took = times.gather(starts + rows["last"]) - times.gather(starts + rows["since"])
    return rows.with_columns(
        timestamp=times.gather(starts + rows["first"]),
        magnitude_s=took.dt.total_microseconds() / 1_000_000 if with_times else pl.lit(None),
    ).select(pl.col(name).cast(kind) for name, kind in FOUND.items())


def _table(findings: list[Finding]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "kind": [one.kind for one in findings],
            "step": [one.step for one in findings],
            "from_step": pl.Series([one.from_step for one in findings], dtype=pl.String),
            "event_index": [list(one.events) for one in findings],
            "since": pl.Series([one.since for one in findings], dtype=pl.Int64),
        }
    ).with_columns(
        first=pl.col("event_index").list.first(),
        last=pl.col("event_index").list.last(),
    )


def _check_case(events: list[Event], reference: Reference, now: datetime | None) -> list[Deviation]:
    limits = reference.limits if isinstance(reference, Baseline) else reference
    owners = limits.owners()
    basis = "baseline" if isinstance(reference, Baseline) else "map"
    found = []
    for one in _checker(reference).check([event.activity for event in events]):
        took = None
        if now is not None and one.since is not None:
            start, stop = events[one.since].timestamp, events[one.events[-1]].timestamp
            took = (stop - start).total_seconds() if start and stop else None
        found.append((one.kind, one.step, one.from_step, events[one.events[0]].timestamp, took, one.events))
    if now is not None:
        waits = find_in_case(events, limits, now)
        handoffs = {one.events for one in waits if one.kind == "handoff_delay"}
        stalled = any(one.kind == "stalled" for one in waits)
        found += [
            (one.kind, one.step, one.from_step, one.timestamp, one.magnitude_s, one.events)
            for one in waits
            if basis == "map"
            or one.kind != "sla_breach"
            or not (one.events in handoffs or (stalled and one.step == END_TO_END))
        ]
    return [
        Deviation(events[0].case_id, *values, basis, owners.get(values[1], limits.owner), limits.process)
        for values in found
    ]
