"""Process maps as YAML text that a person can edit; `map_files` reads it back to the same map."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from voc.process.maps import ProcessMap, Rule, Step


def write_map(process_map: ProcessMap, notes: Mapping[str, str] | None = None) -> str:
    """The YAML of a map, ending in a newline; `notes` are comments put behind the steps they name.

    Times are written exactly, in the largest unit that keeps them whole (90m, not 1.5h).
    """
    notes = notes or {}
    lines = [f"name: {_scalar(process_map.name)}", f"version: {_scalar(process_map.version)}"]
    lines += _pairs({"owner": process_map.owner})
    if process_map.applies_to is not None:
        applies_to = process_map.applies_to
        lines.append(
            f"applies_to: {{attribute: {_scalar(applies_to.attribute)}, value: {_scalar(applies_to.value)}}}"
        )
    for key in ("ignore", "start", "end"):
        if names := getattr(process_map, key):
            lines.append(f"{key}: {_list(names)}")
    lines += _pairs(
        {
            "unlisted": "deviation" if process_map.unlisted_deviate else None,
            "service_level": write_duration(process_map.service_level_s),
            "handoff_limit": write_duration(process_map.handoff_limit_s),
            "stalled_limit": write_duration(process_map.stalled_s),
            "max_ping_pong": process_map.max_ping_pong,
        }
    )
    tolerance = process_map.tolerance
    if tolerance.share or tolerance.seconds:
        lines.append(
            f"tolerance: {{share: {tolerance.share!r}, seconds: {write_duration(tolerance.seconds) or 0}}}"
        )
    lines.append("steps:")
    for step in process_map.steps:
        lines += _step(step, notes.get(step.name))
    if process_map.rules:
        lines += ["rules:", *(f"  - {_rule(rule)}" for rule in process_map.rules)]
    if process_map.flow:
        lines.append("flow:")
        lines += [f"  {_scalar(step)}: {_list(nexts)}" for step, nexts in process_map.flow.items()]
    return "\n".join(lines) + "\n"


def write_duration(seconds: float | None) -> str | None:
    """Seconds as the map format writes them: 5400 as 90m; None stays None."""
    if seconds is None:
        return None
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s" if seconds == math.floor(seconds) else f"{seconds:f}s"


def _step(step: Step, note: str | None) -> list[str]:
    pairs = {
        "activities": None if step.activities == (step.name,) else _list(step.activities),
        "owner": None if step.owner is None else _scalar(step.owner),
        "raci": _raci(step),
        "mandatory": "true" if step.mandatory else None,
        "max_repeats": step.max_repeats,
        "service_level": write_duration(step.service_level_s),
        "handoff_limit": write_duration(step.handoff_limit_s),
    }
    said = [f"{key}: {value}" for key, value in pairs.items() if value is not None]
    comment = "  # " + " ".join(note.split()) if note else ""
    return [f"  - name: {_scalar(step.name)}{comment}", *(f"    {line}" for line in said)]


def _rule(rule: Rule) -> str:
    if rule.b is not None:
        return f"{rule.template}: {_list((rule.a, rule.b))}"
    if rule.times != 1:
        return f"{rule.template}: {{step: {_scalar(rule.a)}, times: {rule.times}}}"
    return f"{rule.template}: {_scalar(rule.a)}"


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: {_scalar(value) if isinstance(value, str) else value}"
        for key, value in values.items()
        if value is not None
    ]


def _list(names: Iterable[str]) -> str:
    return "[" + ", ".join(_scalar(name) for name in names) + "]"


def _raci(step: Step) -> str | None:
    """Who else has to do with a step; who is accountable is written as its owner."""
    parts = [f"{key}: {_list(getattr(step, key))}" for key in ("responsible", "consulted", "informed")
             if getattr(step, key)]  # fmt: skip
    return "{" + ", ".join(parts) + "}" if parts else None


def _scalar(text: str) -> str:
    """The text as a YAML scalar on one line, quoted where it needs to be, also inside [] and {}."""
    written = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=math.inf)
    return written.strip()[1:-1]
