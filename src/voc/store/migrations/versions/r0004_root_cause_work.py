"""Work on root causes: comments, due dates, pilots; external factors that people set and take back."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = """
ALTER TABLE root_cause ADD COLUMN theme_fit text;
ALTER TABLE root_cause ADD COLUMN due_on date;
COMMENT ON COLUMN root_cause.theme_fit IS 'the fit whose themes were outcomes; null: none were';
ALTER TABLE root_cause_history DROP CONSTRAINT root_cause_history_action_check;
ALTER TABLE root_cause_history ADD CONSTRAINT root_cause_history_action_check CHECK (action IN (
    'found', 'recomputed', 'gone', 'back', 'status', 'owner', 'comment', 'due', 'pilot', 'rollback'));

ALTER TABLE change ADD COLUMN external_by text;
COMMENT ON COLUMN change.external_by IS 'the person who said whether it is external; null: the file did';
CREATE TABLE change_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change_id text NOT NULL REFERENCES change,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL CHECK (who <> ''),
    external_before boolean NOT NULL,
    external_after boolean NOT NULL,
    note text
);
CREATE INDEX change_history_change_id_idx ON change_history (change_id, id);
CREATE TRIGGER change_history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON change_history
    FOR EACH STATEMENT EXECUTE FUNCTION voc_append_only();

CREATE TABLE root_cause_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    process text NOT NULL CHECK (process <> ''),
    at timestamptz NOT NULL DEFAULT now(),
    inputs bytea NOT NULL CHECK (octet_length(inputs) = 32),
    result jsonb NOT NULL CHECK (jsonb_typeof(result) = 'object')
);
COMMENT ON COLUMN root_cause_run.inputs IS 'hash of all that was tested and how; equal: nothing to compute';
CREATE INDEX root_cause_run_process_idx ON root_cause_run (process, id);

CREATE TABLE pilot (
    id text PRIMARY KEY CHECK (id <> ''),
    root_cause_id bigint REFERENCES root_cause,
    plan jsonb NOT NULL CHECK (jsonb_typeof(plan) = 'object'),
    who text NOT NULL CHECK (who <> ''),
    planned_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX pilot_root_cause_id_idx ON pilot (root_cause_id);
CREATE TRIGGER pilot_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pilot
    FOR EACH STATEMENT EXECUTE FUNCTION voc_append_only();

CREATE TABLE pilot_look (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pilot_id text NOT NULL REFERENCES pilot,
    at timestamptz NOT NULL DEFAULT now(),
    verdict text NOT NULL,
    result jsonb NOT NULL CHECK (jsonb_typeof(result) = 'object'),
    rollback boolean NOT NULL
);
CREATE INDEX pilot_look_pilot_id_idx ON pilot_look (pilot_id, id);
CREATE TRIGGER pilot_look_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pilot_look
    FOR EACH STATEMENT EXECUTE FUNCTION voc_append_only();
"""


def upgrade() -> None:
    """Make the tables and columns."""
    op.execute(STATEMENTS)
