"""Lines to CSV rows, strictly: a line that breaks the quoting is set aside, and reading goes on after it."""

import csv
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

from voc.errors import InputError
from voc.ingest.columns import check_columns
from voc.ingest.lines import MAX_LINE, LongLine
from voc.ingest.quarantine import COLUMNS, LINE, BadRow
from voc.json_values import storable

_UNCLOSED = "unexpected end of data"  # the csv module's words for a quote that never closes


class _RecordTooLongError(Exception):
    """A record's lines add up to more than the limit: most likely a quote that never closes."""


class _Lines:
    """The lines of the record being read, so that a broken one can be given back but for its first."""

    def __init__(self, lines: Iterator[str | LongLine]) -> None:
        self._lines = lines
        self._given_back: deque[str] = deque()
        self.taken: list[str] = []
        self._size = 0
        self.too_long: LongLine | None = None

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self.too_long is not None:
            raise StopIteration
        if self._given_back:
            line = self._given_back.popleft()
        else:
            upcoming = next(self._lines)
            if isinstance(upcoming, LongLine):
                # Ends the record before it; the reader's caller takes it from here.
                self.too_long = upcoming
                raise StopIteration
            line = upcoming
        self.taken.append(line)
        self._size += len(line)
        if self._size > MAX_LINE:
            raise _RecordTooLongError
        return line

    def start_record(self) -> None:
        self.taken = []
        self._size = 0

    def give_back_but_first(self) -> str:
        first, rest = self.taken[0], self.taken[1:]
        self._given_back.extendleft(reversed(rest))
        return first


def csv_rows(
    lines: Iterator[str | LongLine], path: str, *, delimiter: str, needed: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int, dict[str, Any] | BadRow] | None]:
    """Give None when the header is right, then each row with its number.

    Raises
    ------
    InputError
        There is no row, or the header lacks a needed column or names one twice.
    """
    records = _records(lines, delimiter)
    header = next((cells for cells in records if cells), None)
    if header is None:
        raise InputError("is empty", file=path, remedy="give a file with at least one row")
    if isinstance(header, BadRow):
        raise InputError(f"header {header.reason}", file=path, remedy=header.remedy)
    columns = [name.strip() for name in header]
    _check_header(columns, path, delimiter, needed)
    first = next((cells for cells in records if cells), None)
    if first is None:
        raise InputError("has a header and no rows", file=path, remedy="give a file with at least one row")
    yield None

    n_columns, n_rows, cells = len(columns), 0, first
    while True:
        if cells:
            n_rows += 1
            if isinstance(cells, BadRow):
                if LINE in cells.raw:
                    cells = BadRow({**cells.raw, COLUMNS: columns}, cells.reason, cells.remedy)
                yield n_rows, cells
            elif len(cells) == n_columns:
                yield n_rows, dict(zip(columns, cells, strict=True))
            elif len(cells) > n_columns and not any(cells[n_columns:]):
                yield n_rows, dict(zip(columns, cells, strict=False))  # a spreadsheet's empty last cells
            else:
                yield n_rows, _wrong_width(cells, columns, delimiter)
        upcoming = next(records, None)
        if upcoming is None:
            return
        cells = upcoming


def _records(lines: Iterator[str | LongLine], delimiter: str) -> Iterator[list[str] | BadRow]:
    # The module's limit is the process's; it is only ever raised here.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    source = _Lines(lines)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.start_record()
        try:
            yield next(reader)
        except StopIteration:
            if source.too_long is None:
                return
            yield source.too_long.as_bad_row()
            source.too_long = None
            reader = csv.reader(source, delimiter=delimiter, strict=True)
        except (csv.Error, _RecordTooLongError) as error:
            unclosed = isinstance(error, _RecordTooLongError) or str(error) == _UNCLOSED
            reason = "has a quote that never closes" if unclosed else f"is not CSV ({error})"
            first = source.give_back_but_first()
            remedy = 'double each quote within a quoted field ("") and close the field'
            yield BadRow({LINE: storable(first.rstrip("\r\n"))}, reason, remedy)
            reader = csv.reader(source, delimiter=delimiter, strict=True)


def _wrong_width(cells: list[str], columns: list[str], delimiter: str) -> BadRow:
    line = delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells)
    return BadRow(
        {LINE: storable(line), COLUMNS: columns},
        f"has {len(cells)} fields, the header has {len(columns)}",
        "quote fields that hold the separator or a line break",
    )


def _check_header(columns: list[str], path: str, delimiter: str, needed: Sequence[tuple[str, ...]]) -> None:
    check_columns(columns, needed, path=path, delimiter=delimiter)
    twice = next((name for name, n in Counter(columns).items() if name and n > 1), None)
    if twice is not None:
        raise InputError("column is there twice", file=path, field=twice[:40], remedy="rename one of the two")
