"""The columns of a table: whether those needed are there, and how messages name them."""

from collections import Counter
from collections.abc import Sequence

from voc.errors import InputError
from voc.json_values import storable

_LISTED = 40  # columns named in a message
_NAME_CHARS = 40  # of each: a file without a header would show a customer's words here


def check_header(columns: Sequence[str], required: Sequence[str], *, path: str) -> None:
    """Raise InputError where a column of `required` is missing or there twice."""
    for column in required:
        if column not in columns:
            sign = likelier_separator(columns, ",")
            raise InputError(
                f"column is missing; the columns are {listed(columns)}",
                file=path,
                field=column,
                remedy=separator_remedy(sign) if sign else "name the right column, or add it",
            )
    twice = next((name for name, n in Counter(columns).items() if n > 1 and name in required), None)
    if twice is not None:
        raise InputError("column is there twice", file=path, field=twice, remedy="rename one of the two")


def listed(columns: Sequence[str]) -> str:
    """The columns' names for a message, cut where they are many or long."""
    names = [str(storable(name))[:_NAME_CHARS] for name in columns if name]
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")


def likelier_separator(columns: Sequence[str], delimiter: str) -> str | None:
    """The sign that seems to separate a file in which `delimiter` found one column alone."""
    if len(columns) != 1:
        return None
    return next((sign for sign in ";\t|," if sign != delimiter and sign in columns[0]), None)


def separator_remedy(sign: str) -> str:
    """What to do about a file separated by `sign` where commas are read."""
    return f"the file seems to be separated by {sign!r}: save it with commas"
