"""A conversation as a whole: what the customer said in all turns, as one feedback beside its turns."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from voc.records import Feedback

CUSTOMER = "customer"


def with_conversations(feedback: Iterable[Feedback]) -> Iterator[Feedback]:
    """Pass feedback on; after the turns of a conversation add the conversation.

    Its text is the customer's turns, one a line; its external id is the conversation's; it has no
    turn index, which tells it from its turns. A conversation in which the customer says nothing
    has none. Turns of one conversation must come together, as readers give them.
    """
    for conversation, turns in groupby(feedback, key=lambda f: (f.source, f.conversation_id)):
        if conversation[1] is None:
            yield from turns
            continue
        said = []
        for turn in turns:
            yield turn
            if turn.speaker == CUSTOMER and turn.text.strip():
                said.append(turn)
        if said:
            yield conversation_of(said)


def conversation_of(turns: list[Feedback]) -> Feedback:
    """The whole of one conversation from its customer's turns, in order."""
    first = turns[0]
    # Readers put a response's ratings on one of its turns, so that averages do not count them twice.
    ratings = next((turn.ratings for turn in turns if turn.ratings), ())
    languages = [turn.language for turn in turns if turn.language]
    return replace(
        first,
        external_id=str(first.conversation_id),
        text="\n".join(turn.text for turn in turns),
        turn_index=None,
        ratings=ratings,
        language=max(set(languages), key=languages.count) if languages else None,
        meta={**first.meta, "n_customer_turns": len(turns)},
    )
