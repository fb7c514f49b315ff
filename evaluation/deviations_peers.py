"""Figures and speed beside PM4Py; deviations of incidents beside the log's own columns.

PM4Py is AGPL: it is compared with here, where it is installed, and never ships.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from evaluation.deviations_truth import compare
from voc.errors import VocError
from voc.process.deviations import find_deviations
from voc.process.figures import case_durations, count_directly_follows, count_rework
from voc.process.logs import read_log
from voc.process.maps import AppliesTo, ProcessMap, Rule, Step

FIGURE_LOGS = ("bpic2012_loan", "uci_servicenow_incidents", "receipt_wabo")
Row = dict[str, object]


def import_pm4py() -> Any:
    """PM4Py, or a message that says how to get it."""
    try:
        import pm4py
    except ImportError as error:
        raise VocError(
            "PM4Py is not installed; it is AGPL and only compared with: pip install '.[evaluate]'"
        ) from error
    return pm4py


def read_with_pm4py(pm4py: Any, path: Path) -> Any:
    """The log as PM4Py's users read it."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=str)
    # PM4Py compares times; a log of mixed offsets (winter, summer) needs them in one zone.
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True, format="ISO8601")
    return pm4py.format_dataframe(
        frame, case_id="case_id", activity_key="activity", timestamp_key="timestamp"
    )


def compare_figures(folder: Path) -> list[Row]:
    """For each log: rework, directly-follows and durations, ours and PM4Py's."""
    pm4py = import_pm4py()
    rows: list[Row] = []
    for name in FIGURE_LOGS:
        path = folder / f"{name}.csv.gz"
        theirs, events = read_with_pm4py(pm4py, path), read_log(path).events
        graph = pm4py.discover_dfg(theirs)[0]
        rework = pm4py.get_rework_cases_per_activity(theirs)
        durations = sorted(pm4py.get_all_case_durations(theirs))
        own_graph = {(a, b): n for a, b, n in count_directly_follows(events).iter_rows()}
        own_rework = dict(count_rework(events).iter_rows())
        own_durations = case_durations(events)["duration_s"].sort().to_list()
        rows.append(
            {
                "log": name,
                "events": events.height,
                "rework": sum(own_rework.values()),
                "PM4Py rework": sum(rework.values()),
                "directly-follows pairs": len(own_graph),
                "rework equal": own_rework == dict(rework),
                "directly-follows equal": own_graph == {pair: int(n) for pair, n in graph.items()},
                "durations equal": len(durations) == len(own_durations)
                and all(abs(a - b) < 1e-3 for a, b in zip(durations, own_durations, strict=True)),
            }
        )
    return rows


def compare_speed(path: Path) -> list[Row]:
    """The same figures by both, each from the file, one after the other in this process."""
    pm4py = import_pm4py()
    process_map = _declared(read_log(path).events)

    def ours_figures() -> object:
        events = read_log(path).events
        return count_rework(events), count_directly_follows(events), case_durations(events)

    def theirs_figures() -> object:
        log = read_with_pm4py(pm4py, path)
        return (
            pm4py.get_rework_cases_per_activity(log),
            pm4py.discover_dfg(log),
            pm4py.get_all_case_durations(log),
        )

    def ours_deviations() -> set[str]:
        found = find_deviations(read_log(path).events, process_map)
        of_rules = found.filter(pl.col("kind").is_in(["skipped_step", "wrong_order"]))
        return set(of_rules["case_id"])

    def theirs_deviations() -> set[str]:
        log = read_with_pm4py(pm4py, path)
        model: dict[str, dict[Any, dict[str, float]]] = {}
        for rule in process_map.rules:
            key = rule.a if rule.b is None else (rule.a, rule.b)
            model.setdefault(rule.template, {})[key] = {"support": 1.0, "confidence": 1.0}
        checked = pm4py.conformance_declare(log, model, return_diagnostics_dataframe=True)
        pm4py.get_rework_cases_per_activity(log)
        pm4py.get_all_case_durations(log)
        pm4py.conformance_temporal_profile(log, pm4py.discover_temporal_profile(log), zeta=3.0)
        return set(checked.loc[checked["no_dev_total"] > 0, "case_id"])

    rows: list[Row] = []
    results: list[object] = []
    for what, ours, theirs in (
        ("import, rework, directly-follows, durations", ours_figures, theirs_figures),
        ("import, all deviations (order rules, rework, waits)", ours_deviations, theirs_deviations),
    ):
        own_s, own = _timed(ours)
        their_s, other = _timed(theirs)
        results = [own, other]
        rows.append({"what": what, "ours s": own_s, "PM4Py s": their_s, "times faster": their_s / own_s})
    own_cases, their_cases = results
    assert isinstance(own_cases, set)
    assert isinstance(their_cases, set)
    rows[-1]["what"] = (
        f"{rows[-1]['what']}; cases that break a rule: {len(own_cases)} and {len(their_cases)}, "
        f"{len(own_cases & their_cases)} the same"
    )
    return rows


def _timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _declared(events: pl.DataFrame) -> ProcessMap:
    """A map with what both can check: order rules that most cases keep and some break, and limits."""
    firsts = events.group_by("case_id", "activity").agg(first=pl.col("position").min())
    counts = firsts.group_by("activity").len("n").sort("n", "activity", descending=[True, False])
    often = counts["activity"].head(10).to_list()
    table = firsts.filter(pl.col("activity").is_in(often)).pivot("activity", index="case_id", values="first")
    rules = [Rule("existence", step) for step in often[:3]]
    for left in often:
        for right in often:
            both = table.filter(pl.col(right).is_not_null())
            kept = (both[left] < both[right]).fill_null(value=False).mean()
            if left != right and isinstance(kept, float) and kept >= 0.9:
                rules.append(Rule("precedence", left, right))
            both = table.filter(pl.col(left).is_not_null())
            kept = (both[left] < both[right]).fill_null(value=False).mean()
            if left != right and isinstance(kept, float) and kept >= 0.9:
                rules.append(Rule("response", left, right))
    day = 86400.0
    steps = tuple(
        Step(name, (name,), max_repeats=2, service_level_s=7 * day)
        for name in events["activity"].unique().sort()
    )
    return ProcessMap(
        "declared",
        steps,
        rules=tuple(rules),
        service_level_s=30 * day,
        handoff_limit_s=3 * day,
        max_ping_pong=3,
    )


def compare_incidents(path: Path) -> list[Row]:
    """Reassignments, reopenings and missed service levels of incidents, ours and the log's columns."""
    events = read_log(path).events
    value = pl.col("attributes").str.json_path_match
    events = events.with_columns(
        group=value("$.assignment_group"),
        reassigned=value("$.reassignment_count").cast(pl.Int64, strict=False),
        reopened=value("$.reopen_count").cast(pl.Int64, strict=False),
        made=value("$.made_sla"),
        priority=value("$.priority"),
    )
    # An event's attributes are those that changed: the others hold from the event before.
    events = events.with_columns(pl.col("group", "priority").forward_fill().over("case_id"))
    columns = events.group_by("case_id", maintain_order=True).agg(
        reassigned=pl.col("reassigned").max(),
        reopened=pl.col("reopened").max(),
        missed=(pl.col("made").drop_nulls().last() == "false"),
        priority=pl.col("priority").drop_nulls().first(),
    )
    moved = events.group_by("case_id", maintain_order=True).agg(
        n=(pl.col("group") != pl.col("group").shift(1)).sum()
    )
    both = columns.join(moved, on="case_id")
    reopen_map = ProcessMap("incidents", (Step("Resolved", ("Resolved",), max_repeats=0),))
    steps = pl.col("activity").replace({"Closed": "Resolved"})
    found = find_deviations(events.with_columns(activity=steps), reopen_map)
    return [
        _row(
            "reassigned at all (changes of group)",
            both.filter(pl.col("reassigned") > 0)["case_id"],
            both.filter(pl.col("n") > 0)["case_id"],
        ),
        _row(
            "reopened (worked on again after Resolved)",
            columns.filter(pl.col("reopened") > 0)["case_id"],
            found["case_id"].unique(),
        ),
        _missed(events, columns),
    ]


def _row(what: str, truth: pl.Series, found: pl.Series) -> Row:
    hits = compare(truth, found)
    return {
        "what": what,
        "by the column": hits.right + hits.missed,
        "found": hits.right + hits.wrong,
        "precision": hits.precision,
        "recall": hits.recall,
        "F1": hits.f1,
    }


def _missed(events: pl.DataFrame, columns: pl.DataFrame) -> Row:
    """Service levels the log does not state: fitted by priority on the older half, judged on the newer."""
    half = columns.height // 2
    older, newer = columns.head(half), columns.tail(columns.height - half)
    resolved = events.filter(pl.col("activity") != "Closed")
    took = case_durations(resolved).join(older, on="case_id")
    maps = []
    for (priority,), group in took.drop_nulls("priority").group_by("priority"):
        limit = _best_limit(group)
        if limit is not None:
            maps.append(
                ProcessMap(
                    f"priority {priority}",
                    (Step("Resolved", ("Resolved",)),),
                    applies_to=AppliesTo("priority", str(priority)),
                    service_level_s=limit,
                )
            )
    judged = resolved.filter(pl.col("case_id").is_in(newer["case_id"].to_list()))
    found = find_deviations(judged.drop("group", "reassigned", "reopened", "made", "priority"), maps)
    return _row(
        "missed service level (newer half; limit by priority from the older)",
        newer.filter(pl.col("missed"))["case_id"],
        found["case_id"].unique(),
    )


def _best_limit(cases: pl.DataFrame) -> float | None:
    """The duration that best tells missed from made (F1), or None where none was missed."""
    ranked = cases.sort("duration_s", descending=True).with_columns(
        right=pl.col("missed").cum_sum(), found=pl.int_range(1, pl.len() + 1)
    )
    n_missed = int(cases["missed"].sum())
    if n_missed == 0:
        return None
    f1 = ranked.with_columns(f1=2 * pl.col("right") / (pl.col("found") + n_missed))
    best = f1.sort("f1", descending=True).row(0, named=True)
    return float(best["duration_s"]) - 1.0
