"""Bulk writing: rows go by COPY into a temporary table, and from there by one INSERT that knows conflicts."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from voc.errors import InputError


def stage(
    conn: Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    extra: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Copy rows into the temporary table `staged_<table>`, made anew and dropped at commit.

    Parameters
    ----------
    columns : which of `table`'s columns it takes
    extra : further columns, name -> type
    rows : one value for each of `columns`, then of `extra`

    Returns
    -------
    How many rows were copied.

    Raises
    ------
    InputError
        A value holds what PostgreSQL cannot keep (NUL, half a surrogate pair); names the row, counted
        from 1, and not the value.
    """
    name = f"staged_{table}"
    # Names come from this package alone, never from outside.
    shape = ", ".join([*columns, *(f"NULL::{kind} AS {column}" for column, kind in extra.items())])
    conn.execute(text(f"DROP TABLE IF EXISTS pg_temp.{name}"))
    conn.execute(
        text(f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT {shape} FROM {table} WITH NO DATA")  # noqa: S608
    )
    return copy_rows(conn, name, [*columns, *extra], rows)


def copy_rows(conn: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Copy rows into a table; any conflict fails the transaction. Returns how many."""
    driver: Any = conn.connection.driver_connection
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    n_rows = 0
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            n_rows += 1
            try:
                copy.write_row(row)
            except (psycopg.DataError, UnicodeEncodeError) as error:
                raise InputError(
                    f"holds characters that cannot be stored ({type(error).__name__})",
                    row=n_rows,
                    remedy="remove NUL characters and half surrogate pairs",
                ) from None
    return n_rows
