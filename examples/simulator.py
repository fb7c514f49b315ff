"""A small company, simulated: orders, what goes wrong in them, and what customers say about it.

Everything is drawn from one seed. What is planted is known, so a run can be held against it:

- refund review done again and again (rework_loop)  -> billing_error, repeat_contact
- parcels that lie between packing and courier (handoff_delay) -> delay
- quality check left out (skipped_step) -> fulfilment_error
- a bad app release -> outage_defect for a few days, whatever the order went through
- planted to mislead: business customers' orders go back and forth between two teams (ping_pong)
  and business customers complain more about staff, but the one does not bring the other.

    python -m examples.simulator var/demo/data --orders 4000 --seed 1
"""

import argparse
import csv
import gzip
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from examples.simulator_texts import AGENT_LINES, complain, praise, say_something

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # a Monday
DAYS = 70
RELEASE = START + timedelta(days=41, hours=2)
BAD_FOR = timedelta(days=4)

PLANTED: tuple[dict[str, str], ...] = (
    {"kind": "rework_loop", "step": "review refund", "outcome": "billing_error"},
    {"kind": "rework_loop", "step": "review refund", "outcome": "repeat_contact"},
    {"kind": "handoff_delay", "step": "hand to courier", "outcome": "delay"},
    {"kind": "skipped_step", "step": "check quality", "outcome": "fulfilment_error"},
)
MISLEADING = {"kind": "ping_pong", "step": "clear invoice", "outcome": "staff_conduct"}


@dataclass(slots=True)
class Order:
    """One case with its events and the chance of each complaint."""

    case_id: str
    customer: str
    segment: str
    region: str
    channel: str
    at: datetime
    events: list[tuple[str, datetime, str]] = field(default_factory=list)
    chance: dict[str, float] = field(default_factory=dict)
    deviations: set[str] = field(default_factory=set)

    def do(self, activity: str, resource: str, after: timedelta) -> None:
        """Append an event `after` the last one."""
        self.at += after
        self.events.append((activity, self.at, resource))


def simulate_order(rng: random.Random, number: int) -> Order:
    """One order from placing to delivery, sometimes with a refund."""
    segment = "business" if rng.random() < 0.3 else "private"
    placed = START + timedelta(days=rng.random() * (DAYS - 12), hours=rng.uniform(0, 8))
    order = Order(
        f"O{number:05d}", f"C{rng.randrange(1, 2600):05d}", segment, rng.choice(("north", "south", "west")),
        rng.choice(("app", "web")), placed,
        chance={"delay": 0.03, "billing_error": 0.02, "repeat_contact": 0.02, "fulfilment_error": 0.03,
                "outage_defect": 0.01, "staff_conduct": 0.22 if segment == "business" else 0.02,
                "churn_intent": 0.02},
    )  # fmt: skip
    hours = lambda low, high: timedelta(hours=rng.uniform(low, high))  # noqa: E731 - read once, below
    order.do("place order", "shop", hours(0, 0.1))
    order.do("capture payment", "payments", hours(0.02, 0.3))
    if rng.random() < (0.45 if segment == "business" else 0.06):
        order.deviations.add("ping_pong")
        for team in ("accounting", "sales desk", "accounting", "sales desk", "accounting"):
            order.do("clear invoice", team, hours(0.5, 3))
    order.do("pick", "warehouse", hours(1, 10))
    order.do("pack", "warehouse", hours(0.3, 2))
    if rng.random() < 0.09:
        order.deviations.add("skipped_step")
        order.chance["fulfilment_error"] = 0.42
    else:
        order.do("check quality", "warehouse", hours(0.1, 1))
    late = rng.random() < 0.12
    if late:
        order.deviations.add("handoff_delay")
        order.chance["delay"] = 0.5
    order.do("hand to courier", "courier", hours(70, 150) if late else hours(1, 14))
    order.do("deliver", "courier", hours(18, 50))
    if rng.random() < 0.3:
        _simulate_refund(rng, order)
    return order


def _simulate_refund(rng: random.Random, order: Order) -> None:
    order.do("request refund", "customer care", timedelta(hours=rng.uniform(20, 60)))
    reviews = 1
    if rng.random() < 0.3:
        order.deviations.add("rework_loop")
        order.chance["billing_error"], order.chance["repeat_contact"] = 0.45, 0.3
        reviews = rng.choice((3, 3, 4))
    for turn in range(reviews):
        if turn:
            order.do("ask for papers", "billing", timedelta(hours=rng.uniform(5, 20)))
        order.do("review refund", "billing", timedelta(hours=rng.uniform(2, 12)))
    order.do("pay refund", "billing", timedelta(hours=rng.uniform(2, 20)))


def simulate_feedback(rng: random.Random, order: Order) -> list[dict[str, Any]]:
    """What the customer of an order says: a survey, perhaps a review, perhaps a chat."""
    said: list[dict[str, Any]] = []
    chance = dict(order.chance)
    asked_at = order.at + timedelta(hours=rng.uniform(1, 30))
    if RELEASE <= asked_at < RELEASE + BAD_FOR:
        chance["outage_defect"] = 0.35
    carried = [signal for signal, p in chance.items() if rng.random() < p]
    if rng.random() > (0.85 if carried else 0.4):
        return []
    base = {"case_id": order.case_id, "customer": order.customer, "segment": order.segment,
            "region": order.region, "channel": order.channel}  # fmt: skip
    nps = rng.choice((0, 1, 2, 3, 4, 5, 6)) if carried else rng.choice((6, 7, 8, 9, 9, 10, 10))
    texts = [complain(rng, signal) for signal in carried] or [praise(rng) if nps >= 8 else say_something(rng)]
    if carried and rng.random() < 0.4:
        said.append({**base, "kind": "chat", "at": asked_at, "turns": _chat(rng, texts, asked_at)})
    else:
        said.append({**base, "kind": "survey", "at": asked_at, "nps": nps, "comment": " ".join(texts)})
    return said


def _chat(rng: random.Random, texts: list[str], at: datetime) -> list[dict[str, str]]:
    turns = []
    for text in texts:
        for speaker, line in (("customer", text), ("agent", rng.choice(AGENT_LINES))):
            at += timedelta(seconds=rng.randint(8, 60))
            turns.append({"speaker": speaker, "text": line, "at": at.isoformat()})
    return turns


def write_company(folder: Path, *, orders: int, seed: int) -> dict[str, Any]:
    """Write event log, survey, chats and changes; return (and write) what was planted."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    cases = [simulate_order(rng, number) for number in range(1, orders + 1)]
    feedback = [item for order in cases for item in simulate_feedback(rng, order)]
    _write_csv(folder / "events.csv.gz", ("case_id", "activity", "timestamp", "resource", "attributes"), (
        (o.case_id, activity, at.isoformat(), resource,
         json.dumps({"case": {"segment": o.segment, "region": o.region, "channel": o.channel,
                              "customer": o.customer}}) if i == 0 else "{}")
        for o in cases for i, (activity, at, resource) in enumerate(o.events)
    ))  # fmt: skip
    surveys = [f for f in feedback if f["kind"] == "survey"]
    columns = (
        "response_id",
        "case_id",
        "customer",
        "segment",
        "region",
        "channel",
        "answered_at",
        "nps",
        "comment",
    )
    _write_csv(folder / "survey.csv.gz", columns, (
        (f"S{i:05d}", f["case_id"], f["customer"], f["segment"], f["region"], f["channel"],
         f["at"].isoformat(), f["nps"], f["comment"]) for i, f in enumerate(surveys, start=1)
    ))  # fmt: skip
    with gzip.open(folder / "chats.jsonl.gz", "wt", encoding="utf-8") as out:
        for i, f in enumerate((f for f in feedback if f["kind"] == "chat"), start=1):
            row = {"id": f"T{i:05d}", **{k: v for k, v in f.items() if k not in ("kind", "at")},
                   "started_at": f["at"].isoformat()}  # fmt: skip
            out.write(json.dumps(row) + "\n")
    changes = (
        ("CHG-1", RELEASE.isoformat(), "app release 7.2", "deployment", "app"),
        ("CHG-2", (START + timedelta(days=12)).isoformat(), "new parcel labels", "policy", ""),
        ("CHG-3", (START + timedelta(days=55)).isoformat(), "spring campaign", "campaign", ""),
    )
    _write_csv(folder / "changes.csv", ("id", "timestamp", "title", "kind", "app"), changes)
    truth = {"planted": list(PLANTED), "misleading": MISLEADING, "bad_release": "CHG-1", "orders": orders,
             "seed": seed, "feedback": len(feedback)}  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    return truth


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(json.dumps(write_company(args.folder, orders=args.orders, seed=args.seed)))


if __name__ == "__main__":
    main()
