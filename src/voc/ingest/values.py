"""Raw values to times, ratings, texts and identifiers, or a `BadValueError` that says what was wrong."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from voc.ingest.encoding import mend
from voc.ingest.fields import canonical_id
from voc.ingest.quarantine import BadValueError, shown
from voc.taxonomy import RATING_SCALES

MAX_ID_CHARS = 500  # PostgreSQL indexes entries of up to about 2,700 bytes


def parse_text(value: Any, *, field: str, max_chars: int) -> str:
    """A customer's text, encoding mended and otherwise untouched; empty where there is none."""
    if value is None:
        return ""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadValueError(
                field, f"is a {type(value).__name__}, not a text", "point the mapping at the text"
            )
        return canonical_id(value)
    if len(value) > max_chars:
        raise BadValueError(
            field,
            f"text is {len(value):,} characters; the limit is {max_chars:,}",
            "shorten or split it and replay the row, or raise limits.text_chars in the mapping",
        )
    if "\0" in value:
        raise BadValueError(
            field,
            "text holds NUL characters",
            "export the file again (UTF-16 read as UTF-8 looks like this), or take them out and replay",
        )
    return mend(value)


def parse_id(value: Any, *, field: str) -> str | None:
    """An identifier or label as text; None where there is none."""
    if value is None:
        return None
    if isinstance(value, dict | list):
        raise BadValueError(field, f"is a {type(value).__name__}, not one value", "point the mapping deeper")
    text = canonical_id(value).strip()
    if len(text) > MAX_ID_CHARS:
        raise BadValueError(
            field, f"is {len(text):,} characters; the limit is {MAX_ID_CHARS}", "point the mapping at an id"
        )
    if "\0" in text:
        raise BadValueError(field, "holds NUL characters", "take them out and replay the row")
    return (text if text.isascii() else mend(text)) or None


def parse_index(value: Any, *, field: str) -> int:
    """A turn's position: a whole number from 0, also written 3.0."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < 2**31 or number != int(number):
        raise BadValueError(field, f"{shown(value)} is not a position", "give a whole number from 0")
    return int(number)


def parse_time(value: Any, formats: Sequence[str], zone: ZoneInfo, *, field: str) -> datetime:
    """A time in UTC. Times without an offset are taken in `zone`; dates alone, at its midnight."""
    if isinstance(value, str):
        value = value.strip()
    for pattern in formats:
        try:
            return _parse_time(value, pattern, zone)
        except (TypeError, ValueError, OverflowError, OSError):
            continue
    raise BadValueError(
        field,
        f"{shown(value)} is not a time in the format {' or '.join(formats)}",
        "correct it and replay the row, or add its format to time.formats in the mapping",
    )


def _parse_time(value: Any, pattern: str, zone: ZoneInfo) -> datetime:
    if isinstance(value, datetime):
        time = value
    elif isinstance(value, date):
        time = datetime(value.year, value.month, value.day, tzinfo=zone)
    elif pattern in ("epoch_s", "epoch_ms"):
        if isinstance(value, bool):
            raise TypeError
        return datetime.fromtimestamp(float(value) / (1000 if pattern == "epoch_ms" else 1), UTC)
    elif pattern == "iso":
        time = datetime.fromisoformat(value)
    else:
        time = datetime.strptime(value, pattern)  # noqa: DTZ007 (the zone is set below)
    return (time.replace(tzinfo=zone) if time.tzinfo is None else time).astimezone(UTC)


def parse_rating(value: Any, scale: str, source_range: tuple[float, float] | None, *, field: str) -> float:
    """A rating on its scale; a `source_range` is checked first and rescaled linearly."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadValueError(
            field,
            f"{shown(value)} is not a number",
            "correct it, or translate it with values: in the mapping",
        )
    low, high = RATING_SCALES[scale]
    seen_low, seen_high = source_range or (low, high)
    if not seen_low <= number <= seen_high:
        raise BadValueError(
            field,
            f"rating {number:g} is out of the scale {scale} ({seen_low:g} to {seen_high:g})",
            "correct it and replay the row, or set the rating's range: in the mapping",
        )
    if source_range is None:
        return number
    return low + (number - seen_low) * (high - low) / (seen_high - seen_low)
