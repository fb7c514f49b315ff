"""The database that commands work on: the one VOC_DATABASE_URL names, else an embedded one in VOC_HOME."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from voc.errors import VocError
from voc.store.engine import connect
from voc.store.schema import must_be_ready, upgrade

ROOT_HOME: Final = Path("/var/lib/voc")  # root's own folder is closed to the account PostgreSQL runs as


def open_store(*, ready: bool = True) -> Engine:
    """Open the database; the embedded one is brought up to date, another must be (`voc db upgrade`).

    Parameters
    ----------
    ready : False leaves the schema as it is

    Raises
    ------
    StoreError
        The database is down, too old, or its schema is not that of this release.
    """
    url = os.environ.get("VOC_DATABASE_URL") or None
    engine = connect(url, home_folder() / "pg")
    try:
        if ready and url is None:
            upgrade(engine)
        elif ready:
            must_be_ready(engine)
    except VocError:
        engine.dispose()
        raise
    return engine


@contextmanager
def using_store(*, ready: bool = True) -> Iterator[Engine]:
    """The database as `open_store` gives it, let go of at the end."""
    engine = open_store(ready=ready)
    try:
        yield engine
    finally:
        engine.dispose()


def home_folder() -> Path:
    """Where voc keeps its data: VOC_HOME, else the platform's folder for a user's data."""
    chosen = os.environ.get("VOC_HOME")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0:
        return ROOT_HOME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "voc"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "voc"
