"""Checking that a file has the columns its mapping names."""

from collections.abc import Sequence

from voc.errors import InputError
from voc.ingest.quarantine import storable

_LISTED = 40  # columns named in a message
_NAME_CHARS = 40  # of each: a file without a header would show a customer's words here


def check_columns(
    columns: Sequence[str], needed: Sequence[tuple[str, ...]], *, path: str, delimiter: str | None = None
) -> None:
    """Raise InputError where a group of `needed` has no member among the columns.

    With a CSV's `delimiter`, the remedy names a likelier one.
    """
    present = set(columns)
    group = next((group for group in needed if present.isdisjoint(group)), None)
    if group is None:
        return
    names = [str(storable(name))[:_NAME_CHARS] for name in columns if name]
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    remedy = "correct the mapping, or mark the field 'optional: true' in it"
    if delimiter and len(columns) == 1:
        other = next((sign for sign in ";\t|," if sign != delimiter and sign in columns[0]), None)
        if other:
            remedy = f"the file seems to be separated by {other!r}: set format.delimiter in the mapping"
    raise InputError(
        f"column is missing; the columns are {listed}", file=path, field=" or ".join(group), remedy=remedy
    )
