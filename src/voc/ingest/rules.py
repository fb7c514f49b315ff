"""What a mapping says: how one source's files become feedback. `mapping.load_mapping` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from voc.ingest.fields import FieldRef

FORMATS = ("csv", "jsonl", "parquet")
SPEAKERS = ("customer", "agent", "system", "skip")
EMPTY_TEXT = ("rating_only", "quarantine")


@dataclass(frozen=True, slots=True)
class FormatHint:
    """How the file is written, where that can't be told from the file itself."""

    type: str | None = None  # one of FORMATS; None: told from the file
    delimiter: str = ","
    encoding: str | None = None  # None: UTF-8, UTF-16 by its mark, else Windows-1252 line by line


@dataclass(frozen=True, slots=True)
class TimeRule:
    """How times are read. `missing` is taken where there is none; None sends the row to quarantine."""

    field: FieldRef | None = None
    formats: tuple[str, ...] = ("iso",)  # iso, epoch_s, epoch_ms, or strptime patterns
    zone: str = "UTC"  # IANA name, for times that carry no offset
    missing: datetime | None = None  # UTC


@dataclass(frozen=True, slots=True)
class VerbatimRule:
    """One free text of a response; `suffix` tells its external id apart from its siblings'."""

    field: FieldRef
    suffix: str = ""
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds where the field's value is among (or not among) some; compared in canonical form."""

    field: FieldRef
    values: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class RatingRule:
    """One rating. `source_range` is rescaled linearly to the range of `scale`."""

    scale: str
    field: FieldRef
    combine: str = "first"  # first, mean, min or max of the values that a path with * finds
    source_range: tuple[float, float] | None = None
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnsRule:
    """Where a transcript's turns sit; the paths in it start at one turn."""

    field: FieldRef
    text: FieldRef
    speaker: FieldRef
    time: FieldRef | None
    speakers: Mapping[str, str]  # canonical value seen -> one of SPEAKERS


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """What counts as a duplicate; see `voc.ingest.duplicates`."""

    exact: bool = True
    near: bool = True
    window_hours: float = 24.0
    similarity: float = 0.85  # Jaccard over character 5-grams, in [0.7, 1]


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """The declarative mapping of one source."""

    file: str
    name: str
    version: str
    fingerprint: str  # first 12 hex digits of the SHA-256 of the content; comments don't count
    kind: str
    source: str
    format: FormatHint
    external_id: FieldRef | None  # None: a hash of the whole row
    time: TimeRule
    verbatims: tuple[VerbatimRule, ...] = ()
    turns: TurnsRule | None = None
    ratings: tuple[RatingRule, ...] = ()
    case_id: FieldRef | None = None
    customer_ref: FieldRef | None = None
    conversation_id: FieldRef | None = None
    turn_index: FieldRef | None = None
    speaker: FieldRef | None = None
    channel: FieldRef | None = None
    segment: FieldRef | None = None
    region: FieldRef | None = None
    language: FieldRef | None = None
    meta: Mapping[str, FieldRef] = field(default_factory=dict)
    where: tuple[Condition, ...] = ()
    empty_text: str = "quarantine"
    max_chars: int = 100_000
    future_days: float = 1.0
    missing_values: frozenset[str] = frozenset()
    duplicates: DuplicateRule = DuplicateRule()

    @property
    def lineage_version(self) -> str:
        """Version and content, for the lineage of a record: `3+1f0c9a72be41`."""
        return f"{self.version}+{self.fingerprint}"

    def columns_needed(self) -> list[tuple[str, ...]]:
        """Groups of columns the file must have; of each group at least one."""
        refs: list[FieldRef | None] = [self.external_id, self.time.field, self.case_id, self.customer_ref]
        refs += [self.conversation_id, self.turn_index, self.speaker, self.channel, self.segment]
        refs += [self.region, self.language, self.turns.field if self.turns else None]
        refs += [verbatim.field for verbatim in self.verbatims]
        refs += [rating.field for rating in self.ratings]
        refs += [condition.field for condition in self.where]
        refs += [condition.field for rating in self.ratings for condition in rating.where]
        refs += self.meta.values()
        groups = [group for ref in refs if ref for group in ref.columns_needed()]
        return list(dict.fromkeys(groups))
