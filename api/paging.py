"""Pages by cursor: an opaque mark of where the last page ended, so that nothing is skipped or repeated."""

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

from voc.errors import NotFoundError

Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next` of the page before; leave it out for the first page"),
]


def write_cursor(place: Sequence[Any]) -> str:
    """A cursor for a place in an order."""
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, kinds: Sequence[type]) -> tuple[Any, ...] | None:
    """The place that a cursor stands for, or None for none.

    Raises
    ------
    NotFoundError
        It is none of ours.
    """
    if cursor is None:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(place, list) or [type(part) for part in place] != list(kinds):
            raise ValueError
        if any(isinstance(part, int) and not 0 <= part < 2**63 for part in place):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise NotFoundError(
            "no page begins at this cursor; take `next` of the page before as it is"
        ) from error
    return tuple(place)
