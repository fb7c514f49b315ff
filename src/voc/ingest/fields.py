"""Where a value sits in a raw row: a column, a path into JSON (also JSON held in a column), or a constant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from voc.ingest.keys import Keys, kind_of
from voc.json_values import parse_json

_KEYS = ("field", "first_of", "join", "constant", "default", "values", "optional")
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldRef:
    """A reference to a value of a row.

    `paths` are tried in order and the first value that is there counts; where `joined`, all are
    needed and are joined with `#`. `values` translates what is found, by its canonical form.
    """

    paths: tuple[Path, ...] = ()
    joined: bool = False
    default: Any = None  # also the constant, where there are no paths
    values: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False
    name: str = field(init=False, default="constant")  # how messages call the field
    column: str | None = field(init=False, default=None)  # where the reference is a column and no more

    def __post_init__(self) -> None:
        joint = " + " if self.joined else " or "
        name = joint.join(".".join(path) for path in self.paths)
        object.__setattr__(self, "name", name or "constant")
        if len(self.paths) == 1 and len(self.paths[0]) == 1 and not self.values:
            object.__setattr__(self, "column", self.paths[0][0])

    def columns_needed(self) -> list[tuple[str, ...]]:
        """Groups of columns; of each group at least one must be in the file."""
        if self.optional or not self.paths:
            return []
        columns = tuple(dict.fromkeys(path[0] for path in self.paths))
        return [(column,) for column in columns] if self.joined else [columns]


class Row:
    """One raw row, with the JSON in its columns parsed once."""

    __slots__ = ("_missing", "_parsed", "raw")

    def __init__(self, raw: Mapping[str, Any], missing: frozenset[str] = frozenset()) -> None:
        self.raw = raw
        self._missing = missing
        self._parsed: dict[str, Any] = {}

    def find(self, ref: FieldRef) -> Any:
        """The value a reference points at; None where it is not there, empty, or marked as missing.

        Raises
        ------
        ValueError
            A column that should hold JSON does not.
        """
        if ref.column is not None:  # most fields of most sources: the shortest way
            value = self.raw.get(ref.column)
            return value if self._is_there(value) else ref.default
        if ref.joined:
            parts = [self._first(path) for path in ref.paths]
            if any(isinstance(part, dict | list) for part in parts):
                raise ValueError("is not one value")
            value = None if any(p is None for p in parts) else "#".join(canonical_id(p) for p in parts)
        else:
            value = None
            for path in ref.paths:
                value = self._first(path)
                if value is not None:
                    break
        if value is None:
            return ref.default
        return ref.values.get(canonical(value), value) if ref.values else value

    def find_all(self, ref: FieldRef) -> list[Any]:
        """Every value a reference points at: several where a path holds `*`."""
        if ref.column is not None:
            value = self.find(ref)
            return [] if value is None else [value]
        for path in ref.paths:
            found = [value for value in _below(self._start(path), path[1:]) if self._is_there(value)]
            if found:
                return [ref.values.get(canonical(value), value) for value in found]
        return [] if ref.default is None else [ref.default]

    def _first(self, path: Path) -> Any:
        value = self._start(path)
        for i in range(1, len(path)):
            if type(value) is dict:
                key = path[i]
                if key in value:
                    value = value[key]
                    continue
                if "*" not in key:
                    return None
            # Lists and names with * are rarer: several values may match there.
            return next((inner for inner in _below(value, path[i:]) if self._is_there(inner)), None)
        return value if self._is_there(value) else None

    def _start(self, path: Path) -> Any:
        """The cell a path starts from, parsed where the path goes on into it."""
        value = self.raw.get(path[0])
        if len(path) == 1 or not isinstance(value, str):
            return value
        if path[0] not in self._parsed:
            self._parsed[path[0]] = parse_json(value) if value.strip() else None
        return self._parsed[path[0]]

    def _is_there(self, value: Any) -> bool:
        return value is not None and not (isinstance(value, str) and (not value or value in self._missing))


def _below(value: Any, path: Path) -> Iterator[Any]:
    """Every value a path leads to; names are matched exactly first, then with `*` as a wildcard."""
    if not path:
        yield value
        return
    key, rest = path[0], path[1:]
    if isinstance(value, dict):
        if key in value:
            yield from _below(value[key], rest)
        elif "*" in key:
            for name, inner in value.items():
                if fnmatchcase(str(name), key):
                    yield from _below(inner, rest)
    elif isinstance(value, list):
        if key == "*":
            for inner in value:
                yield from _below(inner, rest)
        elif key.isascii() and key.isdigit() and int(key[:9]) < len(value):
            yield from _below(value[int(key[:9])], rest)


def canonical(value: Any) -> str:
    """One form for what people write alike: Yes, yes, TRUE and true; 5, 5.0 and "5". Lists have none."""
    if isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip().casefold()
    return {"true": "yes", "false": "no"}.get(text, text)


def canonical_id(value: Any) -> str:
    """A scalar as text: whole floats (from spreadsheets and Parquet) lose their `.0`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def parse_ref(keys: Keys, key: str, *, required: bool = False) -> FieldRef | None:
    """Read a reference: a dotted text, a list of exact path segments, or a block of keys."""
    data = keys.need(key) if required else keys.data.get(key)
    if data is None:
        return None
    if isinstance(data, str | list):
        return FieldRef(paths=(_path(keys, key, data),))
    if not isinstance(data, dict):
        raise keys.fail(key, f"is {kind_of(data)}, not a field", "put the field's name in quotes")
    block = Keys.of(data, file=keys.file, where=keys.at(key), known=_KEYS)
    origins = [name for name in ("field", "first_of", "join", "constant") if name in block.data]
    if len(origins) != 1:
        raise keys.fail(
            key,
            f"says where its value is {len(origins)} times",
            "give one of field, first_of, join, constant",
        )
    origin = origins[0]
    values = block.data.get("values") or {}
    if not isinstance(values, dict):
        raise block.fail("values", f"is {kind_of(values)}", "write one 'seen: meant' line a value")
    if origin == "constant":
        return FieldRef(default=block.need("constant"))
    listed = [block.need(origin)] if origin == "field" else block.items(origin)
    if not listed:
        raise block.fail(origin, "is empty", "list at least one field")
    return FieldRef(
        paths=tuple(_path(block, origin, entry) for entry in listed),
        joined=origin == "join",
        default=block.data.get("default"),
        values={canonical(seen): meant for seen, meant in values.items()},
        optional=block.flag("optional", default=False),
    )


def _path(keys: Keys, key: str, data: Any) -> Path:
    """`a.b` is the key b in column a; a list holds exact names, for names with dots in them."""
    segments = data if isinstance(data, list) else str(data).split(".") if isinstance(data, str | int) else []
    path = tuple(canonical_id(segment) for segment in segments)
    if not path or not all(path):
        raise keys.fail(key, "is not a field", "write a column name, a dotted path, or a list of exact names")
    if "*" in path[0]:
        raise keys.fail(key, "'*' cannot stand for a column", "name the column")
    return path
