"""Process maps, cases, events, deviations, changes, links and root causes."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = """
CREATE TABLE process_map (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name <> '' AND position('@' in name) = 0),
    version text NOT NULL CHECK (version <> ''),
    yaml text NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT process_map_name_version_key UNIQUE (name, version)
);

CREATE TABLE process_case (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    map_id integer NOT NULL REFERENCES process_map ON DELETE CASCADE,
    case_id text NOT NULL CHECK (case_id <> ''),
    customer_ref text,
    segment text,
    channel text,
    region text,
    started_at timestamptz,
    ended_at timestamptz CHECK (ended_at >= started_at),
    attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    CONSTRAINT process_case_map_id_case_id_key UNIQUE (map_id, case_id)
);
CREATE INDEX process_case_case_id_idx ON process_case (case_id);
CREATE INDEX process_case_customer_ref_idx ON process_case (customer_ref, started_at)
    WHERE customer_ref IS NOT NULL;

CREATE TABLE event (
    case_pk bigint NOT NULL REFERENCES process_case ON DELETE CASCADE,
    position integer NOT NULL CHECK (position >= 0),
    activity text NOT NULL,
    occurred_at timestamptz,
    resource text,
    attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    PRIMARY KEY (case_pk, position)
);
COMMENT ON COLUMN event.position IS 'order within the case, from 0, as deviation.event_index counts';

CREATE TABLE deviation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_pk bigint NOT NULL REFERENCES process_case ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN (
        'rework_loop', 'handoff_delay', 'ping_pong', 'skipped_step', 'wrong_order', 'sla_breach', 'stalled')),
    step text NOT NULL,
    from_step text,
    occurred_at timestamptz,
    magnitude_s double precision,
    event_index integer[] NOT NULL,
    basis text NOT NULL CHECK (basis IN ('map', 'baseline')),
    owner text
);
CREATE INDEX deviation_case_pk_idx ON deviation (case_pk);
CREATE INDEX deviation_kind_step_idx ON deviation (kind, step);

CREATE TABLE change (
    id text PRIMARY KEY CHECK (id <> ''),
    title text NOT NULL,
    kind text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz CHECK (ended_at >= started_at),
    scope jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(scope) = 'object'),
    external boolean NOT NULL DEFAULT false
);
CREATE INDEX change_started_at_idx ON change (started_at);

CREATE TABLE link (
    feedback_id bigint NOT NULL REFERENCES feedback ON DELETE CASCADE,
    case_pk bigint NOT NULL REFERENCES process_case ON DELETE CASCADE,
    basis text NOT NULL CHECK (basis IN ('case', 'customer_window')),
    confidence double precision NOT NULL CHECK (confidence > 0 AND confidence <= 1),
    PRIMARY KEY (feedback_id, case_pk)
);
CREATE INDEX link_case_pk_idx ON link (case_pk);

CREATE TABLE root_cause (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    process text NOT NULL CHECK (process <> ''),
    outcome text NOT NULL,
    kind text NOT NULL CHECK (kind IN (
        'rework_loop', 'handoff_delay', 'ping_pong', 'skipped_step', 'wrong_order', 'sla_breach', 'stalled')),
    step text NOT NULL,
    odds_ratio double precision NOT NULL,
    ci_low double precision NOT NULL,
    ci_high double precision NOT NULL,
    p_value double precision NOT NULL CHECK (p_value BETWEEN 0 AND 1),
    q_value double precision NOT NULL CHECK (q_value BETWEEN 0 AND 1),
    n_exposed bigint NOT NULL CHECK (n_exposed >= n_exposed_outcome),
    n_exposed_outcome bigint NOT NULL CHECK (n_exposed_outcome >= 0),
    n_unexposed bigint NOT NULL CHECK (n_unexposed >= n_unexposed_outcome),
    n_unexposed_outcome bigint NOT NULL CHECK (n_unexposed_outcome >= 0),
    risk_difference double precision NOT NULL,
    attributable_fraction double precision NOT NULL,
    homogeneity_p double precision,
    reported boolean NOT NULL,
    bundle text NOT NULL,
    map_version text,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL CHECK (window_end >= window_start),
    fdr double precision NOT NULL CHECK (fdr > 0 AND fdr < 1),
    method text NOT NULL,
    owner text,
    owner_by text,
    status text NOT NULL DEFAULT 'proposed' CHECK (status IN (
        'proposed', 'confirmed', 'rejected', 'acting', 'verifying', 'closed')),
    is_current boolean NOT NULL DEFAULT true,
    first_found_at timestamptz NOT NULL DEFAULT now(),
    computed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT root_cause_identity UNIQUE (process, outcome, kind, step)
);
COMMENT ON COLUMN root_cause.owner_by IS 'the person who set the owner; null: taken from the process map';
COMMENT ON COLUMN root_cause.is_current IS 'found by the latest computation of its process';

CREATE TABLE root_cause_evidence (
    root_cause_id bigint NOT NULL REFERENCES root_cause ON DELETE CASCADE,
    feedback_id bigint NOT NULL REFERENCES feedback ON DELETE CASCADE,
    case_id text NOT NULL,
    rank integer NOT NULL CHECK (rank >= 0),
    PRIMARY KEY (root_cause_id, feedback_id, case_id)
);
CREATE INDEX root_cause_evidence_feedback_id_idx ON root_cause_evidence (feedback_id);

CREATE TABLE root_cause_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    root_cause_id bigint NOT NULL REFERENCES root_cause,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL CHECK (who <> ''),
    action text NOT NULL CHECK (action IN ('found', 'recomputed', 'gone', 'back', 'status', 'owner')),
    changes jsonb NOT NULL CHECK (jsonb_typeof(changes) = 'object'),
    note text
);
CREATE INDEX root_cause_history_root_cause_id_idx ON root_cause_history (root_cause_id, id);
COMMENT ON COLUMN root_cause_history.changes IS 'field -> [before, after]';

CREATE FUNCTION voc_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER root_cause_history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON root_cause_history
    FOR EACH STATEMENT EXECUTE FUNCTION voc_append_only();
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(STATEMENTS)
