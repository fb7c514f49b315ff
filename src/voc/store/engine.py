"""The way to the database: opening it, one transaction at a time, and its errors in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from voc.errors import StoreError
from voc.store import embedded

MIN_VERSION: Final = 15
CONNECT_TIMEOUT_S: Final = 5
DRIVERS: Final = ("postgresql", "postgres", "postgresql+psycopg")

# What to do about an error, by SQLSTATE (PostgreSQL documentation, appendix A) or its class.
REMEDIES: Final = {
    "28": "check the user and password in VOC_DATABASE_URL",
    "3D000": "create the database, or name another in VOC_DATABASE_URL",
    "40": "another process was writing the same rows; run it again",
    "42P01": "run `voc db upgrade`",
    "42703": "run `voc db upgrade`",
    "42501": "grant the database user this right, or use its owner",
    "53100": "the database's disk is full; free space",
    "53300": "too many connections; end some, or raise max_connections",
    "55P03": "another process holds a lock; run it again",
    "57014": "it took too long; ask for less, or raise statement_timeout",
    "57P": "the database was stopped; start it and run again",
    "08": "the connection broke; run it again",
}


def connect(database_url: str | None = None, data_dir: Path | None = None) -> Engine:
    """Open the database and check that it answers and is new enough.

    `dispose()` of the engine, or the end of the process, lets go of the embedded server.

    Parameters
    ----------
    database_url : `postgresql://user:password@host:port/name`; None for the embedded server
    data_dir : folder of the embedded server; needed where `database_url` is None

    Raises
    ------
    StoreError
        The URL is wrong, nothing answers within seconds, or the server is older than PostgreSQL 15.
    """
    if database_url is None:
        if data_dir is None:
            raise StoreError("no database is named; set VOC_DATABASE_URL or VOC_HOME")
        server = embedded.start(data_dir)
        try:
            engine = open_engine(server.url())
        except StoreError:
            server.release()
            raise
        event.listen(engine, "engine_disposed", lambda _engine: server.release(), once=True)
        return engine
    return open_engine(parse_url(database_url))


def parse_url(database_url: str) -> URL:
    """Read a URL in any of the forms in use, and give it our driver."""
    try:
        url = make_url(database_url.strip())
    except (ArgumentError, ValueError) as error:  # their text may hold the password
        raise StoreError(
            "VOC_DATABASE_URL is not a URL; write postgresql://user:password@host:5432/name "
            "(with %40 for an @ in the password)"
        ) from error
    if url.drivername not in DRIVERS:
        raise StoreError(
            f"VOC_DATABASE_URL names '{url.drivername}'; only PostgreSQL is supported: "
            "postgresql://user:password@host:5432/name"
        )
    return url.set(drivername="postgresql+psycopg")


def open_engine(url: URL) -> Engine:
    """An engine whose connections speak UTC and never show values in errors; checked by one connection."""
    engine = create_engine(
        url,
        pool_pre_ping=True,
        hide_parameters=True,  # they hold what customers wrote
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "voc"},
    )
    event.listen(engine, "connect", _use_utc)
    try:
        with engine.connect() as conn:
            number = conn.execute(text("SHOW server_version_num")).scalar_one()
    except SQLAlchemyError as error:
        engine.dispose()
        raise store_error(error, url) from error
    try:
        check_version(int(number), url)
    except StoreError:
        engine.dispose()
        raise
    return engine


def check_version(number: int, url: URL) -> None:
    """Refuse a server that is too old; `number` is its `server_version_num`, such as 150004."""
    if number < MIN_VERSION * 10_000:
        raise StoreError(
            f"the database at {place(url)} is PostgreSQL {number // 10_000}; "
            f"voc needs {MIN_VERSION} or newer: upgrade the server"
        )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back on any error; used by the outermost code alone.

    Raises
    ------
    StoreError
        The database is down or refuses. Nothing of the transaction was kept.
    """
    try:
        with engine.begin() as conn:
            yield conn
    except (SQLAlchemyError, psycopg.Error) as error:
        raise store_error(error, engine.url) from error


def store_error(error: Exception, url: URL) -> StoreError:
    """Put a driver's error into words that name place and remedy, and no value of any row."""
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if isinstance(cause, psycopg.OperationalError) and state is None:
        return StoreError(
            f"no database answers at {place(url)} ({_reason(cause, url)}); "
            "start it, or check VOC_DATABASE_URL"
        )
    diag = getattr(cause, "diag", None)
    what = " of ".join(
        part for part in (getattr(diag, "constraint_name", None), getattr(diag, "table_name", None)) if part
    )
    remedies = (REMEDIES[key] for key in (state, (state or "")[:3], (state or "")[:2]) if key in REMEDIES)
    remedy = next(remedies, "check the values against the schema" if what else "see the database's log")
    name = type(cause).__name__
    return StoreError(
        f"the database at {place(url)} refuses ({name}{', ' + what if what else ''}"
        f"{', SQLSTATE ' + state if state else ''}); {remedy}"
    )


def place(url: URL) -> str:
    """Where a database is, without user or password."""
    socket = url.query.get("host")
    host = url.host or (socket if isinstance(socket, str) else None) or "localhost"
    return f"{host}:{url.port or url.query.get('port') or 5432}/{url.database or ''}"


def _reason(error: psycopg.OperationalError, url: URL) -> str:
    """The driver's last words, such as "Connection refused", without its advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if "failed:" in line or "FATAL:" in line), lines[0] if lines else "")
    said = said.rsplit("FATAL:", 1)[-1].rsplit("failed:", 1)[-1].strip() or "no answer"
    password = url.password
    return said.replace(password, "***") if password else said


def _use_utc(dbapi_connection: Any, _record: Any) -> None:
    autocommit = dbapi_connection.autocommit
    dbapi_connection.autocommit = True
    dbapi_connection.execute("SET TIME ZONE 'UTC'")
    dbapi_connection.autocommit = autocommit
