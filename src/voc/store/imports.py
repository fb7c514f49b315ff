"""Imported files: where stored records came from, and what became of all that was read."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy import text as sql_text

from voc.errors import StoreError
from voc.store.tables import import_file

WHAT = ("read", "stored", "duplicates", "quarantined")


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records, or rows, of a file: `read = stored + duplicates + quarantined`."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0

    @property
    def balanced(self) -> bool:
        """Whether nothing was lost or counted twice."""
        return self.read == self.stored + self.duplicates + self.quarantined


@dataclass(frozen=True, slots=True)
class ImportFile:
    """One import of one file; importing it again makes another, whose records are all duplicates."""

    id: int
    name: str
    sha256: str
    mapping: str
    mapping_version: str
    records: Counts
    rows: Counts
    started_at: datetime
    finished_at: datetime | None


def start_import(conn: Connection, *, name: str, sha256: str, mapping: str, mapping_version: str) -> int:
    """Note that a file is being imported; `sha256` is 64 hexadecimal digits. Returns the import's id."""
    values = {
        "name": name,
        "sha256": bytes.fromhex(sha256),
        "mapping": mapping,
        "mapping_version": mapping_version,
    }
    return int(conn.execute(insert(import_file).values(values).returning(import_file.c.id)).scalar_one())


def finish_import(conn: Connection, import_file_id: int, *, records: Counts, rows: Counts) -> None:
    """Write an import's counts.

    Raises
    ------
    StoreError
        The counts do not balance, or there is no such import.
    """
    for name, counts in (("records", records), ("rows", rows)):
        if not counts.balanced:
            raise StoreError(
                f"import {import_file_id}: {counts.read} {name} read are not {counts.stored} stored + "
                f"{counts.duplicates} duplicates + {counts.quarantined} quarantined"
            )
    values = {
        f"n_{of}_{what}": getattr(counts, what)
        for of, counts in (("records", records), ("rows", rows))
        for what in WHAT
    }
    done = conn.execute(
        update(import_file)
        .where(import_file.c.id == import_file_id)
        .values(**values, finished_at=sql_text("clock_timestamp()"))
    )
    if done.rowcount != 1:
        raise StoreError(f"import {import_file_id} is not in the database; start it first")


def list_imports(conn: Connection, *, limit: int = 100) -> list[ImportFile]:
    """The latest imports, newest first."""
    found = conn.execute(select(import_file).order_by(import_file.c.id.desc()).limit(limit)).mappings()
    return [
        ImportFile(
            id=row["id"],
            name=row["name"],
            sha256=bytes(row["sha256"]).hex(),
            mapping=row["mapping"],
            mapping_version=row["mapping_version"],
            records=_counts(row, "records"),
            rows=_counts(row, "rows"),
            started_at=row["started_at"],
            finished_at=row["finished_at"],
        )
        for row in found
    ]


def _counts(row: RowMapping, of: str) -> Counts:
    return Counts(*(row[f"n_{of}_{what}"] for what in WHAT))
