"""Text and Parquet to rows, strictly: the first fault ends reading, named by its row."""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from voc.columns import check_header, listed
from voc.errors import InputError
from voc.json_values import parse_json

_PEEK_ROWS = 100  # JSON Lines have no header: a field absent from the first rows is called missing
_UNDECODED = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are not UTF-8
_UNCLOSED = "unexpected end of data"  # the csv module's words for a quote that never closes

Row = dict[str, Any]


class _NotUtf8Error(Exception):
    """A line holds a byte that is not UTF-8."""


def csv_rows(path: str, text: Iterable[str], required: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of CSV; `text` gives lines decoded with "surrogateescape". Blank lines are no rows."""
    csv.field_size_limit(1 << 30)
    records = (cells for cells in csv.reader(_utf8(text), strict=True) if cells)
    row: int | None = None  # which is being read; None: the header
    try:
        header = next(records, [])
        check_header(header, required, path=path)
        for row in itertools.count(1):
            cells = next(records, None)
            if cells is None:
                break
            if len(cells) != len(header):
                raise InputError(
                    f"has {len(cells)} fields, the header {len(header)}", file=path, row=row,
                    remedy="check quotes and separators",
                )  # fmt: skip
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        reason = "has a quote that never closes" if str(error) == _UNCLOSED else f"is not CSV ({error})"
        raise InputError(reason, file=path, row=row, remedy="check quotes and separators") from error
    except _NotUtf8Error as error:
        raise InputError(f"is not UTF-8 ({error})", file=path, row=row, remedy="save it as UTF-8") from error
    if row == 1:
        raise InputError("has a header and no rows", file=path, remedy="give a file with at least one row")


def json_rows(path: str, text: Iterable[str], required: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of JSON Lines; a field of `required` must be somewhere in the first rows, else it is None."""
    rows = _objects(path, text)
    first = list(itertools.islice(rows, _PEEK_ROWS))
    known = list(dict.fromkeys(key for row in first for key in row))
    for field in required:
        if field not in known:
            raise InputError(
                f"is missing; the fields are {listed(known)}", file=path, row=1, field=field,
                remedy="name the right field or add it",
            )  # fmt: skip
    absent = dict.fromkeys(required)
    yield from (absent | row for row in itertools.chain(first, rows))


def _objects(path: str, text: Iterable[str]) -> Iterator[Row]:
    number = 1
    try:
        for line in _utf8(text):
            if line.isspace():
                continue
            try:
                row = parse_json(line)
            except ValueError as error:
                raise InputError(str(error), file=path, row=number, remedy="mend the line") from error
            if not isinstance(row, dict):
                raise InputError(
                    "is not a JSON object", file=path, row=number, remedy="give one object a line"
                )
            yield row
            number += 1
    except _NotUtf8Error as error:
        raise InputError(
            f"is not UTF-8 ({error})", file=path, row=number, remedy="save it as UTF-8"
        ) from error


def parquet_rows(path: str, data: bytes, required: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of Parquet."""
    try:
        table = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise InputError("is not a whole Parquet file", file=path, remedy="write it again") from error
    check_header(table.columns, required, path=path)
    if not table.height:
        raise InputError("has columns and no rows", file=path, remedy="give a file with at least one row")
    yield from table.iter_rows(named=True)


def _utf8(text: Iterable[str]) -> Iterator[str]:
    for line in text:
        if not line.isascii() and (wrong := _UNDECODED.search(line)):
            raise _NotUtf8Error(f"byte {ord(wrong[0]) - 0xDC00:#04x}")
        yield line


def parse_table(data: bytes, kind: str, *, path: str) -> pl.DataFrame:
    """A whole table from the bytes of a file of `kind` (csv, jsonl, parquet); CSV columns as text.

    Raises
    ------
    InputError
        It cannot be read: with the row where reading row by row finds it. Never with content.
    """
    try:
        if kind == "parquet":
            return pl.read_parquet(io.BytesIO(data))
        if kind == "jsonl":
            return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        table = pl.read_csv(io.BytesIO(data), infer_schema=False)
        # Polars takes a blank line for a row without values.
        return table.filter(~pl.all_horizontal(pl.all().is_null()))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if kind == "parquet":
            raise InputError("is not a whole Parquet file", file=path, remedy="write it again") from error
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="surrogateescape", newline="")
        for _ in (json_rows if kind == "jsonl" else csv_rows)(path, text):
            pass  # reading to the first fault, which is raised
        raise InputError(
            f"cannot be read as {kind}",
            file=path,
            remedy="check that each row has the header's columns, and each field values of one kind",
        ) from error
