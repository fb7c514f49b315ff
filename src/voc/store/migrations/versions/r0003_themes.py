"""Theme fits, themes with names and owners that people set, their lineage, and which feedback has which."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = """
CREATE TABLE theme_fit (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest text NOT NULL CHECK (digest <> ''),
    bundle text NOT NULL,
    method text NOT NULL,
    seed bigint NOT NULL,
    n_texts bigint NOT NULL CHECK (n_texts > 0),
    fingerprint text NOT NULL,
    coverage double precision NOT NULL CHECK (coverage BETWEEN 0 AND 1),
    threshold double precision NOT NULL CHECK (threshold BETWEEN -1 AND 1),
    previous text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT theme_fit_digest_key UNIQUE (digest)
);
COMMENT ON COLUMN theme_fit.previous IS 'digest of the fit it went on from, stored here or not';

CREATE TABLE theme (
    id text PRIMARY KEY CHECK (id <> ''),
    name text NOT NULL CHECK (name <> ''),
    name_by text,
    owner text,
    owner_by text,
    terms text[] NOT NULL,
    quotes jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(quotes) = 'array'),
    broad text,
    n_texts bigint NOT NULL CHECK (n_texts >= 2),
    merged_into text REFERENCES theme CHECK (merged_into <> id),
    fit_id integer NOT NULL REFERENCES theme_fit,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN theme.name_by IS 'the person who named it; null: made by the fit, and made anew by the next';
COMMENT ON COLUMN theme.fit_id IS 'the latest fit that has it';

CREATE TABLE theme_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fit_id integer NOT NULL REFERENCES theme_fit,
    kind text NOT NULL CHECK (kind IN ('survived', 'born', 'died', 'split', 'merged')),
    theme text NOT NULL,
    other text,
    n_shared bigint NOT NULL CHECK (n_shared >= 0),
    share double precision NOT NULL CHECK (share BETWEEN 0 AND 1)
);
CREATE INDEX theme_event_fit_id_idx ON theme_event (fit_id, id);
COMMENT ON TABLE theme_event IS 'lineage: what a refit did to each theme';

CREATE TABLE theme_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    theme_id text NOT NULL REFERENCES theme,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL CHECK (who <> ''),
    action text NOT NULL CHECK (action IN ('found', 'name', 'owner', 'merged')),
    changes jsonb NOT NULL CHECK (jsonb_typeof(changes) = 'object'),
    note text
);
CREATE INDEX theme_history_theme_id_idx ON theme_history (theme_id, id);
COMMENT ON COLUMN theme_history.changes IS 'field -> [before, after]';
CREATE TRIGGER theme_history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON theme_history
    FOR EACH STATEMENT EXECUTE FUNCTION voc_append_only();

CREATE TABLE feedback_theme (
    feedback_id bigint NOT NULL REFERENCES feedback ON DELETE CASCADE,
    fit_id integer NOT NULL REFERENCES theme_fit,
    theme_id text REFERENCES theme,
    similarity real NOT NULL CHECK (similarity BETWEEN -1.001 AND 1.001),
    PRIMARY KEY (feedback_id, fit_id)
);
CREATE INDEX feedback_theme_fit_id_idx ON feedback_theme (fit_id, theme_id);
COMMENT ON COLUMN feedback_theme.theme_id IS 'null: none';
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(STATEMENTS)
