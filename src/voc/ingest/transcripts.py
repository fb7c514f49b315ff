"""A transcript held in one row: one feedback for each turn that has text."""

import dataclasses
from collections import Counter
from collections.abc import Mapping

from voc.ingest.fields import Row, canonical
from voc.ingest.quarantine import BadValueError, shown
from voc.ingest.row_context import RowContext
from voc.ingest.rules import TimeRule, TurnsRule
from voc.records import Feedback, Rating


def turns_of_row(context: RowContext, rule: TurnsRule) -> tuple[list[Feedback], Counter[str]]:
    """Give the turns, and how many were skipped and why.

    A turn's position counts every turn in the list, also skipped ones, so that ids stay the same
    when the mapping changes. A turn without a time takes the conversation's.
    """
    mapping = context.mapping
    turns = context.find_list(rule.field)
    external_id = context.external_id()
    shared, meta = context.shared(), context.meta()
    language = shared.pop("language")
    conversation_id = context.id(mapping.conversation_id) or external_id
    conversation_time = context.find_time(mapping.time)
    turn_times = TimeRule(rule.time, mapping.time.formats)
    records: list[Feedback] = []
    skipped: Counter[str] = Counter()
    for i, turn in enumerate(turns):
        place = f"{rule.field.name}[{i}]."
        if not isinstance(turn, Mapping):
            raise BadValueError(place[:-1], "is not an object", "give each turn as {...}")
        turn_row = Row(turn)
        speaker = _speaker(context, turn_row, rule, place)
        if speaker == "skip":
            skipped["turns_ignored"] += 1
            continue
        text, text_notes = context.text(rule.text, turn_row, place)
        if not text.strip():
            skipped["turns_without_text"] += 1
            continue
        time = context.find_time(turn_times, turn_row, place) or conversation_time
        occurred_at, time_notes = context.settled_time(time, f"{place}time")
        records.append(
            Feedback(
                external_id=f"{external_id}#{i}",
                text=text,
                occurred_at=occurred_at,
                conversation_id=conversation_id,
                turn_index=i,
                speaker=speaker,
                language=language or context.detect(text),
                meta={**meta, **time_notes, **text_notes},
                **shared,
            )
        )
    if not records:
        raise BadValueError(rule.field.name, "no turn has text", "give a turn with text and replay the row")
    return _with_ratings(records, context.ratings()), skipped


def _speaker(context: RowContext, turn: Row, rule: TurnsRule, place: str) -> str:
    seen = context.find(rule.speaker, turn, place)
    speaker = rule.speakers.get(canonical(seen)) if seen is not None else None
    if speaker is None:
        raise BadValueError(
            place + rule.speaker.name,
            "has no speaker" if seen is None else f"speaker {shown(seen)} is not known",
            "list the value in turns.speakers in the mapping, under skip where it is no one's turn",
        )
    return speaker


def _with_ratings(records: list[Feedback], ratings: tuple[Rating, ...]) -> list[Feedback]:
    """Give the ratings to one turn alone, so that an average over records counts each answer once.

    That is the customer's last turn, or the last of all: surveys are answered after the end.
    """
    if ratings:
        by_customer = [i for i, record in enumerate(records) if record.speaker == "customer"]
        at = by_customer[-1] if by_customer else len(records) - 1
        records[at] = dataclasses.replace(records[at], ratings=ratings)
    return records
