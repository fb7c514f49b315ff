"""`voc ingest`: files of feedback into the store."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from voc.cli.database import using_store
from voc.pipeline.ingestion import ImportReport, ingest_file


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("ingest")(ingest)


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
    with using_store() as engine, file_progress(f"reading {Path(source).name}") as progress:
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
        "differing": report.differing,
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
    if report.differing:
        print(
            f"  {report.differing:,} were stored before with another content, which was kept: "
            "to store both, give them ids of their own"
        )
    if r.quarantined:
        print("  see them: voc quarantine list")
