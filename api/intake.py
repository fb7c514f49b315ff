"""Items that come in by API to records, and into the store with those that are wrong beside them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from sqlalchemy import Connection

from api.payloads import NotJson
from api.schemas import FeedbackItem, FeedbackResponse, Rejected
from voc.classify.scorer import MAX_CHARS
from voc.errors import InputError
from voc.language import LanguageDetector
from voc.records import Feedback, Rating
from voc.store.feedback import insert_feedback
from voc.store.quarantine import BadRow, save_quarantine
from voc.taxonomy import RATING_SCALES

T = TypeVar("T")
_FUTURE: Final = timedelta(days=1)  # clocks differ
MAX_REJECTED: Final = 1000


def store_feedback(
    conn: Connection, items: Sequence[Any], detector: LanguageDetector, *, first_index: int = 0
) -> FeedbackResponse:
    """Store items in this transaction, wrong ones in quarantine; says what became of each."""
    records: list[Feedback] = []
    rejected: list[Rejected] = []
    bad: list[BadRow] = []
    for index, item in enumerate(items, start=first_index):
        try:
            records.append(_record(item, detector))
        except (ValidationError, InputError) as error:
            wrong = rejected_of(index, error)
            rejected.append(wrong)
            bad.append(_bad_row(item, wrong))
    inserted = insert_feedback(conn, records)
    save_quarantine(conn, bad)
    return FeedbackResponse(
        received=len(items),
        stored=inserted.stored,
        duplicates=inserted.duplicates + inserted.already_there,
        quarantined=len(bad),
        rejected=rejected,
    )


def add_up(answers: Sequence[FeedbackResponse]) -> FeedbackResponse:
    """What became of several batches taken together."""
    return FeedbackResponse(
        received=sum(a.received for a in answers),
        stored=sum(a.stored for a in answers),
        duplicates=sum(a.duplicates for a in answers),
        quarantined=sum(a.quarantined for a in answers),
        rejected=[r for a in answers for r in a.rejected][:MAX_REJECTED],
    )


def to_utc(time: datetime, field: str, *, future: bool = False) -> datetime:
    """A time in UTC; one that lies ahead only where `future` allows it.

    Raises
    ------
    InputError
        It has no zone, lies in the future, or at an end of the calendar.
    """
    if time.tzinfo is None:
        raise InputError("has no time zone", field=field, remedy="write it as 2026-03-02T10:00:00Z")
    try:
        utc = time.astimezone(UTC)
    except OverflowError as error:
        raise InputError("is at an end of the calendar", field=field, remedy="correct it") from error
    if not future and utc > datetime.now(UTC) + _FUTURE:
        raise InputError("lies in the future", field=field, remedy="check the sender's clock")
    return utc


def parse_each(items: Sequence[Any], parse: Callable[[Any], T]) -> tuple[list[T], list[Rejected]]:
    """Items one by one: those that `parse` takes, and what is wrong with the others."""
    good: list[T] = []
    rejected: list[Rejected] = []
    for index, item in enumerate(items):
        try:
            good.append(parse(item))
        except (ValidationError, InputError) as error:
            rejected.append(rejected_of(index, error))
    return good, rejected


def rejected_of(index: int, error: ValidationError | InputError) -> Rejected:
    """What is wrong with the item at `index`, without what it holds."""
    if isinstance(error, InputError):
        return Rejected(index=index, field=error.field, reason=error.reason, remedy=error.remedy)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    return Rejected(index=index, field=field, reason=first["msg"], remedy="see the schema of an item")


def _record(item: Any, detector: LanguageDetector) -> Feedback:
    if isinstance(item, NotJson):
        raise InputError(item.detail, remedy="mend the line")
    parsed = FeedbackItem.model_validate(item)
    check_text(parsed.text)
    for rating in parsed.ratings:
        low, high = RATING_SCALES[rating.scale]
        if not low <= rating.value <= high:
            raise InputError(
                f"{rating.value:g} is not between {low:g} and {high:g}", field="ratings", remedy="correct it"
            )
    if len({rating.scale for rating in parsed.ratings}) < len(parsed.ratings):
        raise InputError("hold a scale twice", field="ratings", remedy="keep one")
    return Feedback(
        **parsed.model_dump(exclude={"ratings", "occurred_at"}),
        occurred_at=to_utc(parsed.occurred_at, "occurred_at"),
        ratings=tuple(Rating(r.scale, r.value) for r in parsed.ratings),
        language=detector.detect(parsed.text).code,
    )


def check_text(text: str) -> None:
    """Raise InputError for a text that can't be kept."""
    if len(text) > MAX_CHARS:
        raise InputError(
            f"is {len(text):,} characters; the limit is {MAX_CHARS:,}", field="text", remedy="split it"
        )
    if "\0" in text:
        raise InputError("holds a NUL character", field="text", remedy="remove it")


def _bad_row(item: Any, wrong: Rejected) -> BadRow:
    raw = item if isinstance(item, dict) else {"value": None if isinstance(item, NotJson) else item}
    source = raw.get("source")
    named = isinstance(source, str) and source and "\0" not in source
    return BadRow(
        source=source if named else "api", file="api", row=wrong.index + 1, mapping="api", mapping_version="1",
        field=wrong.field, reason=wrong.reason, remedy=wrong.remedy or "", raw=raw,
    )  # fmt: skip
