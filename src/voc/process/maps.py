"""Process maps: the reference a case is held against, as frozen records.

`map_files` reads and writes them as YAML; the guide `docs/guides/process-maps.md` explains every key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# DECLARE templates (Pesic 2008; the names are those of the Declare4Py and RuM tools).
UNARY_RULES: Final = ("existence", "absence", "exactly", "init", "end")
BINARY_RULES: Final = (
    "response",
    "precedence",
    "succession",
    "chain_response",
    "chain_precedence",
    "chain_succession",
    "not_coexistence",
)
END_TO_END: Final = "(end to end)"  # the step named by a breach of the whole case's service level


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a process: which activities make it up, who owns it, what it must keep to.

    `owner` is who is accountable (the A of RACI); `responsible` do the work, `consulted` are asked and
    `informed` are told. `max_repeats` is how often it may be visited again after other work (None: no limit).
    `service_level_s` is the longest time from the end of the step before it to its own last event;
    `handoff_limit_s` the longest wait for it when work comes from another resource.
    """

    name: str
    activities: tuple[str, ...]
    owner: str | None = None
    mandatory: bool = False
    max_repeats: int | None = None
    service_level_s: float | None = None
    handoff_limit_s: float | None = None
    responsible: tuple[str, ...] = ()
    consulted: tuple[str, ...] = ()
    informed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """An order rule: a DECLARE template over one step (`a`) or two (`a`, `b`).

    `times` counts for existence (at least), exactly, and absence (fewer than).
    """

    template: str
    a: str
    b: str | None = None
    times: int = 1


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far past a limit is still kept: a share of the limit and seconds, added."""

    share: float = 0.0
    seconds: float = 0.0

    def stretch(self, limit_s: float) -> float:
        """The limit with its tolerance, in seconds."""
        return limit_s * (1.0 + self.share) + self.seconds


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """The cases a map is for: those whose `attribute` is `value`, or a list that holds it.

    `attribute` is a key of the attributes of a case's first event or of their `case` object.
    """

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class ProcessMap:
    """A reference process.

    `start` and `end` name steps: a case begins with one of `start`, and is finished once one of `end`
    happened (with no `end`, every case counts as finished). `flow` tells for a step which may come
    next. `unlisted` says whether an activity of no step is a deviation. `stalled_s` is how long a case
    that is not finished may rest; `max_ping_pong` how many handoffs in a row may go between the same
    two resources. All times are seconds.
    """

    name: str
    steps: tuple[Step, ...]
    version: str = "1"
    owner: str | None = None
    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    flow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    unlisted_deviate: bool = False
    applies_to: AppliesTo | None = None
    service_level_s: float | None = None
    handoff_limit_s: float | None = None
    stalled_s: float | None = None
    max_ping_pong: int | None = None
    tolerance: Tolerance = Tolerance()

    @property
    def process(self) -> str:
        """What a deviation carries to say which reference it is from: "name@version"."""
        return f"{self.name}@{self.version}"

    def step_of(self) -> dict[str, str]:
        """The step of each activity the map lists."""
        return {activity: step.name for step in self.steps for activity in step.activities}

    def owners(self) -> dict[str, str | None]:
        """The owner of each step; the whole case belongs to the owner of the map."""
        return {step.name: step.owner or self.owner for step in self.steps} | {END_TO_END: self.owner}
