"""`voc deviations` and `voc process`: event logs held against process maps."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from voc.errors import UsageError
from voc.files import open_output
from voc.process.deviations import find_deviations
from voc.process.logs import read_log
from voc.process.map_files import read_maps

FIELDS = ("case_id", "kind", "step", "from_step", "timestamp", "magnitude_s", "event_index")
process = typer.Typer(help="Process maps: the reference that cases are held against.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("deviations")(deviations)
    app.add_typer(process, name="process")


def deviations(
    log: Annotated[
        str, typer.Argument(metavar="LOG", help="CSV, JSON Lines, Parquet, XES or OCEL 2.0; - for stdin")
    ],
    map_: Annotated[Path | None, typer.Option("--map", help="process map, or a folder of maps")] = None,
    details: Annotated[bool, typer.Option("--details", help="also basis, owner and process")] = False,
    object_type: Annotated[
        str | None, typer.Option(help="OCEL: the type of object that makes a case")
    ] = None,
    output: Annotated[str | None, typer.Option(help=".csv, .jsonl or .parquet; else CSV on stdout")] = None,
) -> None:
    """Find where cases left the map; without --map a baseline is learnt from the log itself.

    One row for each deviation; event_index holds places within the case, counted from 0.

        voc deviations events.csv --map examples/maps/orders.yaml --output deviations.csv
    """
    if map_ is not None and not map_.exists():
        raise UsageError(f"{map_}: there is no such map")
    began = time.monotonic()
    source: str | bytes = sys.stdin.buffer.read() if log == "-" else log
    if log != "-" and not Path(log).exists():
        raise UsageError(f"{log}: there is no such log")
    events = read_log(source, object_type=object_type)
    maps = read_maps(map_) if map_ is not None else None
    found = find_deviations(events.events, maps[0] if maps and len(maps) == 1 else maps)
    write_deviations(found, output, details=details)
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in found["kind"].value_counts(sort=True).iter_rows())
    print(
        f"{events.n_cases:,} cases, {len(found):,} deviations in {found['case_id'].n_unique():,} of them"
        f"{': ' + kinds if kinds else ''}; {time.monotonic() - began:.1f} s",
        file=sys.stderr,
    )


def write_deviations(found: pl.DataFrame, output: str | None, *, details: bool = False) -> None:
    """Write the table by the name of `output`; times as ISO 8601 in UTC."""
    table = found.select(*FIELDS, *(("basis", "owner", "process") if details else ()))
    name = (output or "").removesuffix(".gz")
    if name.endswith(".parquet"):
        table.write_parquet(str(output))
        return
    text = table.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    with open_output(output) as out:
        if name.endswith((".jsonl", ".ndjson")):
            for row in text.iter_rows(named=True):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            listed = text.with_columns(
                event_index="["
                + pl.col("event_index").list.eval(pl.element().cast(pl.String)).list.join(", ")
                + "]"
            )
            out.write(listed.write_csv())


@process.command("check")
def check(
    path: Annotated[Path, typer.Argument(metavar="MAP", help="a map, or a folder of maps", exists=True)],
) -> None:
    """Validate maps: keys, steps, rules, limits; say what is wrong and how to mend it."""
    for one in read_maps(path):
        mandatory = sum(step.mandatory for step in one.steps)
        orphans = [step.name for step in one.steps if not (step.owner or one.owner)]
        print(f"{one.process}: {len(one.steps)} steps ({mandatory} mandatory), {len(one.rules)} rules: valid")
        if orphans:
            print(f"  nobody owns: {', '.join(orphans)}")
