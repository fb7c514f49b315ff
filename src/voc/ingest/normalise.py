"""One raw row and its mapping to feedback, or to quarantine; the same path for first reading and replay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from voc.ingest.fields import Row
from voc.ingest.quarantine import BadRow, BadValueError, Quarantined, mended_row
from voc.ingest.row_context import Detect, RowContext
from voc.ingest.rules import SourceMapping
from voc.ingest.transcripts import turns_of_row
from voc.ingest.verbatims import verbatims_of_row
from voc.json_values import storable
from voc.records import Feedback, Lineage


@dataclass(frozen=True, slots=True)
class Normalised:
    """What a good row gave; `skipped` counts what is no feedback: empty turns, empty verbatims."""

    records: tuple[Feedback, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    filtered: bool = False  # the row does not meet the mapping's `where`


def normalise(
    raw: Mapping[str, Any] | BadRow,
    mapping: SourceMapping,
    *,
    detect: Detect,
    now: datetime,
    file: str,
    row: int,
) -> Normalised | Quarantined:
    """Turn one raw row into feedback.

    A row is taken whole or not at all: one bad turn sends the conversation to quarantine, so that a
    mended row replays as one and nothing counts twice. No value in a row raises an error.

    Parameters
    ----------
    raw : as a reader gave it, or the `raw` of a quarantined row after mending
    detect : text -> language code, or None where it can't be told
    now : aware; times more than `limits.future_days` after it are refused
    file, row : for the lineage
    """
    lineage = Lineage(file, row, mapping.name, mapping.lineage_version)
    if isinstance(raw, BadRow):
        return Quarantined(mapping.source, lineage, raw.raw, None, raw.reason, raw.remedy)
    try:
        values = mended_row(raw, delimiter=mapping.format.delimiter)
        cells = Row(values, mapping.missing_values)
        context = RowContext(mapping, cells, detect, now, lineage, ZoneInfo(mapping.time.zone))
        if not context.holds(mapping.where):
            return Normalised((), filtered=True)
        if mapping.turns:
            records, skipped = turns_of_row(context, mapping.turns)
        else:
            records, skipped = verbatims_of_row(context)
    except BadValueError as bad:
        return Quarantined(mapping.source, lineage, storable(raw), bad.field, bad.reason, bad.remedy)
    return Normalised(tuple(records), skipped)
