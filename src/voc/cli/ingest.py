"""`voc ingest` and `voc quarantine`: files of feedback into the store; bad rows seen, mended, replayed."""

import getpass
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from voc.cli.database import open_store
from voc.errors import InputError
from voc.files import stream_rows, write_json_lines
from voc.pipeline.ingestion import ImportReport, ingest_file, replay_quarantine
from voc.store.engine import transaction
from voc.store.quarantine import DISCARDED, list_quarantine, resolve_quarantine

quarantine = typer.Typer(
    help="Rows that could not be taken: see them, mend them, take them again.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("ingest")(ingest)
    app.add_typer(quarantine, name="quarantine")


def ingest(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="CSV, JSON Lines or Parquet, gzipped or not")
    ],
    mapping: Annotated[Path, typer.Option(help="YAML that says where each field sits", exists=True)],
    as_json: Annotated[bool, typer.Option("--json", help="print the counts as JSON")] = False,
) -> None:
    """Store feedback from a file. Reading the same file again changes nothing.

    Read = stored + duplicates + quarantined, always. Rows that could not be taken wait in quarantine
    with field, reason and remedy: see `voc quarantine list`.

        voc ingest survey.csv --mapping examples/mappings/survey.yaml
    """
    engine = open_store()
    with file_progress(f"reading {Path(source).name}") as progress:
        report = ingest_file(engine, source, mapping, progress=progress)
    if as_json:
        print(json.dumps(report_to_dict(report)))
    else:
        print_report(report)


class file_progress:  # noqa: N801 - used as a function is: with file_progress(...) as step
    """A bar on stderr for work told in parts done and whole, after two seconds; a line every ten without a terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = self._said = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Callable[[int, int | None], None]:
        return self._step

    def _step(self, done: int, total: int | None) -> None:
        if not sys.stderr.isatty():
            now = time.monotonic()
            if now - self._said >= 10:
                self._said = now
                of = f" of {total:,}" if total else ""
                print(f"{self._name}: {done:,}{of}", file=sys.stderr, flush=True)
            return
        if self._bar is None:
            if time.monotonic() - self._began < 2:
                return
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._bar.add_task(self._name, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def report_to_dict(report: ImportReport) -> dict[str, Any]:
    """The counts of an import, for JSON."""
    records = report.records
    return {
        "file": report.file, "source": report.source, "read": records.read, "stored": records.stored,
        "duplicates": records.duplicates, "already_there": report.already_there,
        "exact_duplicates": report.counts.exact, "near_duplicates": report.counts.near,
        "quarantined": records.quarantined, "conversations": report.conversations,
        "rows": report.counts.rows, "skipped": dict(report.counts.skipped), "encoding": report.counts.encoding,
        "texts_mended": report.counts.texts_mended,
    }  # fmt: skip


def print_report(report: ImportReport) -> None:
    """The counts of an import as two lines."""
    r = report.records
    print(
        f"{Path(report.file).name}: read {r.read:,} = stored {r.stored:,} + duplicates {r.duplicates:,} "
        f"(of them there before {report.already_there:,}, near {report.counts.near:,}) "
        f"+ quarantined {r.quarantined:,}"
    )
    extra = [f"{n:,} {name.replace('_', ' ')}" for name, n in sorted(report.counts.skipped.items())]
    if report.conversations:
        extra.insert(0, f"{report.conversations:,} conversations put together from their turns")
    if extra:
        print("  " + ", ".join(extra))
    if r.quarantined:
        print("  see them: voc quarantine list")


@quarantine.command("list")
def list_rows(
    source: Annotated[str | None, typer.Option(help="of this source alone")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="JSON Lines with the raw rows, to mend and replay")
    ] = False,
    output: Annotated[str | None, typer.Option(help="file for --raw; else stdout")] = None,
) -> None:
    """Show open rows with file, row, field, reason and remedy.

    To mend rows: voc quarantine list --raw --output bad.jsonl, correct `raw` in it, then
    voc quarantine replay --mapping M --rows bad.jsonl
    """
    with transaction(open_store()) as conn:
        rows = list_quarantine(conn, source=source)
    if raw:
        found = ({"id": r.id, "field": r.bad.field, "reason": r.bad.reason, "remedy": r.bad.remedy, "raw": r.bad.raw}
                 for r in rows)  # fmt: skip
        write_json_lines(found, output)
        return
    table = Table("id", "source", "file", "row", "field", "reason", "remedy")
    for r in rows:
        table.add_row(
            str(r.id), r.bad.source, r.bad.file, str(r.bad.row), r.bad.field or "", r.bad.reason, r.bad.remedy
        )
    Console().print(table if rows else "quarantine is empty")


@quarantine.command("replay")
def replay_rows(
    mapping: Annotated[Path, typer.Option(help="the mapping of the source, mended or not", exists=True)],
    rows: Annotated[Path | None, typer.Option(help="JSON Lines with id and mended raw", exists=True)] = None,
) -> None:
    """Take open rows of a source again, through the same path as at first."""
    mended: dict[int, dict[str, Any]] = {}
    if rows is not None:
        for number, row in enumerate(stream_rows(str(rows), required=("id", "raw")), start=1):
            if not isinstance(row["raw"], dict):
                raise InputError(
                    "is no object", file=str(rows), row=number, field="raw", remedy="keep its form"
                )
            mended[int(row["id"])] = row["raw"]
    report = replay_quarantine(open_store(), mapping, who=getpass.getuser(), mended=mended)
    print(f"replayed {report.replayed:,}, still in quarantine {len(report.still_bad):,}")
    for number, reason in report.still_bad[:20]:
        print(f"  {number}: {reason}")


@quarantine.command("discard")
def discard_rows(ids: Annotated[list[int], typer.Argument(help="ids from `voc quarantine list`")]) -> None:
    """Mark rows as not worth mending; they stay on record."""
    with transaction(open_store()) as conn:
        n = resolve_quarantine(conn, ids, status=DISCARDED, who=getpass.getuser())
    print(f"discarded {n:,} of {len(ids):,}")
