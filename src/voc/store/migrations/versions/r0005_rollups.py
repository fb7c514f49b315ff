"""Rollups: sums by hour, day and month that aggregates are answered from, and what waits to be added.

Triggers write what changed into `rollup_pending`, in the transaction that changed it; nothing waits for
anyone there. `voc.store.rollups` folds it into the sums, and reads sums and pending together.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_KEY = "model_id, level, dims, bucket, source, channel, segment, region, step, owner"
_COLUMNS = """
    model_id integer NOT NULL,
    level text NOT NULL,
    dims smallint NOT NULL,
    bucket timestamptz NOT NULL,
    source text NOT NULL,
    channel text NOT NULL,
    segment text NOT NULL,
    region text NOT NULL,
    step text NOT NULL,
    owner text NOT NULL"""

TABLES = f"""
CREATE TABLE rollup_level (
    level text NOT NULL CHECK (level IN ('hour', 'day', 'month')),
    dims smallint NOT NULL CHECK (dims BETWEEN 0 AND 63),
    PRIMARY KEY (level, dims)
);
COMMENT ON COLUMN rollup_level.dims IS
    'which dimensions are told apart: 1 source, 2 channel, 4 segment, 8 region, 16 step, 32 owner';
INSERT INTO rollup_level
SELECT level, dims FROM unnest(ARRAY['hour', 'day', 'month']) AS level,
    unnest(ARRAY[0, 1, 2, 4, 8, 15, 16, 31, 32, 47, 48, 63]) AS dims
UNION ALL SELECT 'day', unnest(ARRAY[3, 5, 6, 9, 10, 12]);

CREATE TABLE rollup_score ({_COLUMNS},
    n bigint NOT NULL,
    sum_score double precision NOT NULL,
    sum_squares double precision NOT NULL,
    n_negative bigint NOT NULL,
    n_neutral bigint NOT NULL,
    n_positive bigint NOT NULL,
    n_frustrated bigint NOT NULL,
    people bigint[] NOT NULL,
    PRIMARY KEY ({_KEY})
);
COMMENT ON COLUMN rollup_score.people IS 'the five smallest hashes of customers: whether there are five';

CREATE TABLE rollup_signal ({_COLUMNS},
    signal text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY ({_KEY}, signal)
);

CREATE TABLE rollup_rating ({_COLUMNS},
    n_nps bigint NOT NULL,
    n_promoters bigint NOT NULL,
    n_detractors bigint NOT NULL,
    n_csat bigint NOT NULL,
    n_satisfied bigint NOT NULL,
    sum_csat double precision NOT NULL,
    squares_csat double precision NOT NULL,
    n_ces bigint NOT NULL,
    sum_ces double precision NOT NULL,
    squares_ces double precision NOT NULL,
    people bigint[] NOT NULL,
    PRIMARY KEY ({_KEY})
);
COMMENT ON COLUMN rollup_rating.model_id IS 'always 0: no model makes a rating';

CREATE TABLE rollup_pending (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feedback_id bigint NOT NULL,
    model_id integer NOT NULL,
    sign smallint NOT NULL CHECK (sign IN (-1, 1)),
    gone boolean NOT NULL DEFAULT false,
    occurred_at timestamptz NOT NULL,
    source text NOT NULL,
    channel text NOT NULL,
    segment text NOT NULL,
    region text NOT NULL,
    person bigint NOT NULL,
    sentiment text,
    sentiment_score real,
    frustrated boolean,
    flags text[] NOT NULL DEFAULT '{{}}',
    nps real,
    csat real,
    ces real
);
COMMENT ON COLUMN rollup_pending.gone IS 'the feedback no longer counts, so its customer may not either';

CREATE FUNCTION voc_fewest(people bigint[], more bigint[]) RETURNS bigint[] IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    -- Five are as good as more: whoever asks wants to know whether there are five.
    IF cardinality(people) >= 5 THEN RETURN people; END IF;
    RETURN ARRAY(SELECT DISTINCT unnest(people || more) ORDER BY 1 LIMIT 5);
END $$;
CREATE AGGREGATE voc_people(bigint[]) (SFUNC = voc_fewest, STYPE = bigint[], INITCOND = '{{}}');

CREATE INDEX feedback_source_created_at_idx ON feedback (source, created_at);
"""  # noqa: S608

# Counted are verbatims and conversations as wholes, never their turns; a text's duplicates count once, but
# each rating counts: two customers may well tick the same box and write the same word.
COUNTED = "f.turn_index IS NULL AND (f.speaker IS NULL OR f.speaker = 'customer')"
_PERSON = """hashtextextended(coalesce(
        'customer ' || f.customer_ref, 'conversation ' || f.conversation_id, 'feedback ' || f.id), 0)"""
_WHERE_FROM = (
    "f.occurred_at, f.source, coalesce(f.channel, ''), coalesce(f.segment, ''), coalesce(f.region, '')"
)
_SCORE_INTO = """INSERT INTO rollup_pending (feedback_id, model_id, sign, gone, occurred_at, source, channel,
        segment, region, person, sentiment, sentiment_score, frustrated, flags)"""
_RATING_INTO = """INSERT INTO rollup_pending (feedback_id, model_id, sign, gone, occurred_at, source, channel,
        segment, region, person, nps, csat, ces)"""


def _scores(sign: str, gone: str, rows: str) -> str:
    return f"""{_SCORE_INTO}
    SELECT f.id, s.model_id, {sign}, {gone}, {_WHERE_FROM}, {_PERSON}, s.sentiment, s.sentiment_score,
        coalesce(s.frustration_flag, false), s.flags
    FROM {rows} WHERE s.supported AND f.duplicate_of IS NULL AND {COUNTED}"""  # noqa: S608


def _ratings(sign: str, gone: str, rows: str) -> str:
    return f"""{_RATING_INTO}
    SELECT f.id, 0, {sign}, {gone}, {_WHERE_FROM}, {_PERSON}, f.nps, f.csat, f.ces
    FROM {rows} WHERE coalesce(f.nps, f.csat, f.ces) IS NOT NULL AND {COUNTED}"""  # noqa: S608


_STAYS = """EXISTS (SELECT 1 FROM new_rows n
        WHERE n.feedback_id = s.feedback_id AND n.model_id = s.model_id AND n.supported)"""

TRIGGERS = f"""
CREATE FUNCTION voc_score_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {_scores("1", "false", "new_rows s JOIN feedback f ON f.id = s.feedback_id")};
    RETURN NULL;
END $$;
CREATE FUNCTION voc_score_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {_scores("-1", f"NOT {_STAYS}", "old_rows s JOIN feedback f ON f.id = s.feedback_id")};
    {_scores("1", "false", "new_rows s JOIN feedback f ON f.id = s.feedback_id")};
    RETURN NULL;
END $$;
CREATE FUNCTION voc_score_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {_scores("-1", "true", "old_rows s JOIN feedback f ON f.id = s.feedback_id")};
    RETURN NULL;
END $$;
CREATE TRIGGER score_added AFTER INSERT ON score REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION voc_score_added();
CREATE TRIGGER score_changed AFTER UPDATE ON score REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION voc_score_changed();
CREATE TRIGGER score_removed AFTER DELETE ON score REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION voc_score_removed();

CREATE FUNCTION voc_feedback_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {_ratings("1", "false", "new_rows f")};
    RETURN NULL;
END $$;
CREATE FUNCTION voc_feedback_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Its scores go with it, and by then it is no longer there to be asked.
    {_scores("-1", "true", "feedback f JOIN score s ON s.feedback_id = f.id")} AND f.id = OLD.id;
    {_ratings("-1", "true", "feedback f")} AND f.id = OLD.id;
    RETURN OLD;
END $$;
CREATE TRIGGER feedback_added AFTER INSERT ON feedback REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION voc_feedback_added();
CREATE TRIGGER feedback_removed BEFORE DELETE ON feedback
    FOR EACH ROW EXECUTE FUNCTION voc_feedback_removed();

-- What is there already waits to be folded like what comes.
{_scores("1", "false", "score s JOIN feedback f ON f.id = s.feedback_id")};
{_ratings("1", "false", "feedback f")};
"""


def upgrade() -> None:
    """Make the tables and triggers, and take in what is stored."""
    op.execute(TABLES)
    op.execute(TRIGGERS)
