"""What a check of one sequence of steps finds, before it is tied to a case and its times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voc.process.slips import Slip


@dataclass(frozen=True, slots=True)
class Finding:
    """A deviation of a sequence: `events` are positions in the case, the first one tells its time.

    `since` is the position from which the extra work of a rework loop is timed.
    """

    kind: str
    step: str
    from_step: str | None
    events: tuple[int, ...]
    since: int | None = None


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each kind and step: several rules, or several events, may speak of the same."""
    merged: dict[tuple[str, str], Finding] = {}
    for one in findings:
        key = (one.kind, one.step)
        first = merged.get(key)
        if first is None:
            merged[key] = one
        elif one.events != first.events:
            early = min(first, one, key=lambda finding: finding.events[0])
            events = tuple(sorted({*first.events, *one.events}))
            merged[key] = Finding(one.kind, one.step, early.from_step, events, early.since)
    return list(merged.values())


def from_slips(slips: Iterable[Slip], steps: Sequence[str], names: Sequence[str]) -> list[Finding]:
    """Findings of slips: `steps` is the sequence seen, by name; `names` tells the name of a step's code.

    A step added that the case also has elsewhere is rework; one that it has nowhere else happened
    where it does not belong, which is wrong order; so is one that was moved.
    """
    found: list[Finding] = []
    for slip in slips:
        if slip.kind == "skip":
            before = steps[slip.before] if slip.before >= 0 else None
            missing = [names[code] for code in slip.steps if names[code] not in steps]
            found += [Finding("skipped_step", name, before, slip.events) for name in missing]
            if not missing:
                # All it jumped over happens at some other time: it came here by a way that is not one.
                found.append(Finding("wrong_order", steps[slip.events[0]], before, slip.events))
            continue
        for code, at in zip(slip.steps, slip.events, strict=True):
            again = slip.kind != "move" and any(
                name == names[code] and place not in slip.events for place, name in enumerate(steps)
            )
            kind = "rework_loop" if again else "wrong_order"
            found.append(Finding(kind, names[code], steps[at - 1] if at else None, (at,), max(0, at - 1)))
    return found
