"""The plan of a pilot as a file a person writes before the first look."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voc.errors import InputError, StatisticsError
from voc.rootcause.cohorts import Pilot

KEYS = "id metric share planned_units margin alpha guardrails root_cause".split()
_NEEDED = KEYS[:5]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried, on which share of customers, and what would count as success or harm."""

    pilot: Pilot
    metric: str  # better when lower
    root_cause: int | None

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON can hold it, every default filled in."""
        pilot = self.pilot
        return {
            "id": pilot.id,
            "metric": self.metric,
            "share": pilot.share,
            "planned_units": pilot.planned_units,
            "margin": pilot.margin,
            "alpha": pilot.alpha,
            "guardrails": dict(pilot.guardrails or {}),
        }


def read_plan(path: str) -> Plan:
    """Read the YAML of a plan.

    Raises
    ------
    InputError
        The file cannot be read, a key is missing or unknown, or a value cannot be.
    """
    try:
        said = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot be opened ({error.strerror})", file=path, remedy="check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("is not YAML", file=path, remedy="check indents and quotes") from error
    if not isinstance(said, Mapping):
        raise InputError("is no plan", file=path, remedy=f"write the keys {', '.join(_NEEDED)}")
    for key in said:
        if key not in KEYS:
            raise InputError("unknown key", file=path, field=str(key), remedy=f"use {', '.join(KEYS)}")
    for key in _NEEDED:
        if said.get(key) is None:
            raise InputError("is missing", file=path, field=key, remedy="add it before the first look")
    guardrails = said.get("guardrails") or {}
    if not isinstance(guardrails, Mapping):
        raise InputError("is no list of limits", file=path, field="guardrails", remedy="write metric: limit")
    try:
        pilot = Pilot(
            id=str(said["id"]),
            share=_number(said, "share", path),
            planned_units=int(_number(said, "planned_units", path)),
            margin=_number(said, "margin", path),
            alpha=_number(said, "alpha", path) if "alpha" in said else 0.05,
            guardrails={str(name): _number(guardrails, name, path) for name in guardrails} or None,
        )
    except StatisticsError as error:
        raise InputError(str(error), file=path, remedy="correct the plan") from error
    root_cause = said.get("root_cause")
    if root_cause is not None and (isinstance(root_cause, bool) or not isinstance(root_cause, int)):
        raise InputError(f"is {root_cause!r}", file=path, field="root_cause", remedy="give its number")
    return Plan(pilot, str(said["metric"]), root_cause)


def _number(values: Mapping[Any, Any], key: Any, path: str) -> float:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"is {value!r}", file=path, field=str(key), remedy="write a number")
    return float(value)
