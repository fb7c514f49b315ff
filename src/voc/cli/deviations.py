"""`voc deviations`: where cases left the process, from an event log."""

import io
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from voc.errors import UsageError
from voc.files import check_output, open_binary_output, open_output
from voc.process.deviations import find_deviations
from voc.process.discover import MIN_CASES
from voc.process.logs import EventLog, read_log
from voc.process.map_files import read_maps
from voc.process.maps import ProcessMap
from voc.taxonomy import DEVIATION_KINDS

COLUMNS = ("case_id", "kind", "step", "from_step", "timestamp", "magnitude_s", "event_index")
DETAILS = ("basis", "owner", "process")
_ISO = "%Y-%m-%dT%H:%M:%S%.6fZ"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("deviations")(deviations)


def deviations(
    log: Annotated[
        str, typer.Argument(help="An event log: CSV, JSON Lines, Parquet, XES, OCEL; '-': stdin.")
    ],
    process_map: Annotated[
        str | None,
        typer.Option("--map", help="A process map (YAML), or a folder of maps. Without: learned from LOG."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Where to write (.csv, .jsonl, .parquet); stdout if not given.")
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(help="Judge open cases as of this time (ISO 8601). [default: the log's last]"),
    ] = None,
    object_type: Annotated[str | None, typer.Option(help="For OCEL: whose events make a case.")] = None,
    details: Annotated[bool, typer.Option("--details", help="Also write basis, owner and process.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON Lines to stdout.")] = False,
) -> None:
    """Find where cases left the process: the seven kinds of deviation, each with its events and time.

    LOG has the columns case_id, activity and, where known, timestamp, resource, attributes. With a map,
    the map says what is a deviation; without one, what is usual is learned from the log itself, which
    is robust to deviating cases. A log without times is checked for the order of steps alone.

    Example: voc deviations log.csv --map map.yaml --output deviations.csv
    """
    started = time.perf_counter()
    check_output(output)
    as_of = _parse_now(now)
    must_exist(log, "log")
    if process_map is not None:
        must_exist(process_map, "map")
    maps = None if process_map is None else read_maps(process_map)
    read = read_log(sys.stdin.buffer.read() if log == "-" else log, object_type=object_type, name=log)
    found = find_deviations(read.events, maps, now=as_of)
    _write(found.select(COLUMNS + DETAILS if details else COLUMNS), output, as_json=as_json)
    _tell(found, read, time.perf_counter() - started)
    _warn(read, maps)


def must_exist(path: str, what: str) -> None:
    """Raise `UsageError` where `path` is neither `-` nor there."""
    if path != "-" and not Path(path).exists():
        raise UsageError(f"{path}: there is no such {what}; check the path")


def _parse_now(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not an ISO 8601 time", param_hint="--now") from error
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _write(found: pl.DataFrame, output: str | None, *, as_json: bool) -> None:
    name = (output or "").lower()
    if name.endswith(".parquet"):
        buffer = io.BytesIO()
        found.write_parquet(buffer)
        with open_binary_output(str(output)) as raw:
            raw.write(buffer.getvalue())
        return
    lists = (
        pl.when(pl.col("event_index").list.len() > 0)
        .then("[" + pl.col("event_index").cast(pl.List(pl.String)).list.join(", ") + "]")
        .otherwise(pl.lit("[]"))
        .alias("event_index")
    )
    text = found.with_columns(pl.col("timestamp").dt.strftime(_ISO))
    with open_output(output) as out:
        if as_json or name.removesuffix(".gz").endswith((".jsonl", ".ndjson")):
            for row in text.iter_rows(named=True):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            out.write(text.with_columns(lists).write_csv())


def _tell(found: pl.DataFrame, read: EventLog, took_s: float) -> None:
    n_cases = read.n_cases
    counts = dict(found.group_by("kind").agg(pl.len()).iter_rows())
    said = ", ".join(f"{kind} {counts[kind]}" for kind in DEVIATION_KINDS if kind in counts) or "none"
    print(
        f"voc deviations: {found.height} deviations in {found['case_id'].n_unique()} of {n_cases} cases "
        f"({read.events.height} events, {took_s:.1f} s): {said}",
        file=sys.stderr,
    )
    if read.n_duplicates or read.n_moved:
        print(
            f"voc deviations: {read.n_duplicates} exact repeats left out, {read.n_moved} events put in order",
            file=sys.stderr,
        )
    if not read.has_times:
        print("voc deviations: the log has no times; only the order of steps was checked", file=sys.stderr)


def _warn(read: EventLog, maps: Sequence[ProcessMap] | None) -> None:
    """Say what makes the findings less than they seem: too few cases to learn from, steps no map knows."""
    if maps is None:
        if read.n_cases < MIN_CASES:
            print(
                f"voc deviations: {read.n_cases} cases are too few to learn what is usual from (under "
                f"{MIN_CASES}); take these as hints, or give a map",
                file=sys.stderr,
            )
        return
    known = {name for one in maps for name in (*one.step_of(), *one.ignore)}
    unknown = (
        read.events.filter(~pl.col("activity").is_in(list(known)))
        .group_by("activity")
        .len("n")
        .sort("n", "activity", descending=[True, False])
    )
    if unknown.height:
        names = ", ".join(f"'{name}'" for name in unknown["activity"].head(5))
        more = f" and {unknown.height - 5} more" if unknown.height > 5 else ""
        print(
            f"voc deviations: {unknown['n'].sum()} events are of activities that no step lists ({names}{more}); "
            "add them to the map, or set 'unlisted: deviation' to have them reported",
            file=sys.stderr,
        )
