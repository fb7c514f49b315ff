"""Themes in the database: fitted again and again, while names, owners and merges by people stay."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, RowMapping, func, insert, select, text, update

from voc.errors import StoreError
from voc.records import Quote, Theme, ThemeEvent, ThemeFitInfo
from voc.store.copying import copy_rows, stage
from voc.store.feedback import CUSTOMER_SPOKE
from voc.store.moves import Moves, moved
from voc.store.scores import find_model_id
from voc.store.tables import theme, theme_event, theme_fit, theme_history

ASSIGNED_SCHEMA: Final[dict[str, Any]] = {
    "feedback_id": pl.Int64,
    "theme": pl.String,
    "similarity": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class StoredTheme:
    """A theme as the database has it; `merged_into` is the theme a person joined it to."""

    theme: Theme
    merged_into: str | None
    fit: str  # digest of the latest fit that has it
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ThemeHistoryEntry:
    """One line of a theme's history; `changes` is field -> (before, after)."""

    at: datetime
    who: str
    action: str  # found, name, owner, merged
    changes: Moves
    note: str | None


def save_theme_fit(
    conn: Connection,
    info: ThemeFitInfo,
    themes: Sequence[Theme],
    events: Iterable[ThemeEvent],
    *,
    who: str = "voc",
) -> int:
    """Store a fit with its themes and lineage; returns its id. A fit stored before only has its themes renewed.

    Names and owners that people set here stay; those that people set in the fit come with it.
    """
    found = conn.execute(select(theme_fit.c.id).where(theme_fit.c.digest == info.digest)).scalar_one_or_none()
    if found is None:
        found = conn.execute(insert(theme_fit).values(asdict(info)).returning(theme_fit.c.id)).scalar_one()
        lines = [
            (found, event.kind, event.theme, event.other, event.n_shared, event.share) for event in events
        ]
        copy_rows(conn, "theme_event", ["fit_id", "kind", "theme", "other", "n_shared", "share"], lines)
    rows = conn.execute(select(theme).where(theme.c.id.in_([t.id for t in themes])).with_for_update())
    stored = {row["id"]: row for row in rows.mappings()}
    for one in themes:
        _save(conn, stored.get(one.id), one, int(found), who)
    for one in themes:
        for old in one.merged:
            row = conn.execute(select(theme.c.merged_into).where(theme.c.id == old)).one_or_none()
            if row is not None and row.merged_into is None and old != one.id:
                merge_themes(conn, old, one.id, who=who)
    return int(found)


def _save(conn: Connection, before: RowMapping | None, one: Theme, fit_id: int, who: str) -> None:
    values: dict[str, Any] = {
        "name": one.name,
        "name_by": one.name_by,
        "owner": one.owner,
        "owner_by": one.owner_by,
        "terms": list(one.terms),
        "quotes": [asdict(quote) for quote in one.quotes],
        "broad": one.broad,
        "n_texts": one.n_texts,
        "fit_id": fit_id,
    }
    if before is None:
        conn.execute(insert(theme).values(id=one.id, **values))
        _note(conn, one.id, who, "found", moved({}, values, ("name", "owner")))
        return
    for field in ("name", "owner"):
        if before[f"{field}_by"] is not None:
            values[field], values[f"{field}_by"] = before[field], before[f"{field}_by"]
        elif changes := moved(dict(before), values, (field,)):
            _note(conn, one.id, values[f"{field}_by"] or who, field, changes)
    conn.execute(update(theme).where(theme.c.id == one.id).values(**values))


def rename_theme(conn: Connection, theme_id: str, name: str, *, who: str, note: str | None = None) -> None:
    """Give a theme a person's name, which fits leave alone."""
    _set(conn, theme_id, "name", name, who, note)


def set_theme_owner(
    conn: Connection, theme_id: str, owner: str, *, who: str, note: str | None = None
) -> None:
    """Give a theme an owner, which fits leave alone."""
    _set(conn, theme_id, "owner", owner, who, note)


def _set(conn: Connection, theme_id: str, field: str, value: str, who: str, note: str | None) -> None:
    before = _locked(conn, theme_id)
    if not value.strip():
        raise StoreError(f"an empty {field} was given for theme {theme_id}; give one")
    values = {field: value.strip(), f"{field}_by": who}
    conn.execute(update(theme).where(theme.c.id == theme_id).values(**values))
    if changes := moved(dict(before), values, (field,)):
        _note(conn, theme_id, who, field, changes, note)


def merge_themes(conn: Connection, theme_id: str, into: str, *, who: str, note: str | None = None) -> None:
    """Join a theme to another: feedback of the first counts for the second, in every fit, from now on.

    Raises
    ------
    StoreError
        Either is not there, they are the same, or `into` itself was joined to another.
    """
    if theme_id == into:
        raise StoreError(f"theme {theme_id} cannot be joined to itself; name another")
    before, target = _locked(conn, theme_id), _locked(conn, into)
    if target["merged_into"] is not None:
        raise StoreError(f"theme {into} was joined to {target['merged_into']}; join to that one")
    conn.execute(
        update(theme)
        .where((theme.c.id == theme_id) | (theme.c.merged_into == theme_id))
        .values(merged_into=into)
    )
    _note(conn, theme_id, who, "merged", {"merged_into": (before["merged_into"], into)}, note)


def _locked(conn: Connection, theme_id: str) -> RowMapping:
    row = conn.execute(select(theme).where(theme.c.id == theme_id).with_for_update()).mappings().one_or_none()
    if row is None:
        raise StoreError(f"theme {theme_id} is not in the database; list them first")
    return row


def _note(
    conn: Connection, theme_id: str, who: str, action: str, changes: Moves, note: str | None = None
) -> None:
    conn.execute(
        insert(theme_history).values(
            theme_id=theme_id, at=func.clock_timestamp(), who=who, action=action,
            changes={name: list(pair) for name, pair in changes.items()}, note=note,
        )
    )  # fmt: skip


def list_themes(conn: Connection, *, fit: str | None = None) -> list[StoredTheme]:
    """Themes, largest first; `fit` (a digest): those whose latest fit it is."""
    query = select(theme, theme_fit.c.digest).join(theme_fit, theme_fit.c.id == theme.c.fit_id)
    if fit is not None:
        query = query.where(theme_fit.c.digest == fit)
    rows = conn.execute(query.order_by(theme.c.n_texts.desc(), theme.c.id)).mappings().all()
    merged: dict[str, list[str]] = {}
    for row in rows:
        merged.setdefault(row["merged_into"] or "", []).append(row["id"])
    return [
        StoredTheme(
            Theme(
                id=row["id"],
                terms=tuple(row["terms"]),
                quotes=tuple(Quote(**quote) for quote in row["quotes"]),
                merged=tuple(sorted(merged.get(row["id"], ()))),
                **{k: row[k] for k in ("name", "n_texts", "broad", "owner", "name_by", "owner_by")},
            ),
            row["merged_into"],
            row["digest"],
            row["created_at"],
        )
        for row in rows
    ]


def read_theme_names(conn: Connection) -> dict[str, str]:
    """Name of each theme by id; one a person joined to another has that one's name."""
    rows = conn.execute(select(theme.c.id, theme.c.name, theme.c.merged_into)).all()
    names = {row.id: row.name for row in rows}
    return {row.id: names.get(row.merged_into or row.id, row.name) for row in rows}


def read_theme_events(conn: Connection, fit: str) -> list[ThemeEvent]:
    """The lineage that a fit (digest) wrote."""
    query = (
        select(*(theme_event.c[name] for name in ("kind", "theme", "other", "n_shared", "share")))
        .join(theme_fit, theme_fit.c.id == theme_event.c.fit_id)
        .where(theme_fit.c.digest == fit)
        .order_by(theme_event.c.id)
    )
    return [ThemeEvent(*row) for row in conn.execute(query)]


def read_theme_history(conn: Connection, theme_id: str) -> list[ThemeHistoryEntry]:
    """What happened to a theme, oldest first."""
    table = theme_history.c
    query = select(theme_history).where(table.theme_id == theme_id).order_by(table.id)
    return [
        ThemeHistoryEntry(
            row.at, row.who, row.action, {k: tuple(v) for k, v in row.changes.items()}, row.note
        )
        for row in conn.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class Unassigned:
    """A scored text without a theme in a fit; `embedding` is little-endian 32-bit floats."""

    id: int
    embedding: bytes
    text: str


def fetch_unassigned(
    conn: Connection,
    fit_id: int | None,
    model: str,
    *,
    after_id: int = 0,
    limit: int = 4096,
    sources: Sequence[str] | None = None,
) -> list[Unassigned]:
    """The next texts that a model embedded and a fit has not assigned (None: any fit, so all), by id.

    Whole verbatims and conversations alone, not turns; duplicates are left out: their original's theme is theirs.
    """
    rows = conn.execute(
        text(
            f"""
            SELECT f.id, s.embedding, f.text FROM feedback f
            JOIN score s ON s.feedback_id = f.id AND s.model_id = :model_id
            WHERE f.id > :after_id AND s.embedding IS NOT NULL AND f.turn_index IS NULL
            AND f.duplicate_of IS NULL AND {CUSTOMER_SPOKE}
            AND (CAST(:sources AS text[]) IS NULL OR f.source = ANY(:sources))
            AND NOT EXISTS (SELECT 1 FROM feedback_theme t
                WHERE t.feedback_id = f.id AND t.fit_id = CAST(:fit_id AS integer))
            ORDER BY f.id LIMIT :limit
            """  # noqa: S608
        ),
        {
            "model_id": find_model_id(conn, model) or 0,
            "after_id": after_id,
            "sources": None if sources is None else list(sources),
            "fit_id": fit_id,
            "limit": limit,
        },
    )
    return [Unassigned(row.id, bytes(row.embedding), row.text) for row in rows]


def save_assigned(
    conn: Connection, fit_id: int, rows: Iterable[tuple[int, str | None, float]], *, replace: bool = False
) -> int:
    """Store (feedback id, theme id or None, similarity) of one fit; returns how many were new or replaced."""
    columns = ["feedback_id", "fit_id", "theme_id", "similarity"]
    stage(conn, "feedback_theme", columns, ((f, fit_id, t, s) for f, t, s in rows))
    changed = "DO UPDATE SET theme_id = excluded.theme_id, similarity = excluded.similarity"
    names = ", ".join(columns)
    return conn.execute(
        text(
            f"INSERT INTO feedback_theme ({names}) SELECT {names} FROM staged_feedback_theme "  # noqa: S608
            f"ON CONFLICT (feedback_id, fit_id) {changed if replace else 'DO NOTHING'}"
        )
    ).rowcount


def read_assigned(conn: Connection, fit_id: int, *, sources: Sequence[str] | None = None) -> pl.DataFrame:
    """What a fit said of feedback: the columns of `ASSIGNED_SCHEMA`, `theme` null for none.

    A theme that a person joined to another counts as that one; a duplicate carries its original's.
    """
    rows = conn.execute(
        text(
            """
            SELECT f.id, coalesce(t.merged_into, t.id), a.similarity
            FROM feedback f JOIN feedback_theme a ON a.feedback_id = coalesce(f.duplicate_of, f.id)
            LEFT JOIN theme t ON t.id = a.theme_id
            WHERE a.fit_id = :fit_id AND (CAST(:sources AS text[]) IS NULL OR f.source = ANY(:sources))
            ORDER BY f.id
            """
        ),
        {"fit_id": fit_id, "sources": None if sources is None else list(sources)},
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=ASSIGNED_SCHEMA, orient="row")
