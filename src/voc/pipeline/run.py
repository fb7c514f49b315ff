"""The whole job: files in, root causes out. Each step is stored before the next begins."""

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import polars as pl
from sqlalchemy import Engine

from voc.classify.scorer import Scorer
from voc.pipeline.causes import find_root_causes
from voc.pipeline.deviations import check_process
from voc.pipeline.ingestion import ImportReport, ingest_file
from voc.pipeline.outcomes import UNIT
from voc.pipeline.scoring import score_stored
from voc.pipeline.spec import RunSpec
from voc.pipeline.spikes import find_spikes_after_changes
from voc.pipeline.stored_themes import assign_themes
from voc.pipeline.summary import as_html
from voc.rootcause.change_files import read_changes
from voc.rootcause.externals import Window, external_windows
from voc.store.changes import list_changes, save_changes
from voc.store.engine import transaction
from voc.store.scores import read_scored

Say = Callable[[str], None]
Step = Callable[[int, int | None], None]
Progress = Callable[[str], AbstractContextManager[Step]]


def run(engine: Engine, scorer: Scorer, spec: RunSpec, *, say: Say, progress: Progress) -> dict[str, Any]:
    """Run a specification; returns what `result.json` holds.

    Safe to repeat: feedback stored before counts as duplicates, scores are not made twice, a
    process's deviations are replaced as a whole, root causes keep owner, status and history.
    """
    began = time.monotonic()
    imports = []
    for part in spec.feedback:
        say(f"reading {part.path.name}")
        with progress(f"reading {part.path.name}") as step:
            imports.append(ingest_file(engine, part.path, part.mapping, progress=step))
    sources = sorted({report.source for report in imports})
    say("scoring")
    with progress("scoring") as step:
        score_stored(engine, scorer, sources=sources, progress=lambda n: step(n, None))
    with transaction(engine) as conn:
        scored = read_scored(conn, scorer.bundle.id, sources=sources)
    themed = None
    if spec.themes is not None:
        say("assigning themes")
        themed = assign_themes(engine, scorer.bundle.id, spec.themes, sources=sources)
    result: dict[str, Any] = {
        "name": spec.name,
        "description": spec.description,
        "imports": [_import_counts(report) for report in imports],
        "scores": _score_counts(scored, scorer.bundle.id),
    }
    if themed is not None:
        result["themes"] = themed.counts()
    with transaction(engine) as conn:
        if spec.changes is not None:
            save_changes(conn, read_changes(str(spec.changes)))
        changes = list_changes(conn)  # what people said of them counts, and is kept there
    external = external_windows(changes) if spec.leave_out_external else []
    result["left_out"] = [_window(one) for one in external]
    if spec.process is not None:
        say(f"checking {spec.process.log.name}")
        checked = check_process(engine, spec.name, spec.process)
        result["deviations"] = checked.counts()
        say("linking and testing")
        result["associations"] = find_root_causes(
            engine, scorer.bundle.id, spec, checked, scored, external=external, themed=themed
        )
    if spec.changes is not None:
        result["spikes"] = find_spikes_after_changes(changes, external, scored)
    spec.output.mkdir(parents=True, exist_ok=True)
    report = spec.output / "report.html"
    result["report"] = str(report)
    result["seconds"] = round(time.monotonic() - began, 1)
    report.write_text(as_html(result), encoding="utf-8")
    (spec.output / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _window(one: Window) -> dict[str, str]:
    return {"change_id": one.change_id, "title": one.title,
            "start": one.start.isoformat(), "end": one.end.isoformat()}  # fmt: skip


def _import_counts(report: ImportReport) -> dict[str, Any]:
    r = report.records
    return {"file": report.file.rsplit("/", 1)[-1], "source": report.source, "read": r.read, "stored": r.stored,
            "duplicates": r.duplicates, "quarantined": r.quarantined,
            "conversations": report.conversations}  # fmt: skip


def _score_counts(scored: pl.DataFrame, model: str) -> dict[str, Any]:
    units = scored.filter(UNIT)
    supported = scored.filter(pl.col("supported"))
    flags: Counter[str] = Counter(units["flags"].explode().drop_nulls().to_list())
    return {
        "model": model,
        "texts": len(scored),
        "supported": len(supported),
        "unsupported": len(scored) - len(supported),
        "units": len(units),
        "sentiment": dict(sorted(Counter(units["sentiment"].drop_nulls().to_list()).items())),
        "frustrated": int(units["frustration_flag"].fill_null(False).sum()),
        "signals": dict(flags.most_common()),
    }
