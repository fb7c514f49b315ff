"""The tables of rollups and of remembered requests, beside those of `tables`."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from voc.store.tables import Time, metadata

DIMENSIONS = ("source", "channel", "segment", "region", "step", "owner")


def _need(name: str, kind: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **options)


def _key() -> list[Column[Any]]:
    kinds: dict[str, Any] = {"model_id": Integer, "level": Text, "dims": SmallInteger, "bucket": Time}
    kinds |= dict.fromkeys(DIMENSIONS, Text)
    return [Column(name, kind, primary_key=True, autoincrement=False) for name, kind in kinds.items()]


rollup_level = Table(
    "rollup_level",
    metadata,
    Column("level", Text, primary_key=True),
    Column("dims", SmallInteger, primary_key=True, autoincrement=False),
)

rollup_score = Table(
    "rollup_score",
    metadata,
    *_key(),
    _need("n", BigInteger),
    _need("sum_score", Double),
    _need("sum_squares", Double),
    *(_need(f"n_{name}", BigInteger) for name in ("negative", "neutral", "positive", "frustrated")),
    _need("people", ARRAY(BigInteger)),
)

rollup_signal = Table(
    "rollup_signal", metadata, *_key(), Column("signal", Text, primary_key=True), _need("n", BigInteger)
)

rollup_rating = Table(
    "rollup_rating",
    metadata,
    *_key(),
    *(_need(name, BigInteger) for name in ("n_nps", "n_promoters", "n_detractors", "n_csat", "n_satisfied")),
    _need("sum_csat", Double),
    _need("squares_csat", Double),
    _need("n_ces", BigInteger),
    _need("sum_ces", Double),
    _need("squares_ces", Double),
    _need("people", ARRAY(BigInteger)),
)

rollup_pending = Table(
    "rollup_pending",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _need("feedback_id", BigInteger),
    _need("model_id", Integer),
    _need("sign", SmallInteger),
    _need("gone", Boolean, server_default=text("false")),
    _need("occurred_at", Time),
    *(_need(name, Text) for name in DIMENSIONS[:4]),
    _need("person", BigInteger),
    Column("sentiment", Text),
    Column("sentiment_score", REAL),
    Column("frustrated", Boolean),
    _need("flags", ARRAY(Text), server_default=text("'{}'")),
    Column("nps", REAL),
    Column("csat", REAL),
    Column("ces", REAL),
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("key", Text, primary_key=True),
    _need("request_hash", LargeBinary),
    Column("response", JSONB),
    _need("created_at", Time, server_default=text("now()")),
    Index("idempotency_key_created_at_idx", "created_at"),
)
