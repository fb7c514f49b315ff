"""A file of feedback into the store: all of it or none, every row accounted for."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from voc.ingest.duplicates import Duplicate
from voc.ingest.mapping import load_mapping
from voc.ingest.normalise import Normalised
from voc.ingest.quarantine import Quarantined
from voc.ingest.read import Counts, Reading, read_source, replay
from voc.ingest.rules import SourceMapping
from voc.language import LanguageDetector
from voc.pipeline.conversations import with_conversations
from voc.records import Feedback, Lineage
from voc.store.engine import transaction
from voc.store.feedback import Inserted, insert_feedback
from voc.store.imports import Counts as StoredCounts
from voc.store.imports import finish_import, start_import
from voc.store.quarantine import REPLAYED, BadRow, list_quarantine, resolve_quarantine, save_quarantine
from voc.store.rollups import fold_all

BATCH = 10_000
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file. `records.read = stored + duplicates + quarantined`, always."""

    file: str
    source: str
    records: StoredCounts
    rows: StoredCounts
    already_there: int  # among duplicates: records that an earlier import had stored
    conversations: int  # wholes put beside their turns; no records of the file
    counts: Counts


def ingest_file(
    engine: Engine, path: Path | str, mapping_path: Path | str, *, progress: Progress | None = None
) -> ImportReport:
    """Read `path` through its mapping into the store, in one transaction.

    Raises
    ------
    InputError, MappingError, StoreError
        Nothing of the file was stored.
    """
    mapping = load_mapping(mapping_path)
    reading = read_source(
        path, mapping, detector=LanguageDetector(), now=datetime.now(UTC), progress=progress
    )
    with transaction(engine) as conn:
        import_id = start_import(
            conn,
            name=Path(path).name,
            sha256=_digest(path),
            mapping=mapping.name,
            mapping_version=mapping.lineage_version,
        )
        report = _store(conn, reading, import_id, mapping, str(path))
    with transaction(engine) as conn:
        fold_all(conn)
    return report


def _store(
    conn: Connection, reading: Reading, import_id: int, mapping: SourceMapping, path: str
) -> ImportReport:
    inserted, n_conversations = Inserted(0, 0, 0), 0
    originals: dict[tuple[str, str], tuple[str, str]] = {}
    bad: list[BadRow] = []
    stream = with_conversations(_split(reading, originals, bad))
    while batch := list(islice(stream, BATCH)):
        wholes = [f for f in batch if _is_whole(f)]
        records = [f for f in batch if not _is_whole(f)]
        part = {key: originals.pop(key) for f in records if (key := (f.source, f.external_id)) in originals}
        inserted += insert_feedback(conn, records, import_file_id=import_id, duplicate_of=part)
        n_conversations += insert_feedback(conn, wholes, import_file_id=import_id).stored
        save_quarantine(conn, bad, import_file_id=import_id)
        bad.clear()
    save_quarantine(conn, bad, import_file_id=import_id)
    counts = reading.counts
    # The same row twice in a file is a duplicate that never reaches the store.
    duplicates = inserted.duplicates + inserted.already_there + counts.same_id
    records_read = StoredCounts(counts.records, inserted.stored, duplicates, counts.quarantined)
    rows_read = StoredCounts(counts.rows - counts.rows_filtered, counts.rows_kept, 0, counts.rows_quarantined)
    finish_import(conn, import_id, records=records_read, rows=rows_read)
    return ImportReport(
        path, mapping.source, records_read, rows_read, inserted.already_there, n_conversations, counts
    )


def _split(
    reading: Reading, originals: dict[tuple[str, str], tuple[str, str]], bad: list[BadRow]
) -> Iterator[Feedback]:
    for item in reading:
        if isinstance(item, Quarantined):
            bad.append(_bad_row(item))
        elif isinstance(item, Duplicate):
            if item.basis != "same_id":
                feedback = item.feedback
                originals[feedback.source, feedback.external_id] = (feedback.source, item.of)
                yield feedback
        else:
            yield item


def _is_whole(feedback: Feedback) -> bool:
    return feedback.conversation_id is not None and feedback.turn_index is None


def _bad_row(item: Quarantined) -> BadRow:
    lineage = item.lineage
    return BadRow(
        source=item.source, file=Path(lineage.file).name, row=lineage.row, mapping=lineage.mapping,
        mapping_version=lineage.mapping_version, field=item.field, reason=item.reason, remedy=item.remedy,
        raw=item.raw,
    )  # fmt: skip


def _digest(path: Path | str) -> str:
    if str(path) == "-":
        return hashlib.sha256(b"stdin").hexdigest()
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Rows taken again: those that went through, and those that are still wrong."""

    replayed: int
    still_bad: list[tuple[int, str]]  # quarantine id, reason


def replay_quarantine(
    engine: Engine,
    mapping_path: Path | str,
    *,
    who: str,
    mended: Mapping[int, Mapping[str, Any]] | None = None,
) -> ReplayReport:
    """Take open quarantined rows of a mapping's source again, after the mapping or the rows were mended.

    `mended` gives the raw row to use instead for some quarantine ids; the others are tried as they are.
    """
    mapping = load_mapping(mapping_path)
    detector = LanguageDetector()
    replayed = 0
    still_bad: list[tuple[int, str]] = []
    last_id = 0
    while True:
        with transaction(engine) as conn:
            rows = list_quarantine(conn, source=mapping.source, after_id=last_id)
            if not rows:
                return ReplayReport(replayed, still_bad)
            for row in rows:
                lineage = Lineage(row.bad.file, row.bad.row, mapping.name, mapping.lineage_version)
                item = Quarantined(
                    row.bad.source, lineage, row.bad.raw, row.bad.field, row.bad.reason, row.bad.remedy
                )
                raw = (mended or {}).get(row.id, row.bad.raw)
                result = replay(item, raw, mapping, detector=detector, now=datetime.now(UTC))
                if isinstance(result, Normalised):
                    insert_feedback(conn, with_conversations(result.records))
                    resolve_quarantine(conn, [row.id], status=REPLAYED, who=who)
                    replayed += 1
                else:
                    still_bad.append((row.id, result.reason))
            last_id = rows[-1].id
