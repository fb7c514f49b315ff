"""The tables as queries see them. The migrations make them; a test holds the two together.

Those of the work on root causes (runs, pilots, marks on changes) are in `tables_work`.

Checks live in the migrations alone: they bind the database, not the queries.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
Time = DateTime(timezone=True)


def _need(name: str, kind: Any, *parts: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, *parts, nullable=False, **options)


def _now(name: str) -> Column[Any]:
    return _need(name, Time, server_default=text("now()"))


def _json(name: str, default: str = "{}") -> Column[Any]:
    return _need(name, JSONB, server_default=text(f"'{default}'"))


def _id(kind: Any = BigInteger) -> Column[Any]:
    return Column("id", kind, Identity(always=True), primary_key=True)


def _count(name: str, kind: Any = BigInteger) -> Column[Any]:
    return _need(name, kind, server_default=text("0"))


source = Table(
    "source",
    metadata,
    Column("name", Text, primary_key=True),
    _need("kind", Text),
    Column("department", Text),
    Column("consent_basis", Text),
    Column("retention_days", Integer),
    Column("reliability", REAL),
    Column("actionability", REAL),
    _now("created_at"),
)

import_file = Table(
    "import_file",
    metadata,
    _id(),
    _need("name", Text),
    _need("sha256", LargeBinary),
    _need("mapping", Text),
    _need("mapping_version", Text),
    *(
        _count(f"n_{of}_{what}")
        for of in ("records", "rows")
        for what in ("read", "stored", "duplicates", "quarantined")
    ),
    _now("started_at"),
    Column("finished_at", Time),
    Index("import_file_sha256_idx", "sha256"),
)

feedback = Table(
    "feedback",
    metadata,
    _id(),
    _need("source", Text, ForeignKey("source.name")),
    _need("kind", Text),
    _need("external_id", Text),
    _need("text", Text),
    _need("text_hash", LargeBinary),
    _need("occurred_at", Time),
    Column("customer_ref", Text),
    Column("case_id", Text),
    Column("conversation_id", Text),
    Column("turn_index", Integer),
    Column("speaker", Text),
    Column("channel", Text),
    Column("segment", Text),
    Column("region", Text),
    Column("language", Text),
    Column("nps", REAL),
    Column("csat", REAL),
    Column("ces", REAL),
    Column("stars", REAL),
    _json("meta"),
    Column("duplicate_of", BigInteger, ForeignKey("feedback.id", ondelete="CASCADE")),
    _count("n_duplicates", Integer),
    Column("import_file_id", BigInteger, ForeignKey("import_file.id")),
    Column("row_number", BigInteger),
    _now("created_at"),
    UniqueConstraint("source", "external_id", name="feedback_source_external_id_key"),
)
Index("feedback_occurred_at_idx", feedback.c.occurred_at)
Index("feedback_source_created_at_idx", feedback.c.source, feedback.c.created_at)
Index("feedback_text_hash_idx", feedback.c.text_hash)
Index("feedback_import_file_id_idx", feedback.c.import_file_id)
for _name, _columns in {
    "case_id": ("case_id",),
    "customer_ref": ("customer_ref", "occurred_at"),
    "conversation_id": ("conversation_id", "turn_index"),
    "duplicate_of": ("duplicate_of",),
}.items():
    Index(
        f"feedback_{_name}_idx",
        *(feedback.c[column] for column in _columns),
        postgresql_where=feedback.c[_name].is_not(None),
    )

model = Table(
    "model",
    metadata,
    _id(Integer),
    _need("name", Text),
    _need("version", Text),
    _need("signals", ARRAY(Text)),
    _now("created_at"),
    UniqueConstraint("name", "version", name="model_name_version_key"),
)

score = Table(
    "score",
    metadata,
    Column("feedback_id", BigInteger, ForeignKey("feedback.id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", Integer, ForeignKey("model.id"), primary_key=True),
    _need("supported", Boolean),
    Column("reason", Text),
    Column("language", Text),
    Column("sentiment", Text),
    Column("sentiment_score", REAL),
    Column("p_negative", REAL),
    Column("p_neutral", REAL),
    Column("p_positive", REAL),
    Column("frustration", REAL),
    Column("frustration_flag", Boolean),
    Column("signals", ARRAY(REAL)),
    _need("flags", ARRAY(Text), server_default=text("'{}'")),
    _json("evidence", "[]"),
    _need("n_windows", Integer),
    Column("embedding", LargeBinary),
    _now("scored_at"),
    Index("score_model_id_idx", "model_id", "scored_at"),
)

quarantine = Table(
    "quarantine",
    metadata,
    _id(),
    _need("source", Text),
    _need("file", Text),
    _need("row_number", BigInteger),
    _need("mapping", Text),
    _need("mapping_version", Text),
    Column("field", Text),
    _need("reason", Text),
    _need("remedy", Text),
    _need("raw", JSONB),
    _need("raw_hash", LargeBinary),
    Column("import_file_id", BigInteger, ForeignKey("import_file.id")),
    _need("status", Text, server_default=text("'open'")),
    Column("resolved_by", Text),
    Column("resolved_at", Time),
    _now("created_at"),
    UniqueConstraint(
        "source",
        "file",
        "row_number",
        "field",
        "raw_hash",
        name="quarantine_once",
        postgresql_nulls_not_distinct=True,
    ),
    Index("quarantine_status_idx", "status", "source", "id"),
)

process_map = Table(
    "process_map",
    metadata,
    _id(Integer),
    _need("name", Text),
    _need("version", Text),
    _need("yaml", Text),
    _need("hash", LargeBinary),
    _now("created_at"),
    UniqueConstraint("name", "version", name="process_map_name_version_key"),
)

process_case = Table(
    "process_case",
    metadata,
    _id(),
    _need("map_id", Integer, ForeignKey("process_map.id", ondelete="CASCADE")),
    _need("case_id", Text),
    Column("customer_ref", Text),
    Column("segment", Text),
    Column("channel", Text),
    Column("region", Text),
    Column("started_at", Time),
    Column("ended_at", Time),
    _json("attributes"),
    UniqueConstraint("map_id", "case_id", name="process_case_map_id_case_id_key"),
    Index("process_case_case_id_idx", "case_id"),
)
Index(
    "process_case_customer_ref_idx",
    process_case.c.customer_ref,
    process_case.c.started_at,
    postgresql_where=process_case.c.customer_ref.is_not(None),
)


def _case_pk(**options: Any) -> Column[Any]:
    return _need("case_pk", BigInteger, ForeignKey("process_case.id", ondelete="CASCADE"), **options)


event = Table(
    "event",
    metadata,
    _case_pk(primary_key=True),
    Column("position", Integer, primary_key=True),
    _need("activity", Text),
    Column("occurred_at", Time),
    Column("resource", Text),
    _json("attributes"),
)

deviation = Table(
    "deviation",
    metadata,
    _id(),
    _case_pk(),
    _need("kind", Text),
    _need("step", Text),
    Column("from_step", Text),
    Column("occurred_at", Time),
    Column("magnitude_s", Double),
    _need("event_index", ARRAY(Integer)),
    _need("basis", Text),
    Column("owner", Text),
    Index("deviation_case_pk_idx", "case_pk"),
    Index("deviation_kind_step_idx", "kind", "step"),
)

change = Table(
    "change",
    metadata,
    Column("id", Text, primary_key=True),
    _need("title", Text),
    _need("kind", Text),
    _need("started_at", Time),
    Column("ended_at", Time),
    _json("scope"),
    _need("external", Boolean, server_default=text("false")),
    Column("external_by", Text),
    Index("change_started_at_idx", "started_at"),
)

link = Table(
    "link",
    metadata,
    Column("feedback_id", BigInteger, ForeignKey("feedback.id", ondelete="CASCADE"), primary_key=True),
    _case_pk(primary_key=True),
    _need("basis", Text),
    _need("confidence", Double),
    Index("link_case_pk_idx", "case_pk"),
)

root_cause = Table(
    "root_cause",
    metadata,
    _id(),
    *(_need(name, Text) for name in ("process", "outcome", "kind", "step")),
    *(_need(name, Double) for name in ("odds_ratio", "ci_low", "ci_high", "p_value", "q_value")),
    *(_need(f"n_{name}", BigInteger) for name in ("exposed", "exposed_outcome")),
    *(_need(f"n_{name}", BigInteger) for name in ("unexposed", "unexposed_outcome")),
    _need("risk_difference", Double),
    _need("attributable_fraction", Double),
    Column("homogeneity_p", Double),
    _need("reported", Boolean),
    _need("bundle", Text),
    Column("map_version", Text),
    _need("window_start", Time),
    _need("window_end", Time),
    _need("fdr", Double),
    _need("method", Text),
    Column("owner", Text),
    Column("owner_by", Text),
    _need("status", Text, server_default=text("'proposed'")),
    _need("is_current", Boolean, server_default=text("true")),
    _now("first_found_at"),
    _now("computed_at"),
    Column("theme_fit", Text),
    Column("due_on", Date),
    _json("details"),
    UniqueConstraint("process", "outcome", "kind", "step", name="root_cause_identity"),
)

root_cause_evidence = Table(
    "root_cause_evidence",
    metadata,
    Column("root_cause_id", BigInteger, ForeignKey("root_cause.id", ondelete="CASCADE"), primary_key=True),
    Column("feedback_id", BigInteger, ForeignKey("feedback.id", ondelete="CASCADE"), primary_key=True),
    Column("case_id", Text, primary_key=True),
    _need("rank", Integer),
    Index("root_cause_evidence_feedback_id_idx", "feedback_id"),
)

root_cause_history = Table(
    "root_cause_history",
    metadata,
    _id(),
    _need("root_cause_id", BigInteger, ForeignKey("root_cause.id")),
    _now("at"),
    _need("who", Text),
    _need("action", Text),
    _need("changes", JSONB),
    Column("note", Text),
    Index("root_cause_history_root_cause_id_idx", "root_cause_id", "id"),
)

theme_fit = Table(
    "theme_fit",
    metadata,
    _id(Integer),
    *(_need(name, Text) for name in ("digest", "bundle", "method")),
    _need("seed", BigInteger),
    _need("n_texts", BigInteger),
    _need("fingerprint", Text),
    _need("coverage", Double),
    _need("threshold", Double),
    Column("previous", Text),
    _now("created_at"),
    UniqueConstraint("digest", name="theme_fit_digest_key"),
)

theme = Table(
    "theme",
    metadata,
    Column("id", Text, primary_key=True),
    _need("name", Text),
    *(Column(name, Text) for name in ("name_by", "owner", "owner_by")),
    _need("terms", ARRAY(Text)),
    _json("quotes", "[]"),
    Column("broad", Text),
    _need("n_texts", BigInteger),
    Column("merged_into", Text, ForeignKey("theme.id")),
    _need("fit_id", Integer, ForeignKey("theme_fit.id")),
    _now("created_at"),
)

theme_event = Table(
    "theme_event",
    metadata,
    _id(),
    _need("fit_id", Integer, ForeignKey("theme_fit.id")),
    _need("kind", Text),
    _need("theme", Text),
    Column("other", Text),
    _need("n_shared", BigInteger),
    _need("share", Double),
    Index("theme_event_fit_id_idx", "fit_id", "id"),
)

theme_history = Table(
    "theme_history",
    metadata,
    _id(),
    _need("theme_id", Text, ForeignKey("theme.id")),
    _now("at"),
    _need("who", Text),
    _need("action", Text),
    _need("changes", JSONB),
    Column("note", Text),
    Index("theme_history_theme_id_idx", "theme_id", "id"),
)

feedback_theme = Table(
    "feedback_theme",
    metadata,
    Column("feedback_id", BigInteger, ForeignKey("feedback.id", ondelete="CASCADE"), primary_key=True),
    Column("fit_id", Integer, ForeignKey("theme_fit.id"), primary_key=True),
    Column("theme_id", Text, ForeignKey("theme.id")),
    _need("similarity", REAL),
    Index("feedback_theme_fit_id_idx", "fit_id", "theme_id"),
)
