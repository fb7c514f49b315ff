"""JSON as it comes in the wild, read; and values of any kind in a form that JSON can hold."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

_MAX_DEPTH = 50
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def parse_json(text: str) -> Any:
    """JSON as it comes in the wild: NaN and Infinity, which are not JSON, are read as missing.

    Raises
    ------
    ValueError
        It is not JSON, nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg} at character {error.pos + 1})") from None
    except RecursionError:
        raise ValueError("is not JSON (nested too deeply)") from None
    except ValueError:
        raise ValueError("is not JSON (a number with too many digits)") from None


def storable(value: Any, depth: int = 0) -> Any:
    """A copy that JSON and PostgreSQL accept: no NUL, no half characters, no NaN, no odd types."""
    if isinstance(value, str):
        if "\0" in value:
            value = value.replace("\0", "\u2400")
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else f"{value:#x}"
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        return {str(storable(str(key))): storable(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple) and depth < _MAX_DEPTH:
        return [storable(inner, depth + 1) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    return storable(str(value)) if depth < _MAX_DEPTH else "(nested too deeply)"
