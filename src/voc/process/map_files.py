"""Process maps as YAML: read and checked key by key, written so that a person can edit them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from voc.errors import MapError
from voc.process.map_checks import check_map
from voc.process.maps import BINARY_RULES, UNARY_RULES, AppliesTo, ProcessMap, Rule, Step, Tolerance

MAP_KEYS = (
    "name version owner applies_to ignore unlisted start end service_level handoff_limit stalled_limit "
    "max_ping_pong tolerance defaults steps rules flow"
).split()
STEP_KEYS = "name activities owner raci mandatory repeatable max_repeats service_level handoff_limit".split()
RACI_KEYS = "responsible accountable consulted informed".split()
_DEFAULT_KEYS = [key for key in STEP_KEYS if key not in ("name", "activities")]
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def read_maps(path: str | Path) -> list[ProcessMap]:
    """The maps of a YAML file (one or more documents) or of a folder of `.yaml` and `.yml` files.

    Raises `MapError` naming the file, key and remedy; two maps of one name and version are refused.
    """
    place = Path(path)
    files = sorted(p for p in place.iterdir() if p.suffix in (".yaml", ".yml")) if place.is_dir() else [place]
    if not files:
        raise MapError("holds no .yaml file", file=str(path), remedy="write a map or discover one")
    maps: list[ProcessMap] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise MapError(
                f"cannot be read ({error.strerror})", file=str(file), remedy="check the path"
            ) from error
        except UnicodeDecodeError as error:
            raise MapError("is not UTF-8", file=str(file), remedy="save it as UTF-8") from error
        maps += parse_maps(text, file=str(file))
    names = [one.process for one in maps]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise MapError(
            f"'{twice}' is given twice",
            file=str(path),
            field="name",
            remedy="rename one or raise its version",
        )
    return maps


def parse_maps(text: str, *, file: str | None = None) -> list[ProcessMap]:
    """The maps of a YAML text, checked; see `read_maps`."""
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise MapError(f"is not valid YAML{where}", file=file, remedy="check indents and colons") from error
    if not documents:
        raise MapError("is empty", file=file, remedy="write a map or discover one from a log")
    return [_parse(document, file) for document in documents]


def _parse(document: Any, file: str | None) -> ProcessMap:
    reader = _Reader(file)
    reader.known(document, MAP_KEYS, "the map")
    for key in ("name", "steps"):
        if not document.get(key):
            raise MapError("is missing", file=file, field=key, remedy="add it")
    defaults = document.get("defaults") or {}
    reader.known(defaults, _DEFAULT_KEYS, "defaults")
    steps = tuple(reader.step(one, defaults, at) for at, one in enumerate(reader.items(document, "steps")))
    step_of = {activity: step.name for step in steps for activity in step.activities}
    names = {step.name for step in steps}

    def ends(key: str) -> tuple[str, ...]:
        # An activity may stand for its step; an unknown name is told by check_map.
        listed = (name if name in names else step_of.get(name, name) for name in reader.names(document, key))
        return tuple(dict.fromkeys(listed))

    unlisted = document.get("unlisted", "ignore")
    if unlisted not in ("ignore", "deviation"):
        raise MapError(
            f"is '{unlisted}'", file=file, field="unlisted", remedy="write 'ignore' or 'deviation'"
        )
    flow = document.get("flow") or {}
    reader.known(flow, None, "flow")
    process_map = ProcessMap(
        name=str(document["name"]),
        version=str(document.get("version", "1")),
        owner=reader.text(document, "owner"),
        steps=steps,
        start=ends("start"),
        end=ends("end"),
        rules=tuple(rule for one in reader.items(document, "rules") for rule in reader.rules(one)),
        flow={str(key): tuple(reader.names(flow, key)) for key in flow},
        ignore=tuple(reader.names(document, "ignore")),
        unlisted_deviate=unlisted == "deviation",
        applies_to=reader.applies_to(document.get("applies_to")),
        service_level_s=reader.duration(document, "service_level"),
        handoff_limit_s=reader.duration(document, "handoff_limit"),
        stalled_s=reader.duration(document, "stalled_limit"),
        max_ping_pong=reader.count(document, "max_ping_pong", least=1),
        tolerance=reader.tolerance(document.get("tolerance")),
    )
    check_map(process_map, file=file)
    return process_map


class _Reader:
    """Turns YAML values into typed ones; every complaint names the key."""

    def __init__(self, file: str | None) -> None:
        self.file = file

    def fail(self, reason: str, field: str, remedy: str) -> MapError:
        return MapError(reason, file=self.file, field=field, remedy=remedy)

    def known(self, value: Any, keys: Sequence[str] | None, where: str) -> None:
        if not isinstance(value, Mapping):
            raise self.fail(f"is not a set of keys and values but {value!r:.40}", where, "write 'key: value'")
        if keys is not None and (unknown := [str(key) for key in value if key not in keys]):
            raise self.fail(f"unknown key in {where}", unknown[0], f"use one of {', '.join(keys)}")

    def items(self, value: Mapping[str, Any], key: str) -> list[Any]:
        found = value.get(key) or []
        if not isinstance(found, list):
            raise self.fail("is not a list", key, "write one entry a line, each after '- '")
        return found

    def names(self, value: Mapping[str, Any], key: str) -> list[str]:
        found = value.get(key) or []
        if not isinstance(found, list):
            found = [found]
        if any(isinstance(one, Mapping | list) for one in found):
            raise self.fail("holds something that is not a name", key, "list names")
        return [str(one) for one in found]

    def text(self, value: Mapping[str, Any], key: str) -> str | None:
        return None if value.get(key) in (None, "") else str(value[key])

    def flag(self, value: Mapping[str, Any], key: str) -> bool | None:
        found = value.get(key)
        if found is not None and not isinstance(found, bool):
            raise self.fail(f"is {found!r}", key, "write true or false")
        return found

    def count(self, value: Mapping[str, Any], key: str, *, least: int = 0) -> int | None:
        found = value.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or found < least:
            raise self.fail(f"is {found!r}", key, f"write a whole number of at least {least}")
        return found

    def duration(self, value: Mapping[str, Any], key: str) -> float | None:
        found = value.get(key)
        if found is None:
            return None
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", str(found))
        if match is None or isinstance(found, bool):
            raise self.fail(f"is {found!r}", key, "write seconds, or a number with s, m, h, d or w (36h)")
        return float(match[1]) * _UNITS[match[2] or "s"]

    def step(self, value: Any, defaults: Mapping[str, Any], at: int) -> Step:
        if isinstance(value, str):
            value = {"name": value}
        self.known(value, STEP_KEYS, f"steps, entry {at + 1}")
        name = self.text(value, "name")
        if name is None:
            raise self.fail(f"entry {at + 1} has no name", "steps", "give each step a name")
        own = {**defaults, **value}
        raci = self.raci(own)
        repeats = self.count(own, "max_repeats")
        repeatable = self.flag(own, "repeatable")
        if repeatable is False and repeats is None:
            repeats = 0
        return Step(
            name=name,
            activities=tuple(self.names(value, "activities")) or (name,),
            owner=next(iter(raci["accountable"]), None),
            mandatory=self.flag(own, "mandatory") or False,
            max_repeats=repeats,
            service_level_s=self.duration(own, "service_level"),
            handoff_limit_s=self.duration(own, "handoff_limit"),
            responsible=raci["responsible"],
            consulted=raci["consulted"],
            informed=raci["informed"],
        )

    def raci(self, value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Who does what for a step; `owner` is short for the one who is accountable."""
        said = value.get("raci") or {}
        self.known(said, RACI_KEYS, "raci")
        found = {key: tuple(self.names(said, key)) for key in RACI_KEYS}
        owner = self.text(value, "owner")
        if len(found["accountable"]) > 1:
            raise self.fail("names several accountable", "raci", "name one: who answers for the step")
        if owner is not None and found["accountable"] not in ((), (owner,)):
            raise self.fail("names another than 'owner'", "raci", "say once who is accountable")
        return found | ({"accountable": (owner,)} if owner is not None else {})

    def rules(self, value: Any) -> list[Rule]:
        self.known(value, (*UNARY_RULES, *BINARY_RULES), "rules")
        return [self.rule(template, said) for template, said in value.items()]

    def rule(self, template: str, said: Any) -> Rule:
        where = f"rules: {template}"
        if template in BINARY_RULES:
            if not isinstance(said, list) or len(said) != 2:
                raise self.fail("needs two steps", where, f"write '{template}: [first, second]'")
            return Rule(template, str(said[0]), str(said[1]))
        if isinstance(said, Mapping):
            self.known(said, ("step", "times"), where)
            if "step" not in said:
                raise self.fail("names no step", where, "add 'step'")
            return Rule(template, str(said["step"]), times=self.count(said, "times", least=1) or 1)
        if isinstance(said, list):
            raise self.fail("takes one step", where, f"write '{template}: step'")
        return Rule(template, str(said))

    def applies_to(self, value: Any) -> AppliesTo | None:
        if value is None:
            return None
        self.known(value, ("attribute", "value"), "applies_to")
        if not {"attribute", "value"} <= set(value):
            raise self.fail("is not complete", "applies_to", "give both 'attribute' and 'value'")
        return AppliesTo(str(value["attribute"]), str(value["value"]))

    def tolerance(self, value: Any) -> Tolerance:
        if value is None:
            return Tolerance()
        if not isinstance(value, Mapping):
            value = {"share": value} if isinstance(value, float) else {"seconds": value}
        self.known(value, ("share", "seconds"), "tolerance")
        share = value.get("share", 0.0)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 10:
            raise self.fail(f"has the share {share!r}", "tolerance", "write a share such as 0.1")
        return Tolerance(float(share), self.duration(value, "seconds") or 0.0)
