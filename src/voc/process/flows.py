"""Reference flows of service dialogues (JSON graphs of what an agent says next) as process maps."""

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voc.errors import MapError
from voc.process.map_checks import check_map
from voc.process.maps import AppliesTo, ProcessMap, Rule, Step

_START = "hello"
_ASKS = re.compile(r"(^|_)ask(_|$)")
_CLOSES = re.compile(r"anything_else|goodbye|bye")
_QUERY = re.compile(r"query(?:_(\w+))?")


def import_flows(
    path: str | Path, *, ignore: Sequence[str] = (), attribute: str = "tasks"
) -> list[ProcessMap]:
    """One map a flow of a file `{flow: {"replies": {...}, "graph": {step: next step}}}`.

    The chain from `hello` on is the usual order. A node that nothing leads to is a condition ("yes",
    "unavailable"): where it leads is optional, and a condition that leads back into the chain makes a
    loop, in which a step may come once more. What an agent asks is optional, since customers
    volunteer it; queries and what is told from them are mandatory and keep their order. A query's
    activity is `query:<flow>`, or `query:<flow>:Check` for `query_check`. A turn that no flow has is
    off the script and deviates.

    Parameters
    ----------
    ignore : activities to look past, such as the customer's own messages
    attribute : the case attribute that names a case's flow

    Raises
    ------
    MapError
        The file cannot be read or holds no flows.
    """
    try:
        flows = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MapError(
            f"cannot be read ({error})", file=str(path), remedy="give a JSON file of flows"
        ) from error
    if not isinstance(flows, dict) or not flows:
        raise MapError("holds no flows", file=str(path), remedy='give {"flow": {"graph": {...}}}')
    maps = []
    for name, flow in flows.items():
        graph = flow.get("graph") if isinstance(flow, dict) else None
        if not isinstance(graph, dict) or _START not in graph:
            raise MapError(
                f"has no graph from '{_START}'",
                file=str(path),
                field=name,
                remedy="add the graph or take it out",
            )
        maps.append(_import(name, flow, ignore, attribute, str(path)))
    return maps


def _import(name: str, flow: dict[str, Any], ignore: Sequence[str], attribute: str, file: str) -> ProcessMap:
    graph: dict[str, str] = flow["graph"]
    chain = _follow(graph, _START)
    conditions = set(graph) - set(graph.values()) - {_START}
    entries = [graph[c] for c in sorted(conditions)]
    looped = {step for entry in entries if entry in chain for step in chain[chain.index(entry) :]}
    others = [s for entry in entries for s in _follow(graph, entry)] + list(flow.get("replies", ()))
    rest = [s for s in dict.fromkeys(others) if s not in chain and s not in conditions]
    mandatory = [s for s in chain[1:] if not _ASKS.search(s) and not _CLOSES.search(s)]
    steps = [
        Step(
            name=step,
            activities=(_activity(name, step),),
            mandatory=step in mandatory,
            max_repeats=None if step not in chain else 1 if step in looped else 0,
        )
        for step in (*chain, *rest)
    ]
    rules = tuple(Rule("precedence", a, b) for a, b in itertools.pairwise(mandatory))
    process = ProcessMap(
        name=name,
        steps=tuple(steps),
        rules=rules,
        ignore=tuple(ignore),
        unlisted_deviate=True,
        applies_to=AppliesTo(attribute, name),
    )
    check_map(process, file=file)
    return process


def _follow(graph: dict[str, str], start: str) -> list[str]:
    chain = [start]
    while chain[-1] in graph and graph[chain[-1]] not in chain:
        chain.append(graph[chain[-1]])
    return chain


def _activity(flow: str, step: str) -> str:
    match = _QUERY.fullmatch(step)
    if match is None:
        return step
    return f"query:{flow}:{match[1].capitalize()}" if match[1] else f"query:{flow}"
