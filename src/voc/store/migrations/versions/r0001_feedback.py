"""Sources, imported files, feedback, models, scores and quarantine."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = """
CREATE TABLE source (
    name text PRIMARY KEY CHECK (name <> ''),
    kind text NOT NULL CHECK (kind IN (
        'survey', 'transcript', 'social', 'review', 'ticket', 'email', 'staff_note')),
    department text,
    consent_basis text,
    retention_days integer CHECK (retention_days > 0),
    reliability real CHECK (reliability BETWEEN 0 AND 1),
    actionability real CHECK (actionability BETWEEN 0 AND 1),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE import_file (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    mapping text NOT NULL,
    mapping_version text NOT NULL,
    n_records_read bigint NOT NULL DEFAULT 0 CHECK (n_records_read >= 0),
    n_records_stored bigint NOT NULL DEFAULT 0 CHECK (n_records_stored >= 0),
    n_records_duplicates bigint NOT NULL DEFAULT 0 CHECK (n_records_duplicates >= 0),
    n_records_quarantined bigint NOT NULL DEFAULT 0 CHECK (n_records_quarantined >= 0),
    n_rows_read bigint NOT NULL DEFAULT 0 CHECK (n_rows_read >= 0),
    n_rows_stored bigint NOT NULL DEFAULT 0 CHECK (n_rows_stored >= 0),
    n_rows_duplicates bigint NOT NULL DEFAULT 0 CHECK (n_rows_duplicates >= 0),
    n_rows_quarantined bigint NOT NULL DEFAULT 0 CHECK (n_rows_quarantined >= 0),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz CHECK (finished_at >= started_at),
    CONSTRAINT import_file_records_balance CHECK (
        n_records_read = n_records_stored + n_records_duplicates + n_records_quarantined),
    CONSTRAINT import_file_rows_balance CHECK (
        n_rows_read = n_rows_stored + n_rows_duplicates + n_rows_quarantined)
);
CREATE INDEX import_file_sha256_idx ON import_file (sha256);

CREATE TABLE feedback (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL REFERENCES source,
    kind text NOT NULL CHECK (kind IN (
        'survey', 'transcript', 'social', 'review', 'ticket', 'email', 'staff_note')),
    external_id text NOT NULL CHECK (external_id <> ''),
    text text NOT NULL,
    text_hash bytea NOT NULL CHECK (octet_length(text_hash) = 16),
    occurred_at timestamptz NOT NULL,
    customer_ref text,
    case_id text,
    conversation_id text,
    turn_index integer CHECK (turn_index >= 0),
    speaker text CHECK (speaker IN ('customer', 'agent', 'system')),
    channel text,
    segment text,
    region text,
    language text,
    nps real CHECK (nps BETWEEN 0 AND 10),
    csat real CHECK (csat BETWEEN 1 AND 5),
    ces real CHECK (ces BETWEEN 1 AND 7),
    stars real CHECK (stars BETWEEN 1 AND 5),
    meta jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    duplicate_of bigint REFERENCES feedback ON DELETE CASCADE CHECK (duplicate_of <> id),
    n_duplicates integer NOT NULL DEFAULT 0 CHECK (n_duplicates >= 0),
    import_file_id bigint REFERENCES import_file,
    row_number bigint CHECK (row_number >= 1),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT feedback_source_external_id_key UNIQUE (source, external_id)
);
CREATE INDEX feedback_occurred_at_idx ON feedback (occurred_at);
CREATE INDEX feedback_text_hash_idx ON feedback (text_hash);
CREATE INDEX feedback_case_id_idx ON feedback (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX feedback_customer_ref_idx ON feedback (customer_ref, occurred_at) WHERE customer_ref IS NOT NULL;
CREATE INDEX feedback_conversation_id_idx ON feedback (conversation_id, turn_index)
    WHERE conversation_id IS NOT NULL;
CREATE INDEX feedback_duplicate_of_idx ON feedback (duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX feedback_import_file_id_idx ON feedback (import_file_id);

CREATE TABLE model (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    version text NOT NULL CHECK (version <> ''),
    signals text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_name_version_key UNIQUE (name, version)
);
COMMENT ON COLUMN model.signals IS 'the order of score.signals';

CREATE TABLE score (
    feedback_id bigint NOT NULL REFERENCES feedback ON DELETE CASCADE,
    model_id integer NOT NULL REFERENCES model,
    supported boolean NOT NULL,
    reason text,
    language text,
    sentiment text CHECK (sentiment IN ('negative', 'neutral', 'positive')),
    sentiment_score real CHECK (sentiment_score BETWEEN -1 AND 1),
    p_negative real CHECK (p_negative BETWEEN 0 AND 1),
    p_neutral real CHECK (p_neutral BETWEEN 0 AND 1),
    p_positive real CHECK (p_positive BETWEEN 0 AND 1),
    frustration real CHECK (frustration BETWEEN 0 AND 1),
    frustration_flag boolean,
    signals real[],
    flags text[] NOT NULL DEFAULT '{}',
    evidence jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(evidence) = 'array'),
    n_windows integer NOT NULL CHECK (n_windows >= 0),
    embedding bytea CHECK (octet_length(embedding) % 4 = 0),
    scored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (feedback_id, model_id),
    CONSTRAINT score_never_a_guess CHECK (
        supported OR (sentiment IS NULL AND frustration IS NULL AND signals IS NULL AND flags = '{}'))
);
CREATE INDEX score_model_id_idx ON score (model_id, scored_at);
COMMENT ON COLUMN score.embedding IS '32-bit floats, least byte first';

CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    file text NOT NULL,
    row_number bigint NOT NULL CHECK (row_number >= 0),
    mapping text NOT NULL,
    mapping_version text NOT NULL,
    field text,
    reason text NOT NULL,
    remedy text NOT NULL,
    raw jsonb NOT NULL,
    raw_hash bytea NOT NULL CHECK (octet_length(raw_hash) = 16),
    import_file_id bigint REFERENCES import_file,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'replayed', 'discarded')),
    resolved_by text,
    resolved_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT quarantine_once UNIQUE NULLS NOT DISTINCT (source, file, row_number, field, raw_hash),
    CONSTRAINT quarantine_resolved CHECK ((status = 'open') = (resolved_at IS NULL))
);
CREATE INDEX quarantine_status_idx ON quarantine (status, source, id);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(STATEMENTS)
