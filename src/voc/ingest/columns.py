"""Checking that a file has the columns its mapping names."""

from collections.abc import Sequence

from voc.columns import likelier_separator, listed
from voc.errors import InputError


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
    remedy = "correct the mapping, or mark the field 'optional: true' in it"
    if delimiter and (other := likelier_separator(columns, delimiter)):
        remedy = f"the file seems to be separated by {other!r}: set format.delimiter in the mapping"
    raise InputError(
        f"column is missing; the columns are {listed(columns)}",
        file=path,
        field=" or ".join(group),
        remedy=remedy,
    )
