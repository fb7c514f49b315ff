"""What moved between two computations of the same thing, as JSON can hold it."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

Moves = dict[str, tuple[Any, Any]]  # field -> (before, after)
RELATIVE: Final = 1e-9  # less is rounding


def moved(before: Mapping[str, Any], after: Mapping[str, Any], fields: Iterable[str]) -> Moves:
    """The fields whose value differs, with both values; a field that `before` lacks counts as None."""
    pairs = ((name, before.get(name), after.get(name)) for name in fields)
    return {name: (_plain(old), _plain(new)) for name, old, new in pairs if not _same(old, new)}


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        both_nan = math.isnan(old) and math.isnan(new)
        return both_nan or math.isclose(old, new, rel_tol=RELATIVE, abs_tol=1e-15)
    return bool(old == new)


def _plain(value: Any) -> Any:
    """JSON has no infinity, NaN or time."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
