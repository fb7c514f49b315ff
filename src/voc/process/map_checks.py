"""What must hold of a process map as a whole: known names, no rule that nothing could ever keep."""

from collections.abc import Iterable, Mapping

from voc.errors import MapError
from voc.process.maps import BINARY_RULES, ProcessMap

# For these, `a` must come before the first `b`: a circle of them could never begin.
_FIRST = ("precedence", "succession", "chain_precedence", "chain_succession")
# For these, every `a` needs a later `b`: a circle of them could never end.
_AFTER = ("response", "succession", "chain_response", "chain_succession")


def check_map(process_map: ProcessMap, *, file: str | None = None) -> None:
    """Raise `MapError`, naming the key and the remedy, where the map contradicts itself.

    Found: a step or activity named twice, a rule, flow, start or end that names no step, a circle of
    rules that no case could begin or end, a step that must and must not happen, a limit without what it
    needs.
    """
    _check_names(process_map, file)
    for key, templates in (("begin", _FIRST), ("end", _AFTER)):
        edges: dict[str, list[str]] = {}
        for rule in process_map.rules:
            if rule.template in templates and rule.b is not None:
                edges.setdefault(rule.a, []).append(rule.b)
        if circle := find_circle(edges):
            raise MapError(
                f"the rules go in a circle ({' -> '.join(circle)}), so no case could ever {key}",
                file=file,
                field="rules",
                remedy="take out or turn round one of these rules",
            )
    _check_needs(process_map, file)
    if process_map.stalled_s is not None and not process_map.end:
        raise MapError(
            "needs the steps that finish a case, else every case would seem to be stalled",
            file=file,
            field="stalled_limit",
            remedy="name them under 'end'",
        )


def _check_names(process_map: ProcessMap, file: str | None) -> None:
    owner: dict[str, str] = {}
    names: set[str] = set()
    for step in process_map.steps:
        if step.name in names:
            raise MapError(
                f"step '{step.name}' is listed twice", file=file, field="steps", remedy="keep one of them"
            )
        names.add(step.name)
        for activity in step.activities:
            if activity in owner or activity in process_map.ignore:
                other = f"step '{owner[activity]}'" if activity in owner else "the ignored activities"
                raise MapError(
                    f"activity '{activity}' of step '{step.name}' is also in {other}",
                    file=file,
                    field="steps",
                    remedy="let each activity belong to one step",
                )
            owner[activity] = step.name
    used = [(f"rules: {rule.template}", name) for rule in process_map.rules for name in (rule.a, rule.b)]
    used += [(key, name) for key in ("start", "end") for name in getattr(process_map, key)]
    used += [("flow", name) for pair in process_map.flow.items() for name in (pair[0], *pair[1])]
    for key, name in used:
        if name is not None and name not in names:
            raise MapError(
                f"names the unknown step '{name}'; the steps are {_listed(sorted(names))}",
                file=file,
                field=key,
                remedy="correct the name or add the step under 'steps'",
            )
    for rule in process_map.rules:
        if rule.template in BINARY_RULES and rule.a == rule.b:
            raise MapError(
                f"sets '{rule.a}' against itself",
                file=file,
                field=f"rules: {rule.template}",
                remedy="name two steps; for a limit on one, use max_repeats",
            )


def _check_needs(process_map: ProcessMap, file: str | None) -> None:
    needed = {step.name for step in process_map.steps if step.mandatory}
    needed |= {rule.a for rule in process_map.rules if rule.template in ("existence", "exactly")}
    for rule in process_map.rules:
        if rule.template == "absence" and rule.times <= 1 and rule.a in needed:
            raise MapError(
                f"'{rule.a}' must happen and must not",
                file=file,
                field="rules: absence",
                remedy="drop this rule, or the one that makes the step mandatory",
            )
        if rule.template == "not_coexistence" and rule.a in needed and rule.b in needed:
            raise MapError(
                f"'{rule.a}' and '{rule.b}' are both mandatory and exclude one another",
                file=file,
                field="rules: not_coexistence",
                remedy="make one of them optional",
            )


def find_circle(edges: Mapping[str, Iterable[str]]) -> list[str] | None:
    """A path that comes back to its first node, or None; depth first, without recursion."""
    done: set[str] = set()
    for root in edges:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                done.add(path.pop())
            elif node in path:
                return [*path[path.index(node) :], node]
            elif node not in done:
                path.append(node)
                stack.append((node, True))
                stack.extend((after, False) for after in edges.get(node, ()))
    return None


def _listed(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
