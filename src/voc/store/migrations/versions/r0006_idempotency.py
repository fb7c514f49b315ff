"""Idempotency keys of requests, with what was answered."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = """
CREATE TABLE idempotency_key (
    key text PRIMARY KEY CHECK (key <> ''),
    request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    response jsonb CHECK (jsonb_typeof(response) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_key_created_at_idx ON idempotency_key (created_at);
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(STATEMENTS)
