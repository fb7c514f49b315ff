"""Root causes keep how long after the deviation the outcome was said, and the dose-response."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = """
ALTER TABLE root_cause ADD COLUMN details jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object');
COMMENT ON COLUMN root_cause.details IS 'lag from deviation to outcome, and dose-response, where known';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(STATEMENTS)
