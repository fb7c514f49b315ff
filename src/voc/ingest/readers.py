"""Files to raw rows: CSV, JSON Lines and Parquet, gzipped or not, in constant memory but for Parquet."""

import contextlib
import gzip
import io
import itertools
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import polars as pl

from voc.errors import InputError
from voc.files import tell_format, unopened
from voc.ingest.columns import check_columns
from voc.ingest.csv_rows import csv_rows
from voc.ingest.encoding import sniff_encoding
from voc.ingest.lines import LongLine, read_lines
from voc.ingest.quarantine import LINE, BadRow
from voc.ingest.rules import FormatHint
from voc.json_values import parse_json, storable

_PEEK_ROWS = 100  # JSON Lines have no header: a field absent from the first rows is called missing
_BINARY = (b"PAR1", b"PK\x03\x04")  # signs of Parquet and of spreadsheets, which no mapping overrules
_HEAD = 4096  # bytes looked at to tell format and encoding

RawRow = tuple[int, dict[str, Any] | BadRow]
"""Row number, from 1, header left out; and the row, or why it could not be cut into fields."""


@dataclass(slots=True)
class ReaderState:
    """What a reader tells while it runs."""

    encoding: str = "utf-8"
    lines_not_utf8: int = 0  # read as Windows-1252 or Latin-1, since they are not UTF-8
    done: int = 0  # bytes of the file (compressed ones where it is gzipped), or rows of Parquet
    total: int | None = None  # None where it can't be known (stdin)


def read_rows(
    path: str | Path,
    hint: FormatHint | None = None,
    *,
    needed: Sequence[tuple[str, ...]] = (),
    state: ReaderState | None = None,
) -> Iterator[RawRow]:
    """Read a file's rows one by one.

    Parameters
    ----------
    path : file name, or `-` for stdin
    hint : what the mapping says of the format; the rest is told from the first bytes, then the name
    needed : groups of columns, of each of which at least one must be there
    state : filled while rows are read

    Raises
    ------
    InputError
        At once: the file is empty, of no known format, or lacks a column. Later: a gzip file breaks off.
    UsageError
        The file cannot be opened.
    """
    rows = _read(str(path), hint or FormatHint(), needed, state or ReaderState())
    # The generator gives one item when all is checked, so that errors come at once, not at first use.
    next(rows)
    return rows  # type: ignore[return-value]  # the marker is taken


def _read(
    path: str, hint: FormatHint, needed: Sequence[tuple[str, ...]], state: ReaderState
) -> Iterator[RawRow | None]:
    with contextlib.ExitStack() as stack:
        raw = _open(path, stack)
        state.total = Path(path).stat().st_size if path != "-" else None
        try:
            stream, head = _unzipped(raw, path, stack)
            if not head.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\0") and len(head) < _HEAD:
                raise _empty(path)
            told = tell_format(path, head) if hint.type is None or head[:4] in _BINARY else hint.type
            if hint.type not in (None, told):
                raise InputError(
                    f"is {told}, not {hint.type}", file=path, remedy="correct format.type in the mapping"
                )
            kind = told
            if kind == "parquet":
                yield from _parquet(path, stream, needed, state)
                return
            state.encoding = hint.encoding or sniff_encoding(head)
            lines = _counted(read_lines(stream, state.encoding), raw, path, state)
            if kind == "csv":
                _refuse_bare_returns(path, head)
                yield from csv_rows(lines, path, delimiter=hint.delimiter, needed=needed)
            else:
                yield from _json_rows(lines, path, needed)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError("is not a whole gzip file", file=path, remedy="fetch it again") from error
        except OSError as error:
            raise InputError(
                f"cannot be read ({error.strerror})", file=path, remedy="fetch it again"
            ) from error


def _open(path: str, stack: contextlib.ExitStack) -> "io.BufferedReader[Any]":
    if path == "-":
        stdin = sys.stdin.buffer
        return stdin if isinstance(stdin, io.BufferedReader) else io.BufferedReader(io.BytesIO(stdin.read()))
    try:
        return stack.enter_context(Path(path).open("rb"))
    except (OSError, ValueError) as error:
        raise unopened(path, error) from error


def _unzipped(
    raw: "io.BufferedReader[Any]", path: str, stack: contextlib.ExitStack
) -> "tuple[io.BufferedReader[Any], bytes]":
    head = raw.peek(_HEAD)[:_HEAD]
    if head[:2] != b"\x1f\x8b":
        if not head:
            raise _empty(path)
        return raw, head
    unzipped = stack.enter_context(gzip.GzipFile(fileobj=raw))
    stream = io.BufferedReader(unzipped, buffer_size=1 << 18)
    return stream, stream.peek(_HEAD)[:_HEAD]


def _refuse_bare_returns(path: str, head: bytes) -> None:
    if b"\r" in head and b"\n" not in head:
        raise InputError(
            "ends its lines with a bare carriage return", file=path, remedy="save it with line feeds"
        )


def _counted(
    lines: Iterator[tuple[str | LongLine, bool]], raw: IO[bytes], path: str, state: ReaderState
) -> Iterator[str | LongLine]:
    seekable = path != "-"
    for i, (line, is_utf8) in enumerate(lines):
        if not is_utf8:
            state.lines_not_utf8 += 1
            state.encoding = "utf-8, some lines cp1252"
        if seekable and i % 256 == 0:
            state.done = raw.tell()
        yield line
    state.done = state.total or 0


def _json_rows(
    lines: Iterator[str | LongLine], path: str, needed: Sequence[tuple[str, ...]]
) -> Iterator[RawRow | None]:
    rows = _parsed_lines(lines)
    first = list(itertools.islice(rows, _PEEK_ROWS))
    if not first:
        raise _empty(path)
    found = {key: None for _, row in first if isinstance(row, dict) for key in row}
    if found:
        check_columns(list(found), needed, path=path)
    yield None
    yield from first
    yield from rows


def _parsed_lines(lines: Iterator[str | LongLine]) -> Iterator[RawRow]:
    n_rows = 0
    for line in lines:
        if isinstance(line, LongLine):
            n_rows += 1
            yield n_rows, line.as_bad_row()
            continue
        if not line or line.isspace():
            continue
        n_rows += 1
        try:
            row = parse_json(line)
        except ValueError as error:
            yield n_rows, BadRow({LINE: storable(line.rstrip("\r\n"))}, str(error), "mend the line")
            continue
        if not isinstance(row, dict):
            remedy = "write one {...} object a line"
            yield n_rows, BadRow({LINE: storable(line.rstrip("\r\n"))}, "is JSON, but not an object", remedy)
            continue
        yield n_rows, row


def _parquet(
    path: str, stream: IO[bytes], needed: Sequence[tuple[str, ...]], state: ReaderState
) -> Iterator[RawRow | None]:
    data: Any = io.BytesIO(stream.read())
    try:
        table = pl.read_parquet(data)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise InputError("is not a whole Parquet file", file=path, remedy="write it again") from error
    check_columns(table.columns, needed, path=path)
    if table.height == 0:
        raise _empty(path)
    yield None
    state.encoding, state.total, state.done = "utf-8", table.height, 0
    for chunk in table.iter_slices(10_000):
        for row in chunk.iter_rows(named=True):
            state.done += 1
            yield state.done, row


def _empty(path: str) -> InputError:
    return InputError("is empty", file=path, remedy="give a file with at least one row")
