"""Rows that cannot be taken: what was wrong, where, what to do, and the raw row to fix and replay."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voc.json_values import parse_json, storable
from voc.records import Lineage

# The keys of a raw row that could not even be cut into fields: the line, and a CSV's header.
LINE = "_line"
COLUMNS = "_columns"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that was not stored. `raw` is safe to keep as JSON and can be fixed and replayed."""

    source: str
    lineage: Lineage
    raw: Mapping[str, Any]
    field: str | None
    reason: str  # never holds the customer's text
    remedy: str

    @property
    def row(self) -> int:
        """The row in the file, from 1, header left out."""
        return self.lineage.row


class BadValueError(Exception):
    """Something in a row that sends the row to quarantine."""

    def __init__(self, field: str | None, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.field, self.reason, self.remedy = field, reason, remedy


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that a reader could not cut into fields."""

    raw: Mapping[str, Any]
    reason: str
    remedy: str


def shown(value: Any) -> str:
    """A value for a message: numbers and short codes as they are, longer texts by length alone."""
    if isinstance(value, dict | list):
        return f"a {type(value).__name__}"
    text = str(value)
    return f"'{storable(text)}'" if len(text) <= 20 else f"a text of {len(text):,} characters"


def mended_row(raw: Mapping[str, Any], *, delimiter: str) -> Mapping[str, Any]:
    """Cut a mended `_line` into fields; a raw row that has fields already comes back as it is.

    Raises
    ------
    BadValueError
        The line is still not a row.
    """
    if LINE not in raw:
        return raw
    line = str(raw[LINE])
    if COLUMNS in raw:
        columns = [str(name) for name in raw[COLUMNS]]
        try:
            cells = next(csv.reader(line.splitlines(keepends=True), delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            raise BadValueError(LINE, f"is still not a CSV row ({error})", "mend its quotes") from error
        if len(cells) != len(columns):
            raise BadValueError(
                LINE,
                f"has {len(cells)} fields, the header has {len(columns)}",
                "mend its separators and quotes",
            )
        return dict(zip(columns, cells, strict=True))
    try:
        row = parse_json(line)
    except ValueError as error:
        raise BadValueError(LINE, str(error), "mend the line") from error
    if not isinstance(row, dict):
        raise BadValueError(LINE, "is JSON, but not an object", "write {...} with the row's fields")
    return row
