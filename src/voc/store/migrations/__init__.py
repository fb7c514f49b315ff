"""Alembic migrations, oldest first; `voc.store.schema` runs them, never the `alembic` command."""
