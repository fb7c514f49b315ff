"""Quarantined rows taken again, after they or their mapping were mended; none is lost on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine

from voc.ingest.mapping import load_mapping
from voc.ingest.normalise import Normalised
from voc.ingest.quarantine import Quarantined
from voc.ingest.read import replay
from voc.language import LanguageDetector
from voc.pipeline.conversations import with_conversations
from voc.records import Feedback, Lineage
from voc.store.engine import transaction
from voc.store.feedback import Inserted, insert_feedback
from voc.store.quarantine import (
    REPLAYED,
    QuarantinedRow,
    count_open_by_mapping,
    list_quarantine,
    resolve_quarantine,
)

Raw = Mapping[str, Any]
Build = Callable[[QuarantinedRow, Raw], Sequence[Feedback] | str]
"""Makes records of a row's raw form, mended or not; or says why it still cannot be taken."""

OTHER_CONTENT: Final = "its id is stored with another content; give it an id of its own, or discard it"


@dataclass(slots=True)
class ReplayReport:
    """What became of open rows: each is in `replayed`, `duplicates` or `still_bad`; the rest was left alone."""

    replayed: int = 0
    duplicates: int = 0  # stored before with the same content; open no longer
    still_bad: list[tuple[int, str]] = field(default_factory=list)  # quarantine id, reason
    other_mappings: dict[str, int] = field(default_factory=dict)  # open rows of the source, by mapping
    not_met: list[int] = field(default_factory=list)  # ids of mended rows that are not among those taken


def replay_quarantine(
    engine: Engine, mapping_path: Path | str, *, who: str, mended: Mapping[int, Raw] | None = None
) -> ReplayReport:
    """Take the open rows again that came through a mapping, by the same path as at first.

    `mended` gives the raw row to use instead for some quarantine ids; the others are tried as they are.
    """
    mapping = load_mapping(mapping_path)
    detector = LanguageDetector()

    def build(row: QuarantinedRow, raw: Raw) -> Sequence[Feedback] | str:
        bad = row.bad
        lineage = Lineage(bad.file, bad.row, mapping.name, mapping.lineage_version)
        item = Quarantined(bad.source, lineage, bad.raw, bad.field, bad.reason, bad.remedy)
        result = replay(item, raw, mapping, detector=detector, now=datetime.now(UTC))
        return result.records if isinstance(result, Normalised) else result.reason

    report = replay_rows(
        engine, build, mapping=mapping.name, source=mapping.source, who=who, mended=mended or {}
    )
    with transaction(engine) as conn:
        others = count_open_by_mapping(conn, mapping.source)
    report.other_mappings = {name: n for name, n in others.items() if name != mapping.name}
    return report


def replay_rows(
    engine: Engine, build: Build, *, mapping: str, source: str | None, who: str, mended: Mapping[int, Raw]
) -> ReplayReport:
    """Take open rows of a mapping (and source; None: of any) again, a thousand in a transaction."""
    report = ReplayReport()
    not_met = dict.fromkeys(mended)
    last_id = 0
    while True:
        with transaction(engine) as conn:
            rows = list_quarantine(conn, source=source, mapping=mapping, after_id=last_id)
            if not rows:
                report.not_met = list(not_met)
                return report
            for row in rows:
                not_met.pop(row.id, None)
                records = build(row, mended.get(row.id, row.bad.raw))
                _take(conn, row, records, who, report)
            last_id = rows[-1].id


def _take(
    conn: Connection, row: QuarantinedRow, records: Sequence[Feedback] | str, who: str, report: ReplayReport
) -> None:
    if isinstance(records, str):
        report.still_bad.append((row.id, records))
        return
    inserted = _insert(conn, row, records)
    if inserted.differing:
        report.still_bad.append((row.id, OTHER_CONTENT))
        return
    resolve_quarantine(conn, [row.id], status=REPLAYED, who=who)
    if records and inserted.already_there == len(records):
        report.duplicates += 1
    else:
        report.replayed += 1


def _insert(conn: Connection, row: QuarantinedRow, records: Sequence[Feedback]) -> Inserted:
    """Store a row's records, all or, where one is there with another content, none."""
    with conn.begin_nested() as savepoint:
        inserted = insert_feedback(conn, records, import_file_id=row.import_file_id)
        if inserted.differing:
            savepoint.rollback()
            return inserted
        # A conversation is made of its turns and may be there from others of them: no clash.
        turns = {record.external_id for record in records}
        wholes = [f for f in with_conversations(records) if f.external_id not in turns]
        insert_feedback(conn, wholes, import_file_id=row.import_file_id)
    return inserted
