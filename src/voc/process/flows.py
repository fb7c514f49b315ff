"""Reference flow graphs of dialogue systems (STAR, Mosig et al. 2020) as process maps."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from voc.errors import MapError
from voc.process.map_checks import check_map
from voc.process.maps import AppliesTo, ProcessMap, Rule, Step

ENTRY: Final = "hello"
# Nodes that are no action but what the customer said or the system gave back: they begin a branch.
OUTCOMES: Final = frozenset(
    "yes no available unavailable query_success query_failure info_missing info_missing2 "
    "correct incorrect noanswer done".split()
)
# Small talk that every flow shares: a dialogue about two tasks has it once or twice, and both are fine.
SHARED: Final = frozenset({ENTRY, "anything_else", "out_of_scope"})
# How the log names a look-up of the flow's system.
_QUERIES: Final = {"query": "query:{}", "query_check": "query:{}:Check", "query_book": "query:{}:Book"}


def read_flows(
    path: str | Path, *, case_attribute: str = "tasks", end: str | None = None
) -> list[ProcessMap]:
    """Maps of a JSON file of flow graphs: `{flow: {"graph": {step: next step}, ...}, ...}`.

    Each map applies to the cases whose `case_attribute` is, or lists, the flow's name; a case ends with
    the activity `end` where one is given.

    Raises
    ------
    MapError
        The file is not such JSON, or a graph is empty.
    """
    file = str(path)
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MapError(f"cannot be read as JSON ({error})", file=file, remedy="check the file") from error
    if not isinstance(document, Mapping) or not document:
        raise MapError("holds no flows", file=file, remedy="give an object: flow name to its graph")
    return [
        _import_flow(name, flow, case_attribute=case_attribute, end=end, file=file)
        for name, flow in document.items()
    ]


def _import_flow(name: str, flow: Any, *, case_attribute: str, end: str | None, file: str) -> ProcessMap:
    graph = flow.get("graph") if isinstance(flow, Mapping) else None
    if not isinstance(graph, Mapping) or not graph:
        raise MapError("has no graph", file=file, field=name, remedy="give 'graph': {step: next step}")
    nexts: dict[str, str] = {str(step): str(after) for step, after in graph.items()}
    nodes = list(dict.fromkeys([*_walk(nexts), *nexts, *nexts.values()]))
    steps = [node for node in nodes if node not in OUTCOMES | SHARED]
    asks = {step for step in steps if "_ask_" in step or step.startswith("ask_")}
    spine = [node for node in _walk(nexts) if node in steps]
    # After a step with no next one of its own, any outcome may come, each with its branch.
    branches = list(dict.fromkeys(nexts[node] for node in nexts if node in OUTCOMES))
    flows = {step: _reach(step, nexts, branches, asks) for step in steps}
    # A branch may lead back into the way already gone: from there on, steps may come again.
    back = min((spine.index(node) for node in branches if node in spine), default=len(spine))
    title = {step: _QUERIES.get(step, "{0}").format(name) if step in _QUERIES else step for step in steps}
    finish = () if end is None else (end,)
    process_map = ProcessMap(
        name=name,
        steps=tuple(
            Step(
                name=title[step],
                activities=(title[step],),
                # A customer may volunteer what the flow would ask; a look-up nobody can leave out.
                mandatory=step in _QUERIES and step in spine,
                max_repeats=None if step not in spine or spine.index(step) >= back else 0,
            )
            for step in steps
        )
        + tuple(Step(name=one, activities=(one,)) for one in finish),
        end=finish,
        rules=tuple(
            Rule("precedence", title[step], title[after])
            for step, after in nexts.items()
            if step in _QUERIES and after in steps and after not in _QUERIES and _only_way(after, step, nexts)
        ),
        flow={
            title[step]: tuple(title[after] for after in after_step) + finish
            for step, after_step in flows.items()
        },
        applies_to=AppliesTo(case_attribute, name),
    )
    check_map(process_map, file=file)
    return process_map


def _walk(nexts: Mapping[str, str]) -> list[str]:
    """The way from the entry as far as it goes without an outcome deciding."""
    way = [ENTRY if ENTRY in nexts else next(iter(nexts))]
    while (after := nexts.get(way[-1])) is not None and after not in way:
        way.append(after)
    return way


def _reach(step: str, nexts: Mapping[str, str], branches: list[str], asks: set[str]) -> list[str]:
    """The steps that may come next: the one named, past questions whose answer was volunteered."""
    seen: dict[str, None] = {}
    open_nodes = [nexts[step]] if step in nexts else list(branches)
    while open_nodes:
        node = open_nodes.pop(0)
        if node in seen or node == step:
            continue
        seen[node] = None
        if node in asks or node in SHARED:
            open_nodes += [nexts[node]] if node in nexts else branches
    return [node for node in seen if node not in SHARED]


def _only_way(node: str, before: str, nexts: Mapping[str, str]) -> bool:
    return [step for step, after in nexts.items() if after == node] == [before]
