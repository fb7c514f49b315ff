"""One raw row under its mapping: finds, checks and gives what all feedback of the row shares."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from voc.ingest.fields import FieldRef, Row, canonical
from voc.ingest.quarantine import BadValueError
from voc.ingest.rules import Condition, RatingRule, SourceMapping, TimeRule
from voc.ingest.values import parse_id, parse_rating, parse_text, parse_time
from voc.json_values import parse_json, storable
from voc.records import Lineage, Rating

MAX_META_CHARS = 100_000
MENDED = "encoding_mended"  # meta of a text whose encoding was mended
TIME_ASSUMED = "time_assumed"  # meta of a record that has the mapping's time, having none of its own

Detect = Callable[[str], str | None]
"""Tells a text's language code; None where it can't be told."""


@dataclass(frozen=True, slots=True)
class RowContext:
    """A row with all that is needed to read it. Methods raise BadValueError, naming the field."""

    mapping: SourceMapping
    row: Row
    detect: Detect
    now: datetime
    lineage: Lineage
    zone: ZoneInfo

    def find(self, ref: FieldRef, row: Row | None = None, place: str = "") -> Any:
        """The value of a reference in the row, or in one turn of it."""
        try:
            return (row or self.row).find(ref)
        except ValueError as error:
            raise _bad_json(place + ref.name, error) from error

    def text(self, ref: FieldRef, row: Row | None = None, place: str = "") -> tuple[str, dict[str, Any]]:
        """A text, and what its meta should say of how it came."""
        found = self.find(ref, row, place)
        text = parse_text(found, field=place + ref.name, max_chars=self.mapping.max_chars)
        mended = isinstance(found, str) and text != found
        return text, {MENDED: True} if mended else {}

    def find_list(self, ref: FieldRef) -> list[Any]:
        """A list, also one written as JSON in a column."""
        value = self.find(ref)
        if isinstance(value, str):
            try:
                value = parse_json(value)
            except ValueError as error:
                raise _bad_json(ref.name, error) from error
        if not value:
            raise BadValueError(ref.name, "has no turns", "give the conversation's turns and replay the row")
        if not isinstance(value, list):
            kind = type(value).__name__
            raise BadValueError(
                ref.name, f"is a {kind}, not a list of turns", "point turns.field at the list"
            )
        return value

    def id(self, ref: FieldRef | None) -> str | None:
        """An identifier or label; None where there is none."""
        return None if ref is None else parse_id(self.find(ref), field=ref.name)

    def external_id(self) -> str:
        """The row's id, or a hash of all its columns where the mapping says so."""
        ref = self.mapping.external_id
        if ref is None:
            raw = self.row.raw
            plain = all(type(value) is str for value in raw.values())  # as in any CSV; else bound its depth
            content = json.dumps(raw if plain else storable(raw), sort_keys=True)
            return hashlib.blake2b(content.encode("ascii"), digest_size=16).hexdigest()
        external_id = self.id(ref)
        if external_id is None:
            raise BadValueError(ref.name, "external id is empty", "give the row an id and replay it")
        return external_id

    def shared(self) -> dict[str, Any]:
        """The fields that all feedback of the row shares; `language` is None where it is to be detected."""
        mapping = self.mapping
        return {
            "source": mapping.source,
            "kind": mapping.kind,
            "lineage": self.lineage,
            "customer_ref": self.id(mapping.customer_ref),
            "case_id": self.id(mapping.case_id),
            "channel": self.id(mapping.channel),
            "segment": self.id(mapping.segment),
            "region": self.id(mapping.region),
            "language": self.id(mapping.language),
        }

    def meta(self) -> dict[str, Any]:
        """The extra fields that the mapping names and the row has."""
        meta = {}
        for name, ref in self.mapping.meta.items():
            value = self.find(ref)
            if value is None:
                continue
            if isinstance(value, str) and len(value) > MAX_META_CHARS:
                reason = f"is {len(value):,} characters; the limit is {MAX_META_CHARS:,}"
                raise BadValueError(ref.name, reason, "leave it out of the mapping's meta")
            meta[name] = storable(value)
        return meta

    def ratings(self) -> tuple[Rating, ...]:
        """The ratings that are there, each checked against its scale."""
        ratings = []
        for rule in self.mapping.ratings:
            value = self._rating(rule) if self.holds(rule.where) else None
            if value is not None:
                ratings.append(Rating(rule.scale, value))
        return tuple(ratings)

    def _rating(self, rule: RatingRule) -> float | None:
        name = rule.field.name
        try:
            found = self.row.find_all(rule.field)
        except ValueError as error:
            raise _bad_json(name, error) from error
        if rule.combine == "first":
            found = found[:1]
        values = [parse_rating(value, rule.scale, rule.source_range, field=name) for value in found]
        if not values:
            return None
        if rule.combine == "mean":
            return sum(values) / len(values)
        return max(values) if rule.combine == "max" else min(values)

    def holds(self, conditions: tuple[Condition, ...]) -> bool:
        """Whether the row meets all conditions; a missing value compares as empty text."""
        for condition in conditions:
            value = self.find(condition.field)
            among = canonical("" if value is None else value) in condition.values
            if among == condition.negated:
                return False
        return True

    def find_time(self, rule: TimeRule, row: Row | None = None, place: str = "") -> datetime | None:
        """A time in UTC, not in the future; None where there is none."""
        if rule.field is None:
            return None
        value = self.find(rule.field, row, place)
        if value is None:
            return None
        name = place + rule.field.name
        time = parse_time(value, rule.formats, self.zone, field=name)
        if time - self.now > timedelta(days=self.mapping.future_days):
            raise BadValueError(
                name,
                f"time {time:%Y-%m-%dT%H:%M:%SZ} is in the future (now is {self.now:%Y-%m-%dT%H:%M:%SZ})",
                "correct the time, its format or its zone and replay the row",
            )
        return time

    def settled_time(self, time: datetime | None, name: str) -> tuple[datetime, dict[str, Any]]:
        """The time, or the mapping's stand-in for a missing one, and what the meta should say of it."""
        if time is not None:
            return time, {}
        if self.mapping.time.missing is None:
            raise BadValueError(
                name, "time is missing", "give a time and replay the row, or set time.missing"
            )
        return self.mapping.time.missing, {TIME_ASSUMED: True}


def _bad_json(field: str, error: ValueError) -> BadValueError:
    return BadValueError(field, str(error), "mend the JSON and replay the row")
