"""A real PostgreSQL for tests: one embedded server for all, a fresh database for each."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from voc.store import embedded
from voc.store.engine import open_engine
from voc.store.schema import upgrade

TEMPLATE = "voc_template"


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that root's PostgreSQL can reach too, which pytest's own temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="voc-"))
    folder.chmod(0o711)
    yield folder / "pg"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server(server_folder: Path) -> Iterator[embedded.Server]:
    """The embedded server, with an up-to-date database to copy."""
    server = embedded.start(server_folder, durable=False)
    _run(server, f"CREATE DATABASE {TEMPLATE} OWNER {embedded.OWNER}")
    engine = open_engine(server.url(TEMPLATE))
    upgrade(engine)
    engine.dispose()
    yield server
    server.release()


@pytest.fixture
def empty_store(server: embedded.Server) -> Iterator[Engine]:
    """A database without any table."""
    with database(server, "template1") as engine:
        yield engine


@pytest.fixture
def store(server: embedded.Server) -> Iterator[Engine]:
    """A database that is up to date and holds nothing."""
    with database(server, TEMPLATE) as engine:
        yield engine


@pytest.fixture
def store_url(store: Engine) -> str:
    """The URL of the test's database, as VOC_DATABASE_URL takes it."""
    return store.url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def database(server: embedded.Server, template: str) -> Iterator[Engine]:
    """A fresh database, dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    _run(server, f"CREATE DATABASE {name} OWNER {embedded.OWNER} TEMPLATE {template} STRATEGY file_copy")
    engine = open_engine(server.url(name))
    yield engine
    engine.dispose()
    _run(server, f"DROP DATABASE {name} WITH (FORCE)")


def _run(server: embedded.Server, statement: str) -> None:
    engine = create_engine(
        server.url(embedded.ADMIN, user=embedded.ADMIN), isolation_level="AUTOCOMMIT", hide_parameters=True
    )
    with engine.connect() as conn:
        conn.execute(text(statement))
    engine.dispose()
