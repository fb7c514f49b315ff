"""Reading a mapping's YAML into its records, with every key checked."""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from voc.errors import MappingError
from voc.ingest.fields import FieldRef, canonical, parse_ref
from voc.ingest.keys import Keys, kind_of
from voc.ingest.rules import (
    EMPTY_TEXT,
    FORMATS,
    SPEAKERS,
    Condition,
    DuplicateRule,
    FormatHint,
    RatingRule,
    SourceMapping,
    TimeRule,
    TurnsRule,
    VerbatimRule,
)
from voc.taxonomy import RATING_SCALES, SOURCE_KINDS

_KEYS = (
    *("name", "version", "kind", "source", "description", "format", "external_id", "time", "text"),
    *("verbatims", "turns", "ratings", "case_id", "customer_ref", "conversation_id", "turn_index"),
    *("speaker", "channel", "segment", "region", "language", "meta", "where", "empty_text"),
    *("limits", "missing_values", "duplicates"),
)


def load_mapping(path: str | Path) -> SourceMapping:
    """Read and check a mapping file.

    Raises
    ------
    MappingError
        The file is missing or not YAML; a key is unknown, missing or of the wrong kind. The message
        names the file, the key and what to do.
    """
    file = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MappingError("is not UTF-8", file=file, remedy="save it as UTF-8") from error
    except OSError as error:
        raise MappingError(
            f"cannot be opened ({error.strerror})", file=file, remedy="check the path"
        ) from error
    return parse_mapping(text, file=file)


def parse_mapping(text: str, *, file: str = "mapping") -> SourceMapping:
    """Check the YAML text of a mapping; errors as `load_mapping`."""
    data = _load_yaml(text, file)
    keys = Keys.of(data, file=file, where="", known=_KEYS)
    name = keys.need_text("name")
    kind = keys.choice("kind", SOURCE_KINDS)
    turns = _turns(keys)
    verbatims = _verbatims(keys, has_turns=turns is not None)
    mapping = SourceMapping(
        file=file,
        name=name,
        version=keys.need_text("version"),
        fingerprint=_fingerprint(data),
        kind=kind,
        source=keys.text("source") or name,
        format=_format(keys),
        external_id=_external_id(keys),
        time=_time(keys, needed=turns is None or turns.time is None),
        verbatims=verbatims,
        turns=turns,
        ratings=tuple(_rating(keys, i, entry) for i, entry in enumerate(keys.items("ratings"))),
        meta=_meta(keys),
        where=_conditions(keys, "where"),
        empty_text=keys.choice(
            "empty_text", EMPTY_TEXT, "rating_only" if kind in ("survey", "review") else "quarantine"
        ),
        missing_values=frozenset(str(value) for value in keys.items("missing_values")),
        duplicates=_duplicates(keys),
        **_limits(keys),
        case_id=parse_ref(keys, "case_id"),
        customer_ref=parse_ref(keys, "customer_ref"),
        conversation_id=parse_ref(keys, "conversation_id"),
        turn_index=parse_ref(keys, "turn_index"),
        speaker=parse_ref(keys, "speaker"),
        channel=parse_ref(keys, "channel"),
        segment=parse_ref(keys, "segment"),
        region=parse_ref(keys, "region"),
        language=parse_ref(keys, "language"),
    )
    _check_kind(keys, mapping)
    return mapping


class _Loader(yaml.SafeLoader):
    """YAML where a key given twice is an error instead of the last one winning."""


def _block_without_repeats(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(
                problem=f"key '{key}' is given twice", problem_mark=key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _block_without_repeats)


def _load_yaml(text: str, file: str) -> Any:
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "cannot be read"
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise MappingError(
            f"is not valid YAML: {problem}{line}", file=file, remedy="mend that line"
        ) from error
    except (ValueError, RecursionError, TypeError) as error:
        raise MappingError("is not valid YAML", file=file, remedy="check dates and nesting") from error
    if data is None:
        raise MappingError("is empty", file=file, remedy="see docs/guides/mappings.md for a first mapping")
    return data


def _fingerprint(data: Any) -> str:
    content = json.dumps(_with_text_keys(data), sort_keys=True, default=str)
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:12]


def _with_text_keys(data: Any) -> Any:
    """YAML allows keys that JSON cannot sort together (yes beside 5)."""
    if isinstance(data, dict):
        return {f"{type(key).__name__}:{key}": _with_text_keys(value) for key, value in data.items()}
    return [_with_text_keys(value) for value in data] if isinstance(data, list) else data


def _format(keys: Keys) -> FormatHint:
    if keys.data.get("format") is None:
        return FormatHint()
    block = Keys.of(
        keys.data["format"], file=keys.file, where="format", known=("type", "delimiter", "encoding")
    )
    kind = block.choice("type", FORMATS) if block.data.get("type") is not None else None
    delimiter = block.text("delimiter", ",") or ","
    if len(delimiter) != 1 or delimiter in '"\r\n ':
        raise block.fail("delimiter", "is not one sign", 'write one sign in quotes, such as ";" or "\\t"')
    encoding = block.text("encoding")
    if encoding is not None:
        try:
            "".encode(encoding)
        except (LookupError, ValueError):
            raise block.fail("encoding", "is not known", "try utf-8, utf-16 or cp1252") from None
    return FormatHint(type=kind, delimiter=delimiter, encoding=encoding)


def _external_id(keys: Keys) -> FieldRef | None:
    if keys.need("external_id") == {"hash": "row"}:
        return None
    data = keys.data["external_id"]
    if isinstance(data, dict) and "hash" in data:
        raise keys.fail("external_id.hash", "is not known", "write 'hash: row' for a hash of the whole row")
    ref = parse_ref(keys, "external_id", required=True)
    if ref is None or not ref.paths:
        raise keys.fail("external_id", "is a constant", "name a field that differs from row to row")
    return ref


def _time(keys: Keys, *, needed: bool) -> TimeRule:
    if keys.data.get("time") is None:
        if needed:
            keys.need("time")
        return TimeRule()
    if not isinstance(keys.data["time"], dict):
        return TimeRule(field=parse_ref(keys, "time"))
    block = Keys.of(
        keys.data["time"],
        file=keys.file,
        where="time",
        known=("field", "first_of", "formats", "zone", "missing", "optional"),
    )
    zone = block.text("zone", "UTC") or "UTC"
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise block.fail(
            "zone", f"'{zone}' is not known", "write an IANA name such as Europe/Berlin"
        ) from None
    missing = _missing_time(block)
    if "first_of" in block.data:
        place = {"first_of": block.data["first_of"], "optional": block.flag("optional", default=False)}
        field = parse_ref(Keys({"time": place}, keys.file, ""), "time")
    else:
        field = parse_ref(block, "field", required=needed and missing is None)
        if field is not None and block.flag("optional", default=False):
            field = FieldRef(paths=field.paths, optional=True)
    return TimeRule(field=field, formats=_time_formats(block), zone=zone, missing=missing)


def _time_formats(block: Keys) -> tuple[str, ...]:
    formats = block.items("formats") or ["iso"]
    for pattern in formats:
        if not isinstance(pattern, str) or not (pattern in ("iso", "epoch_s", "epoch_ms") or "%" in pattern):
            raise block.fail(
                "formats",
                f"'{pattern}' is not a time format",
                "write iso, epoch_s, epoch_ms or a strptime pattern such as '%d.%m.%Y %H:%M'",
            )
    return tuple(formats)


def _missing_time(block: Keys) -> datetime | None:
    value = block.data.get("missing")
    if value is None or value == "quarantine":
        return None
    try:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise block.fail(
            "missing", "is neither 'quarantine' nor a time", "write a time such as 2020-01-01T00:00:00Z"
        ) from None


def _verbatims(keys: Keys, *, has_turns: bool) -> tuple[VerbatimRule, ...]:
    given = [key for key in ("text", "verbatims", "turns") if keys.data.get(key) is not None]
    if len(given) != 1:
        raise keys.fail(
            "text",
            f"the texts are given {len(given)} times" if given else "key is missing",
            "give one of text (one text a row), verbatims (several) and turns (a transcript)",
        )
    if has_turns:
        return ()
    if given == ["text"]:
        ref = parse_ref(keys, "text", required=True)
        return (VerbatimRule(ref),) if ref else ()
    rules = []
    for i, entry in enumerate(keys.items("verbatims")):
        block = Keys.of(entry, file=keys.file, where=f"verbatims[{i}]", known=("field", "suffix", "question"))
        ref = parse_ref(block, "field", required=True)
        if ref:
            rules.append(VerbatimRule(ref, block.text("suffix") or "", block.text("question")))
    suffixes = [rule.suffix for rule in rules]
    if not rules or len(set(suffixes)) != len(suffixes):
        raise keys.fail(
            "verbatims", "suffixes are not all different", "give each verbatim a suffix of its own"
        )
    return tuple(rules)


def _turns(keys: Keys) -> TurnsRule | None:
    if keys.data.get("turns") is None:
        return None
    block = Keys.of(
        keys.data["turns"],
        file=keys.file,
        where="turns",
        known=("field", "text", "speaker", "time", "speakers"),
    )
    field = parse_ref(block, "field", required=True)
    text = parse_ref(block, "text", required=True)
    speaker = parse_ref(block, "speaker", required=True)
    assert field is not None  # parse_ref raised otherwise
    assert text is not None
    assert speaker is not None
    speakers: dict[str, str] = {}
    named = Keys.of(block.need("speakers"), file=keys.file, where="turns.speakers", known=SPEAKERS)
    for role in named.data:
        for seen in named.items(role):
            if speakers.setdefault(canonical(seen), role) != role:
                raise named.fail(role, f"'{seen}' is given to two speakers", "leave it with one")
    if "customer" not in speakers.values():
        raise named.fail("customer", "key is missing", "say which value of the speaker is the customer")
    return TurnsRule(field, text, speaker, parse_ref(block, "time"), speakers)


def _rating(keys: Keys, i: int, entry: Any) -> RatingRule:
    known = ("scale", "field", "combine", "range", "where")
    block = Keys.of(entry, file=keys.file, where=f"ratings[{i}]", known=known)
    scale = block.choice("scale", RATING_SCALES)
    field = parse_ref(block, "field", required=True)
    assert field  # parse_ref raised otherwise
    source_range = None
    if block.data.get("range") is not None:
        bounds = block.data["range"]
        numbers = isinstance(bounds, list) and all(
            isinstance(b, int | float) and not isinstance(b, bool) for b in bounds
        )
        if not numbers or len(bounds) != 2 or not bounds[0] < bounds[1]:
            raise block.fail(
                "range", "is not two rising numbers", "write the source's bounds, such as [1, 10]"
            )
        source_range = (float(bounds[0]), float(bounds[1]))
    combine = block.choice("combine", ("first", "mean", "min", "max"), "first")
    return RatingRule(scale, field, combine, source_range, _conditions(block, "where"))


def _conditions(keys: Keys, key: str) -> tuple[Condition, ...]:
    conditions = []
    for i, entry in enumerate(keys.items(key)):
        where = f"{keys.at(key)}[{i}]"
        block = Keys.of(entry, file=keys.file, where=where, known=("field", "in", "not_in"))
        field = parse_ref(block, "field", required=True)
        sides = [side for side in ("in", "not_in") if side in block.data]
        if len(sides) != 1 or not field:
            raise keys.fail(f"{key}[{i}]", "needs one of in and not_in", "list the values after it")
        values = frozenset(canonical(value) for value in block.items(sides[0]))
        conditions.append(Condition(field, values, negated=sides[0] == "not_in"))
    return tuple(conditions)


def _meta(keys: Keys) -> dict[str, FieldRef]:
    data = keys.data.get("meta") or {}
    if not isinstance(data, dict):
        raise keys.fail("meta", f"is {kind_of(data)}", "write one 'name: field' line a value")
    block = Keys({str(name): value for name, value in data.items()}, keys.file, "meta")
    refs = {name: parse_ref(block, name, required=True) for name in block.data}
    return {name: ref for name, ref in refs.items() if ref}


def _limits(keys: Keys) -> dict[str, Any]:
    known = ("text_chars", "future_days")
    block = Keys.of(keys.data.get("limits") or {}, file=keys.file, where="limits", known=known)
    chars = block.number("text_chars", default=100_000, low=1, high=20_000_000)
    days = block.number("future_days", default=1, low=0, high=36_500)
    return {"max_chars": int(chars), "future_days": days}


def _duplicates(keys: Keys) -> DuplicateRule:
    data = keys.data.get("duplicates")
    if data is False or data == "keep":
        return DuplicateRule(exact=False, near=False)
    known = ("exact", "near", "window_hours", "similarity")
    block = Keys.of(data or {}, file=keys.file, where="duplicates", known=known)
    return DuplicateRule(
        exact=block.flag("exact", default=True),
        near=block.flag("near", default=True),
        window_hours=block.number("window_hours", default=24, low=0, high=1_000_000),
        similarity=block.number("similarity", default=0.85, low=0.7, high=1),
    )


def _check_kind(keys: Keys, mapping: SourceMapping) -> None:
    """What only transcripts may say, and what they must."""
    in_rows = ("turn_index", "speaker")
    if mapping.kind == "transcript" and mapping.turns is None:
        for key in ("conversation_id", *in_rows):
            keys.need(key)
        if len(mapping.verbatims) > 1:
            raise keys.fail("verbatims", "a row of a transcript is one turn", "use text")
    elif mapping.turns is not None and mapping.kind != "transcript":
        raise keys.fail("turns", f"a {mapping.kind} has no turns", "use text, or set kind: transcript")
    else:
        for key in in_rows:
            if keys.data.get(key) is not None:
                remedy = "use turns.speaker" if mapping.turns else "leave it out, or set kind: transcript"
                raise keys.fail(key, "does not belong here", remedy)
