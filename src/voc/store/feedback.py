"""Feedback in the database: put in by thousands, once each; read back as records or tables."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, RowMapping, text

from voc.errors import InputError, StoreError
from voc.records import Feedback, Lineage, Rating
from voc.store.copying import stage
from voc.taxonomy import RATING_SCALES

Key = tuple[str, str]  # (source, external id)

COLUMNS: Final = (
    "source kind external_id text text_hash occurred_at customer_ref case_id conversation_id turn_index "
    "speaker channel segment region language nps csat ces stars meta import_file_id row_number"
).split()
_SCALES: Final = ("nps", "csat", "ces", "stars")
_LIST: Final = ", ".join(COLUMNS)
CUSTOMER_SPOKE: Final = "(f.speaker IS NULL OR f.speaker = 'customer')"


@dataclass(frozen=True, slots=True)
class Inserted:
    """What became of a batch: `stored + duplicates + already_there` is its size.

    `duplicates` were stored too, under their original; `differing`, of those already there, came
    with another text, time, rating, case or customer this time, and what was stored was kept.
    """

    stored: int
    duplicates: int
    already_there: int
    differing: int = 0

    def __add__(self, other: "Inserted") -> "Inserted":
        return Inserted(
            self.stored + other.stored,
            self.duplicates + other.duplicates,
            self.already_there + other.already_there,
            self.differing + other.differing,
        )


def text_hash(words: str) -> bytes:
    """16 bytes that are equal for texts equal but for case and blanks."""
    return hashlib.sha256(" ".join(words.casefold().split()).encode("utf-8", "replace")).digest()[:16]


def insert_feedback(
    conn: Connection,
    records: Iterable[Feedback],
    *,
    import_file_id: int | None = None,
    duplicate_of: Mapping[Key, Key] | None = None,
) -> Inserted:
    """Store a batch; what is there already, by source and external id, is left as it is.

    Sources not known yet are added. Batches of 5,000 to 50,000 are quickest.

    Parameters
    ----------
    import_file_id : the import these rows belong to; their `lineage.row` is kept
    duplicate_of : key of a duplicate -> key of its original, which is in this batch or stored before.
        A duplicate is stored pointing at its original, which counts it.

    Raises
    ------
    InputError
        A record cannot be stored; names its external id.
    StoreError
        The original of a duplicate is neither in the batch nor in the database.
    """
    originals = duplicate_of or {}
    extra = {"original_source": "text", "original_id": "text", "n": "bigint"}
    rows = _rows(records, import_file_id, originals)
    n_rows = stage(conn, "feedback", COLUMNS, rows, extra=extra)
    conn.execute(
        text(
            "INSERT INTO source (name, kind) SELECT DISTINCT ON (source) source, kind FROM staged_feedback "
            "ORDER BY source, n ON CONFLICT DO NOTHING"
        )
    )
    stored = conn.execute(
        text(
            f"INSERT INTO feedback ({_LIST}) SELECT {_LIST} FROM staged_feedback "  # noqa: S608
            "WHERE original_id IS NULL ORDER BY n ON CONFLICT (source, external_id) DO NOTHING"
        )
    ).rowcount
    duplicates = _insert_duplicates(conn) if originals else 0
    already_there = n_rows - stored - duplicates
    differing = _count_differing(conn) if already_there else 0
    return Inserted(stored, duplicates, already_there, differing)


def _insert_duplicates(conn: Connection) -> int:
    lost = conn.execute(
        text(
            "SELECT count(*) FROM staged_feedback s WHERE original_id IS NOT NULL AND NOT EXISTS ("
            "SELECT 1 FROM feedback o WHERE (o.source, o.external_id) = (s.original_source, s.original_id))"
        )
    ).scalar_one()
    if lost:
        raise StoreError(
            f"{lost} duplicates name an original that is neither in the batch nor stored; "
            "give the original with them or before"
        )
    n_duplicates: int = conn.execute(
        text(
            f"""
            WITH new AS (
                INSERT INTO feedback ({_LIST}, duplicate_of)
                SELECT {", ".join(f"s.{column}" for column in COLUMNS)}, coalesce(o.duplicate_of, o.id)
                FROM staged_feedback s
                JOIN feedback o ON (o.source, o.external_id) = (s.original_source, s.original_id)
                WHERE s.original_id IS NOT NULL
                ORDER BY s.n ON CONFLICT (source, external_id) DO NOTHING
                RETURNING duplicate_of
            ), counts AS (SELECT duplicate_of, count(*) AS n FROM new GROUP BY duplicate_of),
            counted AS (
                UPDATE feedback f SET n_duplicates = n_duplicates + counts.n
                FROM counts WHERE f.id = counts.duplicate_of
            )
            SELECT count(*) FROM new
            """  # noqa: S608
        )
    ).scalar_one()
    return n_duplicates


def _count_differing(conn: Connection) -> int:
    n_differing: int = conn.execute(
        text(
            "SELECT count(*) FROM staged_feedback s JOIN feedback f USING (source, external_id) "  # noqa: S608
            f"WHERE ({_of('f')}) IS DISTINCT FROM ({_of('s')})"
        )
    ).scalar_one()
    return n_differing


def _of(table: str) -> str:
    """The columns that make up what a record says, of one of two tables."""
    names = ("text_hash", "occurred_at", *_SCALES, "case_id", "customer_ref")
    return ", ".join(f"{table}.{name}" for name in names)


def _rows(
    records: Iterable[Feedback], import_file_id: int | None, originals: Mapping[Key, Key]
) -> Iterator[tuple[Any, ...]]:
    for n, record in enumerate(records):
        key = (record.source, record.external_id)
        original = originals.get(key)
        seen = {key}
        while original is not None and original in originals and original not in seen:
            seen.add(original)
            original = originals[original]
        yield (
            record.source,
            record.kind,
            record.external_id,
            record.text,
            text_hash(record.text),
            _checked_time(record),
            record.customer_ref,
            record.case_id,
            record.conversation_id,
            record.turn_index,
            record.speaker,
            record.channel,
            record.segment,
            record.region,
            record.language,
            *_ratings(record),
            _meta(record),
            import_file_id,
            record.lineage.row if record.lineage else None,
            *(original or (None, None)),
            n,
        )


def _checked_time(record: Feedback) -> datetime:
    if record.occurred_at.tzinfo is None:
        raise _bad(record, "occurred_at", "has no time zone", "give it in UTC")
    if "\0" in record.text:
        raise _bad(record, "text", "holds a NUL character", "remove it")
    return record.occurred_at


def _ratings(record: Feedback) -> tuple[float | None, ...]:
    if not record.ratings:
        return (None, None, None, None)
    found: dict[str, float] = {}
    for rating in record.ratings:
        low, high = RATING_SCALES.get(rating.scale, (1.0, 0.0))
        if not low <= rating.value <= high:
            raise _bad(record, "ratings", f"{rating.scale} {rating.value:g} is out of bounds", "correct it")
        if rating.scale in found:
            raise _bad(record, "ratings", f"{rating.scale} is given twice", "keep one")
        found[rating.scale] = rating.value
    return tuple(found.get(scale) for scale in _SCALES)


def _meta(record: Feedback) -> str:
    if not record.meta:
        return "{}"
    try:
        dumped = json.dumps(dict(record.meta), allow_nan=False, ensure_ascii=False, default=str)
    except ValueError as error:
        raise _bad(record, "meta", "is not JSON (NaN, infinity or a circle)", "leave it out") from error
    if "\\u0000" in dumped:
        raise _bad(record, "meta", "holds a NUL character", "remove it")
    return dumped


def _bad(record: Feedback, field: str, reason: str, remedy: str) -> InputError:
    lineage = record.lineage
    return InputError(
        f"{reason} in {record.source}/{record.external_id}",
        file=lineage.file if lineage else None,
        row=lineage.row if lineage else None,
        field=field,
        remedy=remedy,
    )


def find_feedback_ids(conn: Connection, keys: Sequence[Key]) -> dict[Key, int]:
    """The ids of stored feedback by source and external id; what is not stored is left out."""
    rows = conn.execute(
        text(
            "SELECT f.source, f.external_id, f.id FROM feedback f "
            "JOIN unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS k (source, external_id) "
            "USING (source, external_id)"
        ),
        {"sources": [key[0] for key in keys], "ids": [key[1] for key in keys]},
    )
    return {(row.source, row.external_id): row.id for row in rows}


def find_by_text(conn: Connection, source: str, hashes: Sequence[bytes]) -> dict[bytes, str]:
    """External ids of originals of a source with these text hashes; the oldest where there are several."""
    rows = conn.execute(
        text(
            "SELECT DISTINCT ON (text_hash) text_hash, external_id FROM feedback WHERE source = :source "
            "AND text_hash = ANY(:hashes) AND duplicate_of IS NULL ORDER BY text_hash, id"
        ),
        {"source": source, "hashes": list(hashes)},
    )
    return {bytes(row.text_hash): row.external_id for row in rows}


def get_feedback(conn: Connection, ids: Sequence[int]) -> dict[int, Feedback]:
    """Stored feedback as records, by id.

    Raises
    ------
    StoreError
        An id is not there.
    """
    rows = conn.execute(
        text(
            "SELECT f.*, i.name AS file, i.mapping, i.mapping_version FROM feedback f "
            "LEFT JOIN import_file i ON i.id = f.import_file_id WHERE f.id = ANY(:ids)"
        ),
        {"ids": list(ids)},
    ).mappings()
    found = {row["id"]: _record(row) for row in rows}
    missing = [number for number in ids if number not in found]
    if missing:
        raise StoreError(f"feedback {missing[0]} is not in the database; list what is there first")
    return found


def _record(row: RowMapping) -> Feedback:
    lineage = None
    if row["file"] is not None and row["row_number"] is not None:
        lineage = Lineage(row["file"], row["row_number"], row["mapping"], row["mapping_version"])
    return Feedback(
        **{name: row[name] for name in COLUMNS[:4] + COLUMNS[5:15]},
        ratings=tuple(Rating(scale, row[scale]) for scale in _SCALES if row[scale] is not None),
        meta=row["meta"],
        lineage=lineage,
    )


READ_SCHEMA: Final[dict[str, Any]] = {
    "feedback_id": pl.Int64,
    "duplicate_of": pl.Int64,
    "occurred_at": pl.Datetime("us", "UTC"),
    **dict.fromkeys(["source", "kind", "case_id", "customer_ref", "conversation_id"], pl.String),
    "turn_index": pl.Int32,
    **dict.fromkeys(["speaker", "channel", "segment", "region", "language"], pl.String),
    **dict.fromkeys(_SCALES, pl.Float64),
}


def read_feedback(conn: Connection, *, sources: Sequence[str] | None = None) -> pl.DataFrame:
    """All feedback of some sources (None: of all) without its text; the columns of `READ_SCHEMA`."""
    names = ", ".join(f"f.{name}" for name in READ_SCHEMA if name != "feedback_id")
    rows = conn.execute(
        text(
            f"SELECT f.id AS feedback_id, {names} FROM feedback f "  # noqa: S608
            "WHERE CAST(:sources AS text[]) IS NULL OR f.source = ANY(:sources) ORDER BY f.id"
        ),
        {"sources": None if sources is None else list(sources)},
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=READ_SCHEMA, orient="row")
