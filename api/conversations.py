"""Live conversations between the wire and the library: turns in, state out."""

import asyncio
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field
from sqlalchemy import Connection

from api.intake import check_text, to_utc
from api.schemas import NO_NUL, Identifier, ScoreOut, Strict, Time, score_out
from api.state import State
from voc.errors import NotFoundError
from voc.language import LanguageDetector
from voc.pipeline import live
from voc.pipeline.conversations import conversation_of
from voc.records import Feedback
from voc.store.conversations import announce, read_turns
from voc.store.engine import transaction


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]  # to JSON 3.0 is a whole number, true is not


class TurnIn(Strict):
    """What one side said."""

    index: Whole = Field(ge=0, lt=2**31, description="place in the conversation, from 0", examples=[3])
    speaker: Literal["customer", "agent", "system"]
    text: str = Field(pattern=NO_NUL, examples=["I have been waiting for two weeks!"])
    occurred_at: Time = Field(description="ISO 8601 with a zone", examples=["2026-03-02T10:04:00Z"])


class TurnsIn(Strict):
    """Turns of one conversation: new, again or late, in any order."""

    source: Identifier = Field("live", examples=["support-chat"])
    customer_ref: Identifier | None = Field(None, examples=["c-17"])
    case_id: Identifier | None = None
    channel: Identifier | None = None
    segment: Identifier | None = None
    region: Identifier | None = None
    turns: list[TurnIn] = Field(min_length=1, max_length=200)


class HeardOut(BaseModel):
    """What one customer turn sounds like; null where it is not supported."""

    index: int
    sentiment: float | None = Field(description="in [-1, 1]")
    frustration: float | None = Field(description="in [0, 1]")
    frustrated: bool
    signals: list[str] = Field(description="raised in this turn")


class StateOut(BaseModel):
    """A conversation as far as it is known: what scoring it, finished here, would give."""

    conversation: str
    source: str
    model: str
    n_turns: int
    trajectory: list[HeardOut] = Field(description="customer turns in order")
    shift: float | None = Field(description="mean sentiment of the later half less that of the earlier half")
    frustration: float | None = Field(description="highest so far")
    signals: list[str] = Field(description="raised so far")
    whole: ScoreOut | None = Field(description="all that the customer said, as one text")


class TurnsOut(StateOut):
    """The state after turns were taken."""

    stored: int
    duplicates: int
    differing: int = Field(
        description="of the duplicates: came with other words, time or case, and were left"
    )


async def take_turns(state: State, conversation: str, body: TurnsIn) -> TurnsOut:
    """Store turns, score what has no score, and say where the conversation stands.

    Raises
    ------
    InputError
        A turn can't be kept; nothing of the request was.
    """
    detector = LanguageDetector()
    turns = [_feedback(i, turn, conversation, body, detector) for i, turn in enumerate(body.turns)]
    model = state.scorer.scorer.bundle.id

    def store() -> live.Taken:
        with transaction(state.engine) as conn:
            return live.take_turns(conn, model, turns)

    taken = await asyncio.to_thread(store)
    scores = await state.scorer.score(list(taken.to_score.values()), live=True, must=True)
    scored = {
        number: (text, score)
        for (number, text), score in zip(taken.to_score.items(), scores, strict=True)
    }  # fmt: skip

    def finish() -> StateOut:
        with transaction(state.engine) as conn:
            live.save_turn_scores(conn, model, body.source, conversation, scored)
            announce(conn, body.source, conversation)
            return _state(state, conn, body.source, conversation)

    now = await asyncio.to_thread(finish)
    inserted = taken.inserted
    return TurnsOut(
        **now.model_dump(by_alias=True), stored=inserted.stored, duplicates=inserted.already_there,
        differing=inserted.differing,
    )  # fmt: skip


async def get_state(state: State, source: str, conversation: str) -> StateOut:
    """Where a conversation stands.

    Raises
    ------
    NotFoundError
        No turn of it is stored.
    """

    def read() -> StateOut:
        with transaction(state.engine) as conn:
            return _state(state, conn, source, conversation)

    return await asyncio.to_thread(read)


def _state(state: State, conn: Connection, source: str, conversation: str) -> StateOut:
    model = state.scorer.scorer.bundle.id
    found = live.read_state(conn, model, source, conversation)
    if found is None:
        raise NotFoundError(f"no turn of this conversation is stored under source '{source}'")
    whole = None
    if found.whole is not None:
        said = [t.feedback for t in read_turns(conn, source, conversation)
                if t.feedback.speaker == "customer" and t.feedback.text.strip()]  # fmt: skip
        whole = ScoreOut.model_validate(score_out(conversation, conversation_of(said).text, found.whole))
    return StateOut(
        conversation=conversation, source=source, model=model, n_turns=found.n_turns, shift=_rounded(found.shift),
        frustration=_rounded(found.frustration), signals=list(found.signals), whole=whole,
        trajectory=[
            HeardOut(index=h.turn_index, sentiment=_rounded(h.sentiment_score), frustration=_rounded(h.frustration),
                     frustrated=h.frustrated, signals=list(h.flags))
            for h in found.trajectory
        ],
    )  # fmt: skip


def _feedback(
    place: int, turn: TurnIn, conversation: str, body: TurnsIn, detector: LanguageDetector
) -> Feedback:
    check_text(turn.text)
    return Feedback(
        source=body.source, kind="transcript", external_id=f"{conversation}#{turn.index}", text=turn.text,
        occurred_at=to_utc(turn.occurred_at, f"turns.{place}.occurred_at"), customer_ref=body.customer_ref,
        case_id=body.case_id, conversation_id=conversation, turn_index=turn.index, speaker=turn.speaker,
        channel=body.channel, segment=body.segment, region=body.region,
        language=detector.detect(turn.text).code,
    )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    """As `POST /v1/score` rounds."""
    return None if value is None else round(value, 6)
