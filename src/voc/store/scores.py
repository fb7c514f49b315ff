"""Scores: what each model said of each feedback, kept for every model."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl
from sqlalchemy import Connection, text

from voc.errors import StoreError
from voc.records import Score, Span
from voc.store.copying import stage
from voc.store.feedback import CUSTOMER_SPOKE, READ_SCHEMA
from voc.taxonomy import SIGNALS

COLUMNS: Final = (
    "feedback_id model_id supported reason language sentiment sentiment_score p_negative p_neutral "
    "p_positive frustration frustration_flag signals flags evidence n_windows embedding"
).split()
_LIST: Final = ", ".join(COLUMNS)


@dataclass(frozen=True, slots=True)
class Unscored:
    """A text that a model has not seen."""

    id: int
    text: str
    language: str | None


def split_model(model: str) -> tuple[str, str]:
    """Name and version of "name/version".

    Raises
    ------
    StoreError
        It is not of that form.
    """
    name, slash, version = model.partition("/")
    if not (name and slash and version):
        raise StoreError(f"'{model}' does not name a model; write name/version")
    return name, version


def save_model(conn: Connection, model: str, *, signals: Sequence[str] = tuple(SIGNALS)) -> int:
    """The id of a model ("name/version"), added if new.

    Raises
    ------
    StoreError
        The model is known with other signals: its scores would be read wrongly.
    """
    name, version = split_model(model)
    values = {"name": name, "version": version, "signals": list(signals)}
    conn.execute(
        text(
            "INSERT INTO model (name, version, signals) VALUES (:name, :version, :signals) "
            "ON CONFLICT DO NOTHING"
        ),
        values,
    )
    row = conn.execute(
        text("SELECT id, signals FROM model WHERE name = :name AND version = :version"), values
    ).one()
    if list(row.signals) != list(signals):
        raise StoreError(f"model {model} is known with other signals; give the new bundle a new version")
    return int(row.id)


def find_model_id(conn: Connection, model: str) -> int | None:
    """The id of a model ("name/version"), None where it has never scored here."""
    name, version = split_model(model)
    found = conn.execute(
        text("SELECT id FROM model WHERE name = :name AND version = :version"),
        {"name": name, "version": version},
    ).scalar_one_or_none()
    return None if found is None else int(found)


def find_latest_model(conn: Connection) -> str | None:
    """The model that scored last, as "name/version"."""
    return conn.execute(
        text(
            "SELECT m.name || '/' || m.version FROM model m, LATERAL (SELECT max(scored_at) AS at FROM score "
            "WHERE model_id = m.id) s WHERE s.at IS NOT NULL ORDER BY s.at DESC, m.id DESC LIMIT 1"
        )
    ).scalar_one_or_none()


def fetch_unscored(
    conn: Connection,
    model: str,
    *,
    after_id: int = 0,
    limit: int = 1024,
    sources: Sequence[str] | None = None,
) -> list[Unscored]:
    """The next texts of customers that the model has not scored, by id; none left: an empty list.

    Go on with `after_id` set to the last id received. Duplicates are left out: their original's
    score is theirs. Turns of agents and systems are left out.
    """
    rows = conn.execute(
        text(
            f"""
            SELECT f.id, f.text, f.language FROM feedback f
            WHERE f.id > :after_id AND f.duplicate_of IS NULL AND {CUSTOMER_SPOKE}
            AND (CAST(:sources AS text[]) IS NULL OR f.source = ANY(:sources))
            AND NOT EXISTS (SELECT 1 FROM score s WHERE s.feedback_id = f.id AND s.model_id = :model_id)
            ORDER BY f.id LIMIT :limit
            """  # noqa: S608
        ),
        {
            "after_id": after_id,
            "limit": limit,
            "sources": None if sources is None else list(sources),
            "model_id": find_model_id(conn, model) or 0,
        },
    )
    return [Unscored(row.id, row.text, row.language) for row in rows]


def save_scores(
    conn: Connection, model: str, scores: Iterable[tuple[int, Score]], *, replace: bool = False
) -> int:
    """Store (feedback id, score) pairs of one model; returns how many were new or replaced.

    A score that is there already is kept, unless `replace`. Scores of other models stay.

    Raises
    ------
    StoreError
        A score is of another model, or a feedback is not there.
    """
    model_id = save_model(conn, model)
    stage(conn, "score", COLUMNS, _rows(scores, model, model_id))
    changed = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[2:])
    conflict = f"DO UPDATE SET {changed}, scored_at = now()" if replace else "DO NOTHING"
    return conn.execute(
        text(
            f"INSERT INTO score ({_LIST}) SELECT DISTINCT ON (feedback_id) {_LIST} "  # noqa: S608
            f"FROM staged_score ORDER BY feedback_id ON CONFLICT (feedback_id, model_id) {conflict}"
        )
    ).rowcount


def _rows(scores: Iterable[tuple[int, Score]], model: str, model_id: int) -> Iterator[tuple[Any, ...]]:
    for feedback_id, score in scores:
        if score.model != model:
            raise StoreError(f"feedback {feedback_id}: the score is of {score.model}, not of {model}")
        yield (
            feedback_id,
            model_id,
            score.supported,
            score.reason,
            score.language,
            score.sentiment,
            score.sentiment_score,
            *(score.sentiment_proba or (None, None, None)),
            score.frustration,
            score.frustration_flag,
            [score.signals[name] for name in SIGNALS] if score.signals else None,
            list(score.flags),
            json.dumps([{"label": s.label, "start": s.start, "end": s.end} for s in score.evidence]),
            score.n_windows,
            None if score.embedding is None else np.asarray(score.embedding, "<f4").tobytes(),
        )


def get_scores(conn: Connection, model: str, ids: Sequence[int]) -> dict[int, Score]:
    """Scores of a model by feedback id; feedback that it has not scored is left out.

    Numbers come back with the precision of 32-bit floats.
    """
    rows = conn.execute(
        text(
            "SELECT s.*, m.signals AS names FROM score s JOIN model m ON m.id = s.model_id "
            "WHERE s.model_id = :model_id AND s.feedback_id = ANY(:ids)"
        ),
        {"model_id": find_model_id(conn, model) or 0, "ids": list(ids)},
    )
    return {
        row.feedback_id: Score(
            supported=row.supported,
            reason=row.reason,
            language=row.language,
            sentiment=row.sentiment,
            sentiment_score=row.sentiment_score,
            sentiment_proba=None
            if row.p_negative is None
            else (row.p_negative, row.p_neutral, row.p_positive),
            frustration=row.frustration,
            frustration_flag=row.frustration_flag,
            signals=dict(zip(row.names, row.signals, strict=True)) if row.signals else {},
            flags=tuple(row.flags),
            evidence=tuple(Span(**span) for span in row.evidence),
            n_windows=row.n_windows,
            model=model,
            embedding=None if row.embedding is None else tuple(np.frombuffer(row.embedding, "<f4").tolist()),
        )
        for row in rows
    }


SCORED_SCHEMA: Final[dict[str, Any]] = {
    **READ_SCHEMA,
    "supported": pl.Boolean,
    "sentiment": pl.String,
    "sentiment_score": pl.Float64,
    "frustration": pl.Float64,
    "frustration_flag": pl.Boolean,
    "flags": pl.List(pl.String),
}


def read_scored(conn: Connection, model: str, *, sources: Sequence[str] | None = None) -> pl.DataFrame:
    """All customers' feedback that a model scored, with the score and without the text.

    A duplicate carries its original's score. The columns of `SCORED_SCHEMA`, by feedback id.
    """
    names = ", ".join(f"f.{name}" for name in READ_SCHEMA if name != "feedback_id")
    rows = conn.execute(
        text(
            f"""
            SELECT f.id, {names}, s.supported, s.sentiment, s.sentiment_score, s.frustration,
                s.frustration_flag, s.flags
            FROM feedback f JOIN score s ON s.feedback_id = coalesce(f.duplicate_of, f.id)
            WHERE s.model_id = :model_id AND {CUSTOMER_SPOKE}
            AND (CAST(:sources AS text[]) IS NULL OR f.source = ANY(:sources)) ORDER BY f.id
            """  # noqa: S608
        ),
        {
            "model_id": find_model_id(conn, model) or 0,
            "sources": None if sources is None else list(sources),
        },
    )
    return pl.DataFrame([tuple(row) for row in rows], schema=SCORED_SCHEMA, orient="row")


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model whose scores are stored."""

    id: str  # "name/version"
    signals: tuple[str, ...]
    first_known_at: datetime
    last_scored_at: datetime | None


def list_models(conn: Connection) -> list[StoredModel]:
    """Every model that has scored here, the latest to score first."""
    rows = conn.execute(
        text(
            "SELECT m.name || '/' || m.version AS id, m.signals, m.created_at, (SELECT max(scored_at) FROM score "
            "WHERE model_id = m.id) AS at FROM model m ORDER BY at DESC NULLS LAST, m.id DESC"
        )
    )
    return [StoredModel(row.id, tuple(row.signals), row.created_at, row.at) for row in rows]
