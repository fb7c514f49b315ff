"""Tables in and results out: files or `-`, CSV, JSON Lines, Parquet, gzipped or not."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import polars as pl

from voc.errors import InputError, UsageError


def read_table(path: str, *, required: Sequence[str] = ()) -> pl.DataFrame:
    """Read a whole table with all CSV columns as text.

    The format is told from the name (`.csv`, `.jsonl`, `.ndjson`, `.parquet`, with `.gz` or not);
    `-` and other names are told from their first bytes.

    Raises
    ------
    InputError
        The file is empty, of no known format, or lacks a column of `required`.
    UsageError
        The file cannot be opened.
    """
    data = _read_bytes(path)
    kind = _sniff(path, data)
    if not data.strip():
        raise InputError("is empty", file=path, remedy="give a file with a header and at least one row")
    try:
        if kind == "parquet":
            table = pl.read_parquet(io.BytesIO(data))
        elif kind == "jsonl":
            table = pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        else:
            table = pl.read_csv(io.BytesIO(data), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"cannot be read as {kind} ({str(error).splitlines()[0]})",
            file=path,
            remedy="check that the file is UTF-8 and that each row has the header's columns",
        ) from error
    for column in required:
        if column not in table.columns:
            raise InputError(
                f"column is missing; the columns are {', '.join(table.columns)}",
                file=path,
                field=column,
                remedy="rename a column or add it",
            )
    return table


def stream_rows(path: str, *, required: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows of a table one by one, in constant memory (Parquet: a row group at a time).

    Raises
    ------
    InputError
        As `read_table`; a malformed line is named by its row.
    UsageError
        The file cannot be opened.
    """
    raw: BinaryIO
    try:
        raw = sys.stdin.buffer if path == "-" else Path(path).open("rb")  # noqa: SIM115 - closed by `with raw` below
    except OSError as error:
        raise UsageError(f"{path}: cannot be opened ({error.strerror}); check the path") from error
    with raw:
        try:
            text, rows = _open_rows(path, raw)
            for number, row in enumerate(rows, start=1):
                for column in required:
                    if column not in row:
                        raise InputError(
                            f"is missing; the fields are {', '.join(map(str, row))}",
                            file=path, row=number, field=column, remedy="name the right field or add it",
                        )  # fmt: skip
                yield row
        except UnicodeDecodeError as error:
            raise InputError(
                f"is not UTF-8 (byte {error.object[error.start]:#04x})", file=path, remedy="save it as UTF-8"
            ) from error
        except (OSError, EOFError) as error:
            raise InputError("is not a whole gzip file", file=path, remedy="fetch it again") from error
        text.close()


def _open_rows(path: str, raw: BinaryIO) -> tuple[Any, Iterator[dict[str, Any]]]:
    buffered: Any = raw if hasattr(raw, "peek") else io.BufferedReader(raw)
    if buffered.peek(2)[:2] == b"\x1f\x8b":
        buffered = io.BufferedReader(gzip.GzipFile(fileobj=buffered))
    head = buffered.peek(4096)
    if not head.strip():
        raise InputError("is empty", file=path, remedy="give a file with a header and at least one row")
    kind = _sniff(path, head)
    if kind == "parquet":
        return buffered, _parquet_rows(path, buffered)
    text = io.TextIOWrapper(buffered, encoding="utf-8-sig", newline="")
    return text, _json_rows(path, text) if kind == "jsonl" else _csv_rows(path, text)


def _csv_rows(path: str, text: TextIO) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 30)
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader)
        for number, row in enumerate(reader, start=1):
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"has {len(row)} fields, the header {len(header)}", file=path, row=number,
                    remedy="check quotes and separators",
                )  # fmt: skip
            yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise InputError(f"is not CSV ({error})", file=path, remedy="check quotes and separators") from error


def _json_rows(path: str, text: TextIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"is not JSON ({error.msg}, column {error.colno})",
                file=path,
                row=number,
                remedy="mend the line",
            ) from error
        if not isinstance(row, dict):
            raise InputError("is not a JSON object", file=path, row=number, remedy="give one object a line")
        yield row


def _parquet_rows(path: str, raw: Any) -> Iterator[dict[str, Any]]:
    try:
        table = pl.read_parquet(raw.read())
    except pl.exceptions.PolarsError as error:
        raise InputError("is not a Parquet file", file=path, remedy="write it again") from error
    yield from table.iter_rows(named=True)


def _read_bytes(path: str) -> bytes:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be opened ({error.strerror}); check the path") from error
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise InputError("is not a whole gzip file", file=path, remedy="fetch it again") from error
    return data


def _sniff(path: str, data: bytes) -> str:
    name = path.lower().removesuffix(".gz")
    if name.endswith(".parquet") or data[:4] == b"PAR1":
        return "parquet"
    if name.endswith((".jsonl", ".ndjson")) or data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        return "jsonl"
    return "csv"


@contextmanager
def open_output(path: str | None) -> Iterator[TextIO]:
    """Open `path` for writing text (gzip by name), or stdout where it is None or `-`.

    A file appears under its name only when all was written: a failed run leaves nothing half-written.
    """
    if path is None or path == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        raw: BinaryIO
        with part.open("wb") as raw:
            stream: Any = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if path.endswith(".gz") else raw
            text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
            yield text
            text.flush()
            text.detach()  # before the stream closes: detaching flushes once more
            if stream is not raw:
                stream.close()
        part.replace(target)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); check the path") from error
    finally:
        part.unlink(missing_ok=True)


def write_json_lines(rows: Iterable[Mapping[str, Any]], path: str | None) -> int:
    """Write one JSON object a line; return how many."""
    n_rows = 0
    with open_output(path) as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, separators=(", ", ": ")) + "\n")
            n_rows += 1
    return n_rows
