"""The schema's version: bringing a database up to date, and saying where it stands."""

from dataclasses import dataclass
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from voc.errors import StoreError
from voc.store.engine import place, transaction

LOCK: Final = 0x766F63  # "voc"; one upgrade at a time in a database


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Which revision the database is at, which the code wants, and what lies between, oldest first."""

    current: str | None  # None: an empty database
    head: str
    pending: tuple[str, ...]
    newer: bool  # the database was upgraded by a later release than this code

    @property
    def ready(self) -> bool:
        """Whether this code can work with the database."""
        return not self.pending and not self.newer


def upgrade(engine: Engine) -> SchemaStatus:
    """Bring the schema up to date, in one transaction; several processes may try at once.

    Returns
    -------
    The status before: `pending` tells what was done.

    Raises
    ------
    StoreError
        The database belongs to a later release, or refuses.
    """
    with transaction(engine) as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        before = _status(conn)
        _must_not_be_newer(before, engine)
        if before.pending:
            config = _config()
            config.attributes["connection"] = conn
            command.upgrade(config, "head")
        return before


def status(engine: Engine) -> SchemaStatus:
    """Say where the schema stands; changes nothing."""
    with transaction(engine) as conn:
        return _status(conn)


def must_be_ready(engine: Engine) -> None:
    """Raise StoreError unless this code can work with the database."""
    found = status(engine)
    _must_not_be_newer(found, engine)
    if found.pending:
        raise StoreError(
            f"the database at {place(engine.url)} is {len(found.pending)} revisions behind; "
            "run `voc db upgrade`"
        )


def _must_not_be_newer(found: SchemaStatus, engine: Engine) -> None:
    if found.newer:
        raise StoreError(
            f"the database at {place(engine.url)} is at revision '{found.current}', which this release "
            f"of voc does not know (it ends at '{found.head}'); install the newer voc that upgraded it"
        )


def _status(conn: Connection) -> SchemaStatus:
    script = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(conn).get_current_revision()
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    newer = current is not None and current not in revisions
    done = revisions.index(current) + 1 if current in revisions else 0
    return SchemaStatus(current, revisions[-1], () if newer else tuple(revisions[done:]), newer)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "voc.store:migrations")
    config.set_main_option("path_separator", "os")
    return config
