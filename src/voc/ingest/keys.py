"""Reading the keys of a mapping: what is unknown, missing or of the wrong kind is named, with a remedy."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from voc.errors import MappingError


@dataclass(frozen=True, slots=True)
class Keys:
    """One block of a mapping file; `where` is its place in the file, such as `ratings[0]`."""

    data: Mapping[str, Any]
    file: str
    where: str

    @classmethod
    def of(cls, data: Any, *, file: str, where: str, known: Iterable[str]) -> "Keys":
        """Check that `data` is a block and holds known keys alone."""
        known = tuple(known)
        if not isinstance(data, dict):
            raise MappingError(
                f"is {kind_of(data)}, not a block of keys",
                file=file,
                field=where or None,
                remedy=f"write 'key: value' lines; keys known here: {', '.join(known)}",
            )
        block = cls(data, file, where)
        for key in data:
            if key not in known:
                block.unknown(str(key), known)
        return block

    def at(self, key: str) -> str:
        """The place of a key in the file, for messages."""
        return f"{self.where}.{key}" if self.where else key

    def fail(self, key: str, reason: str, remedy: str) -> MappingError:
        """An error about one key, to be raised."""
        return MappingError(reason, file=self.file, field=self.at(key), remedy=remedy)

    def unknown(self, key: str, known: Iterable[str]) -> None:
        """Raise: the key is not known here; name the nearest that is."""
        known = tuple(known)
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        meant = f"did you mean '{near[0]}'? " if near else ""
        raise self.fail(key, "unknown key", f"{meant}keys known here: {', '.join(known)}")

    def need(self, key: str) -> Any:
        """The value of a key that must be there."""
        if self.data.get(key) is None:
            raise self.fail(key, "key is missing", f"add '{key}:' (see docs/guides/mappings.md)")
        return self.data[key]

    def text(self, key: str, default: str | None = None) -> str | None:
        """A text value; whole numbers are taken as text."""
        value = self.data.get(key, default)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self.fail(key, f"is {kind_of(value)}, not a text", "put the value in quotes")

    def need_text(self, key: str) -> str:
        """A text value that must be there and not be empty."""
        self.need(key)
        value = (self.text(key) or "").strip()
        if not value:
            raise self.fail(key, "is empty", "give it a value")
        return value

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> str:
        """One of a few words."""
        choices = tuple(choices)
        value = self.text(key, default)
        if value is None:
            raise self.fail(key, "key is missing", f"add '{key}:' with one of {', '.join(choices)}")
        if value not in choices:
            near = difflib.get_close_matches(value, choices, n=1, cutoff=0.5)
            meant = f"did you mean '{near[0]}'? " if near else ""
            raise self.fail(key, f"'{value}' is not known", f"{meant}choose one of {', '.join(choices)}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, f"is {kind_of(value)}, not true or false", "write true or false")
        return value

    def number(self, key: str, *, default: float, low: float, high: float) -> float:
        """A number within bounds."""
        value = self.data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(
                key, f"is {kind_of(value)}, not a number", f"give a number from {low:g} to {high:g}"
            )
        if not low <= value <= high:
            raise self.fail(key, f"{value:g} is out of bounds", f"give a number from {low:g} to {high:g}")
        return float(value)

    def items(self, key: str) -> list[Any]:
        """A list, empty where the key is not there; one block alone counts as a list of one."""
        value = self.data.get(key)
        if value is None:
            return []
        return value if isinstance(value, list) else [value]


def kind_of(value: Any) -> str:
    """What a value is, in plain words."""
    names = {dict: "a block", list: "a list", str: "a text", bool: "true or false", int: "a number"}
    return "empty" if value is None else names.get(type(value), f"a {type(value).__name__}")
