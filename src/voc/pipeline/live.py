"""A conversation while it goes on: turns in any order, and a state that is that of the finished one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from voc.pipeline.conversations import CUSTOMER, conversation_of
from voc.records import Feedback, Score
from voc.store.conversations import StoredTurn, lock_conversation, put_whole, read_turns
from voc.store.feedback import Inserted, find_feedback_ids, insert_feedback
from voc.store.scores import get_scores, save_scores


@dataclass(frozen=True, slots=True)
class Heard:
    """What one customer turn sounds like; None where it could not be scored."""

    turn_index: int
    sentiment_score: float | None  # in [-1, 1]
    frustration: float | None  # in [0, 1]
    frustrated: bool
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """A conversation as far as it is known.

    `shift` is the mean sentiment score of the later half of the scored customer turns less that of the
    earlier half (the middle one of an odd number in neither), in [-2, 2]; None with fewer than two.
    `frustration` is the highest probability of any turn so far. `signals` are all that were raised, in the order
    of the turns. `whole` is the score of all that the customer said, as `POST /v1/score` gives it.
    """

    n_turns: int
    trajectory: tuple[Heard, ...]
    shift: float | None
    frustration: float | None
    signals: tuple[str, ...]
    whole: Score | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of turns that came in, and which texts have no score yet."""

    inserted: Inserted
    to_score: dict[int, str]  # feedback id -> text


def take_turns(conn: Connection, model: str, turns: Sequence[Feedback]) -> Taken:
    """Store turns of one conversation, each once, and keep the whole up to date with them.

    Turns may come in any order, again, or late. A turn is known by its external id; one that comes again
    with other words, time, case or customer is left as it was, and counted as differing.
    """
    source, conversation = turns[0].source, str(turns[0].conversation_id)
    lock_conversation(conn, source, conversation)
    inserted = insert_feedback(conn, turns)
    stored = read_turns(conn, source, conversation)
    said = _said(stored)
    texts = {turn.id: turn.feedback.text for turn in said}
    if said:
        whole = conversation_of([turn.feedback for turn in said])
        texts[put_whole(conn, replace(whole, lineage=None))] = whole.text
    scored = get_scores(conn, model, list(texts))
    return Taken(inserted, {number: text for number, text in texts.items() if number not in scored})


def save_turn_scores(
    conn: Connection, model: str, source: str, conversation: str, scores: Mapping[int, tuple[str, Score]]
) -> None:
    """Store scores of a conversation's texts: feedback id -> (text that was scored, score).

    A whole that has grown since is left for who made it grow.
    """
    lock_conversation(conn, source, conversation)
    now = _texts_now(conn, source, conversation)
    save_scores(conn, model, [(n, score) for n, (text, score) in scores.items() if now.get(n) == text])


def read_state(conn: Connection, model: str, source: str, conversation: str) -> State | None:
    """The state of a conversation; None where no turn of it is stored."""
    turns = read_turns(conn, source, conversation)
    if not turns:
        return None
    said = _said(turns)
    whole = find_feedback_ids(conn, [(source, conversation)]).get((source, conversation))
    scores = get_scores(conn, model, [turn.id for turn in said] + ([whole] if whole else []))
    heard = [(turn.feedback, scores[turn.id]) for turn in said if turn.id in scores]
    return state_of(len(turns), heard, scores.get(whole) if whole else None)


def state_of(n_turns: int, heard: Sequence[tuple[Feedback, Score]], whole: Score | None) -> State:
    """The state that customer turns, in order, and the score of the whole make."""
    trajectory = tuple(
        Heard(int(turn.turn_index or 0), score.sentiment_score, score.frustration,
              bool(score.frustration_flag), score.flags)
        for turn, score in heard
    )  # fmt: skip
    felt = [h.sentiment_score for h in trajectory if h.sentiment_score is not None]
    half = len(felt) // 2
    shift = sum(felt[-half:]) / half - sum(felt[:half]) / half if half else None
    highest = max((h.frustration for h in trajectory if h.frustration is not None), default=None)
    raised = tuple(dict.fromkeys(flag for h in trajectory for flag in h.flags))
    return State(n_turns, trajectory, shift, highest, raised, whole)


def _said(turns: Sequence[StoredTurn]) -> list[StoredTurn]:
    return [t for t in turns if t.feedback.speaker == CUSTOMER and t.feedback.text.strip()]


def _texts_now(conn: Connection, source: str, conversation: str) -> dict[int, str]:
    said = _said(read_turns(conn, source, conversation))
    texts = {turn.id: turn.feedback.text for turn in said}
    whole = find_feedback_ids(conn, [(source, conversation)]).get((source, conversation))
    if whole is not None and said:
        texts[whole] = conversation_of([turn.feedback for turn in said]).text
    return texts
