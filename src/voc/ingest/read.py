"""The front: a file and its mapping to feedback, duplicates and quarantined rows, all counted."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from voc.ingest.duplicates import Duplicate, DuplicateFinder
from voc.ingest.normalise import Normalised, normalise
from voc.ingest.quarantine import BadRow, Quarantined
from voc.ingest.readers import ReaderState, read_rows
from voc.ingest.row_context import MENDED, Detect
from voc.ingest.rules import SourceMapping
from voc.json_values import storable
from voc.records import Feedback

_BATCH = 1024  # records whose signatures are worked out together
_PROGRESS_ROWS = 512
_REMEMBERED_TEXTS = 50_000  # short texts whose language is kept: "thanks", "no" come again and again
_SHORT_CHARS = 60
_LARGE_CHARS = 1_000_000

Item = Feedback | Duplicate | Quarantined
Progress = Callable[[int, int | None], None]
"""Called with how much was read and the whole: bytes of the file, or rows of Parquet; None: not known."""


class Detected(Protocol):
    """What a detector says of a text."""

    @property
    def code(self) -> str | None: ...


class Detector(Protocol):
    """Tells languages; `voc.language.LanguageDetector` is one."""

    def detect(self, text: str) -> Detected: ...


@dataclass(slots=True)
class Counts:
    """What became of everything read. A record is a verbatim or a turn.

    A row that is quarantined counts as one record, since it was never cut into several. What holds
    no feedback (an empty turn, an unanswered question, a row that `where` leaves out) is no record;
    it is counted in `skipped` and `rows_filtered`.
    """

    rows: int = 0
    rows_kept: int = 0  # taken; their records were kept, or collapsed as duplicates
    rows_filtered: int = 0
    rows_quarantined: int = 0
    records: int = 0  # read
    kept: int = 0  # handed on to be stored
    same_id: int = 0  # duplicates: the same row again
    exact: int = 0
    near: int = 0
    quarantined: int = 0
    rating_only: int = 0  # among kept: a rating without text
    lines_not_utf8: int = 0
    texts_mended: int = 0  # among kept: mojibake undone
    encoding: str = ""
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def duplicates(self) -> int:
        """Records that were collapsed into another."""
        return self.same_id + self.exact + self.near

    @property
    def balanced(self) -> bool:
        """Whether rows and records read equal what became of them."""
        return (
            self.rows == self.rows_kept + self.rows_filtered + self.rows_quarantined
            and self.records == self.kept + self.duplicates + self.quarantined
        )

    def as_dict(self) -> dict[str, Any]:
        """All counts by name, for a report."""
        names = [name for name in self.__dataclass_fields__ if name != "skipped"]
        counts = {name: getattr(self, name) for name in names}
        return {**counts, "duplicates": self.duplicates, "skipped": dict(sorted(self.skipped.items()))}


class Reading(Iterator[Item]):
    """One pass over a file. `counts` grow while it is read and are whole at its end."""

    def __init__(self, items: Iterator[Item], counts: Counts) -> None:
        self._items = items
        self.counts = counts

    def __next__(self) -> Item:
        return next(self._items)


def read_source(
    path: str | Path,
    mapping: SourceMapping,
    *,
    detector: Detector | None,
    now: datetime,
    progress: Progress | None = None,
    finder: DuplicateFinder | None = None,
) -> Reading:
    """Read a file through its mapping; the same file gives the same records every time.

    Parameters
    ----------
    path : file name, or `-` for stdin; CSV, JSON Lines or Parquet, gzipped or not
    detector : None leaves languages out, but for those the mapping names
    now : aware; times after it (and the tolerance) are refused
    finder : one that knows feedback of earlier files, to collapse across files

    Raises
    ------
    InputError
        At once: the file is missing, empty, of no known format, or lacks a column of the mapping.
        While reading: a gzip file breaks off; what came before it should not be kept.
    """
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    counts, state = Counts(), ReaderState()
    rows = read_rows(path, mapping.format, needed=mapping.columns_needed(), state=state)
    source = _Source(str(path), mapping, language_of(detector), now, counts)
    finder = finder or DuplicateFinder(mapping.duplicates)
    return Reading(_items(rows, source, finder, state, progress), counts)


def replay(
    quarantined: Quarantined,
    raw: Mapping[str, Any],
    mapping: SourceMapping,
    *,
    detector: Detector | None,
    now: datetime,
) -> Normalised | Quarantined:
    """Take a quarantined row again after its `raw` was mended (or the mapping was): the same path."""
    lineage = quarantined.lineage
    detect = language_of(detector)
    return normalise(raw, mapping, detect=detect, now=now, file=lineage.file, row=lineage.row)


def language_of(detector: Detector | None) -> Detect:
    """A detector that remembers short texts: in chats the same few come again and again."""
    if detector is None:
        return lambda text: None
    remembered: dict[str, str | None] = {}

    def detect(text: str) -> str | None:
        if len(text) > _SHORT_CHARS:
            return detector.detect(text).code
        if text not in remembered:
            if len(remembered) >= _REMEMBERED_TEXTS:
                remembered.clear()
            remembered[text] = detector.detect(text).code
        return remembered[text]

    return detect


class _Source:
    """Rows to items, with each external id held to one content."""

    def __init__(
        self, file: str, mapping: SourceMapping, detect: Detect, now: datetime, counts: Counts
    ) -> None:
        self._file, self._mapping, self._detect, self._now = file, mapping, detect, now
        self.counts = counts
        self._ids: dict[str, tuple[int, int]] = {}  # external id -> hash of the content, row

    def items(self, row: int, raw: Mapping[str, Any] | BadRow) -> list[Item]:
        """What one row gives; duplicates by text are not looked for yet."""
        counts = self.counts
        counts.rows += 1
        found = normalise(raw, self._mapping, detect=self._detect, now=self._now, file=self._file, row=row)
        if isinstance(found, Normalised):
            clash = self._clash(found)
            if clash is not None:
                found = _same_id_other_content(found, raw, self._mapping, clash)
        if isinstance(found, Quarantined):
            counts.rows_quarantined += 1
            return [found]
        counts.skipped.update(found.skipped)
        if found.filtered:
            counts.rows_filtered += 1
        else:
            counts.rows_kept += 1
        return [self._settled(record, row) for record in found.records]

    def _clash(self, found: Normalised) -> tuple[str, int] | None:
        """The external id, and the row before, that has it with another content."""
        for record in found.records:
            before = self._ids.get(record.external_id)
            if before is not None and before[0] != _content(record):
                return record.external_id, before[1]
        return None

    def _settled(self, record: Feedback, row: int) -> Item:
        before = self._ids.setdefault(record.external_id, (_content(record), row))
        return record if before[1] == row else Duplicate(record, record.external_id, "same_id", 1.0)


def _content(record: Feedback) -> int:
    """Compared within one process only: Python's hash differs from one to the next."""
    return hash((record.text, record.occurred_at, record.ratings, record.case_id, record.customer_ref))


def _same_id_other_content(
    found: Normalised, raw: Mapping[str, Any] | BadRow, mapping: SourceMapping, clash: tuple[str, int]
) -> Quarantined:
    lineage = found.records[0].lineage
    ref = mapping.external_id
    assert lineage is not None  # normalise gives each record its lineage
    return Quarantined(
        mapping.source,
        lineage,
        storable(raw),
        ref.name if ref else None,
        f"row {clash[1]} has the same external id and another content",
        "give each row an id of its own (join: takes two fields together), or keep one of the two",
    )


def _items(
    rows: Iterator[tuple[int, dict[str, Any] | BadRow]],
    source: _Source,
    finder: DuplicateFinder,
    state: ReaderState,
    progress: Progress | None,
) -> Iterator[Item]:
    waiting: list[Item] = []
    counts = source.counts
    for row, raw in rows:
        found = source.items(row, raw)
        waiting += found
        if len(waiting) >= _BATCH or any(_is_large(item) for item in found):
            yield from _settled(waiting, finder, counts)
            waiting = []
        if progress is not None and row % _PROGRESS_ROWS == 0:
            progress(state.done, state.total)
    yield from _settled(waiting, finder, counts)
    counts.encoding, counts.lines_not_utf8 = state.encoding, state.lines_not_utf8
    if progress is not None:
        progress(state.done, state.total)


def _is_large(item: Item) -> bool:
    """Whether a quarantined row is too large to wait in memory with a thousand others."""
    return isinstance(item, Quarantined) and any(
        isinstance(value, str) and len(value) > _LARGE_CHARS for value in item.raw.values()
    )


def _settled(items: list[Item], finder: DuplicateFinder, counts: Counts) -> Iterator[Item]:
    """Look for duplicates among a batch and count each item as it goes out."""
    texts = [item for item in items if isinstance(item, Feedback)]
    verdicts = iter(finder.find(texts))
    for item in items:
        outcome = (next(verdicts) or item) if isinstance(item, Feedback) else item
        counts.records += 1
        if isinstance(outcome, Quarantined):
            counts.quarantined += 1
        elif isinstance(outcome, Duplicate):
            setattr(counts, outcome.basis, getattr(counts, outcome.basis) + 1)
        else:
            counts.kept += 1
            counts.rating_only += not outcome.text
            counts.texts_mended += MENDED in outcome.meta
        yield outcome
