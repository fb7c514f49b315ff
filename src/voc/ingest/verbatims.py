"""A row with one text or several: a survey response, post, review, ticket, or one turn of a transcript."""

from collections import Counter
from typing import Any

from voc.ingest.quarantine import BadValueError, shown
from voc.ingest.row_context import RowContext
from voc.ingest.values import parse_index
from voc.records import Feedback

_SPEAKERS = ("customer", "agent", "system", "skip")


def verbatims_of_row(context: RowContext) -> tuple[list[Feedback], Counter[str]]:
    """Give one feedback for each text that is there, and how many were skipped and why.

    Ratings belong to the response, so its first feedback alone carries them: an average over records
    counts each answer once. Siblings share `meta.response_id`.
    """
    mapping = context.mapping
    external_id = context.external_id()
    shared, meta = context.shared(), context.meta()
    language = shared.pop("language")
    time_name = mapping.time.field.name if mapping.time.field else "time"
    occurred_at, time_notes = context.settled_time(context.find_time(mapping.time), time_name)
    meta |= time_notes
    shared |= _turn(context) if mapping.kind == "transcript" else {}
    shared.setdefault("conversation_id", context.id(mapping.conversation_id))
    if shared.get("speaker") == "skip":
        return [], Counter(turns_ignored=1)
    ratings = context.ratings()
    if len(mapping.verbatims) > 1:
        meta["response_id"] = external_id
    records: list[Feedback] = []
    for verbatim in mapping.verbatims:
        text, notes = context.text(verbatim.field)
        if not text.strip():
            continue
        if verbatim.question:
            notes["question"] = verbatim.question
        records.append(
            Feedback(
                external_id=f"{external_id}#{verbatim.suffix}" if verbatim.suffix else external_id,
                text=text,
                occurred_at=occurred_at,
                language=language or context.detect(text),
                ratings=() if records else ratings,
                meta={**meta, **notes},
                **shared,
            )
        )
    if records:
        n_empty = len(mapping.verbatims) - len(records)
        return records, Counter(verbatims_without_text=n_empty) if n_empty else Counter()
    if mapping.kind == "transcript":
        return [], Counter(turns_without_text=1)
    if not ratings or mapping.empty_text == "quarantine":
        names = " or ".join(verbatim.field.name for verbatim in mapping.verbatims)
        reason = "has neither text nor rating" if mapping.ratings and not ratings else "text is empty"
        raise BadValueError(names, reason, "fill in the text and replay the row, or leave the row out")
    rating_only = Feedback(
        external_id=external_id, text="", occurred_at=occurred_at, ratings=ratings, meta=meta, **shared
    )
    return [rating_only], Counter()


def _turn(context: RowContext) -> dict[str, Any]:
    """Conversation, position and speaker, where each row is one turn."""
    mapping = context.mapping
    conversation_id, index, speaker = mapping.conversation_id, mapping.turn_index, mapping.speaker
    assert conversation_id is not None  # the three are checked when the mapping is read
    assert index is not None
    assert speaker is not None
    role = context.id(speaker)
    if role not in _SPEAKERS:
        raise BadValueError(
            speaker.name,
            "has no speaker" if role is None else f"speaker {shown(role)} is not known",
            "translate it with speaker.values in the mapping to customer, agent, system or skip",
        )
    conversation = context.id(conversation_id)
    if conversation is None:
        raise BadValueError(conversation_id.name, "conversation id is empty", "give it and replay the row")
    position = parse_index(context.find(index), field=index.name)
    return {"conversation_id": conversation, "turn_index": position, "speaker": role}
