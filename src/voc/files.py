"""Tables in and results out: files or `-`, CSV, JSON Lines, Parquet, gzipped or not."""

import errno
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import polars as pl

from voc.columns import check_header
from voc.errors import InputError, UsageError, VocError
from voc.row_readers import csv_rows, json_rows, parquet_rows, parse_table

_HEAD = 4096  # bytes looked at to tell the format
_NOT_OURS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # writing failed, though rightly asked for


def read_table(path: str, *, required: Sequence[str] = ()) -> pl.DataFrame:
    """Read a whole table with all CSV columns as text; blank lines are no rows.

    The format is told from the name (`.csv`, `.jsonl`, `.ndjson`, `.parquet`, with `.gz` or not);
    `-` and other names are told from their first bytes.

    Raises
    ------
    InputError
        The file is empty, of no known format, or lacks a column of `required`; a malformed row is
        named by its number.
    UsageError
        The file cannot be opened.
    """
    data = _read_bytes(path)
    if not data.strip():
        raise _empty(path)
    refuse_utf16(path, data[:2])
    table = parse_table(data, tell_format(path, data[:_HEAD]), path=path)
    check_header(table.columns, required, path=path)
    return table


def stream_rows(path: str, *, required: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows of a table one by one, in constant memory but for Parquet; blank lines are no rows.

    Each row has the fields of `required`: a JSON object that leaves one out gets None for it.

    Raises
    ------
    InputError
        As `read_table`; also where there is no row.
    UsageError
        The file cannot be opened.
    """
    raw: BinaryIO
    try:
        raw = sys.stdin.buffer if path == "-" else Path(path).open("rb")  # noqa: SIM115 - closed by `with raw` below
    except (OSError, ValueError) as error:
        raise unopened(path, error) from error
    with raw:
        try:
            yield from _rows(path, raw, required)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError("is not a whole gzip file", file=path, remedy="fetch it again") from error


def _rows(path: str, raw: BinaryIO, required: Sequence[str]) -> Iterator[dict[str, Any]]:
    buffered: Any = raw if hasattr(raw, "peek") else io.BufferedReader(raw)
    if buffered.peek(2)[:2] == b"\x1f\x8b":
        buffered = io.BufferedReader(gzip.GzipFile(fileobj=buffered))
    head = buffered.peek(_HEAD)
    if not head.strip() and len(head) < _HEAD:
        raise _empty(path)
    refuse_utf16(path, head[:2])
    kind = tell_format(path, head)
    if kind == "parquet":
        yield from parquet_rows(path, buffered.read(), required)
        return
    with io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        yield from (json_rows if kind == "jsonl" else csv_rows)(path, text, required)


def _read_bytes(path: str) -> bytes:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise unopened(path, error) from error
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError("is not a whole gzip file", file=path, remedy="fetch it again") from error
    return data


def unopened(path: str, error: OSError | ValueError) -> UsageError:
    """The error for an input that cannot be opened."""
    reason = getattr(error, "strerror", None) or "not a file name"
    return UsageError(f"{path}: cannot be opened ({reason}); check the path")


def tell_format(path: str, head: bytes) -> str:
    """Tell csv, jsonl or parquet from a file's name and first bytes.

    Raises
    ------
    InputError
        It is none of the three.
    """
    name = path.lower().removesuffix(".gz")
    if head[:4] == b"PAR1":
        return "parquet"
    start = head.lstrip(b" \t\r\n\xef\xbb\xbf\xff\xfe\0")[:1]
    if name.endswith((".jsonl", ".ndjson")) or (start == b"{" and not name.endswith((".csv", ".tsv"))):
        return "jsonl"
    if name.endswith(".json") or (start == b"[" and not name.endswith((".csv", ".tsv"))):
        raise InputError(
            "is one JSON document, not JSON Lines", file=path, remedy="write one object a line (jq -c '.[]')"
        )
    if name.endswith((".xls", ".xlsx", ".parquet", ".zip")) or head[:4] == b"PK\x03\x04":
        raise InputError(
            "is not CSV, JSON Lines or Parquet", file=path, remedy="export it as one of the three"
        )
    return "csv"


def refuse_utf16(path: str, head: bytes) -> None:
    """Raise InputError where a file begins with the mark of UTF-16."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError("is UTF-16, not UTF-8", file=path, remedy="save it as UTF-8")


def _empty(path: str) -> InputError:
    return InputError("is empty", file=path, remedy="give a file with a header and at least one row")


def check_output(path: str | None) -> None:
    """Raise UsageError where `path` cannot become a file: to be asked before long work."""
    if path is None or path == "-":
        return
    if Path(path).is_dir():
        raise UsageError(f"{path}: is a folder; name a file in it")
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise UsageError(f"{path}: its folder is not there; make it, or check the path")


@contextmanager
def open_output(path: str | None) -> Iterator[TextIO]:
    """Open `path` for writing text (gzip by name), or stdout where it is None or `-`.

    A file appears under its name only when all was written: a failed run leaves nothing half-written.
    """
    if path is None or path == "-":
        with _told("stdout"):
            yield sys.stdout
            sys.stdout.flush()
        return
    with open_binary_output(path) as raw:
        stream: Any = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if path.endswith(".gz") else raw
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()  # before the stream closes: detaching flushes once more
        if stream is not raw:
            stream.close()


@contextmanager
def open_binary_output(path: str) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; a regular file appears, or is replaced, when all was written.

    A link stays, and what it leads to is replaced. A device or a pipe is written to as it is.
    """
    check_output(path)
    target = Path(os.path.realpath(path))
    with _told(path):
        if target.exists() and not target.is_file():
            with target.open("wb") as raw:
                yield raw
            return
        part = target.with_name(f".{target.name}.part")
        try:
            with part.open("wb") as raw:
                yield raw
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn errors of writing to `path` into ours; a reader that went away stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in _NOT_OURS:
            raise VocError(
                f"{path}: cannot be written ({error.strerror}); free space and run again"
            ) from error
        raise UsageError(f"{path}: cannot be written ({error.strerror}); check the path") from error


def write_json_lines(rows: Iterable[Mapping[str, Any]], path: str | None) -> int:
    """Write one JSON object a line; return how many."""
    n_rows = 0
    with open_output(path) as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, separators=(", ", ": ")) + "\n")
            n_rows += 1
    return n_rows
