"""What it costs a customer: contacts an issue, first-contact resolution, facts told again after handoffs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from voc.errors import InputError
from voc.rootcause.times import to_utc

WINDOW = timedelta(days=14)  # a contact this soon after the last is about the same issue still


@dataclass(frozen=True, slots=True)
class Chain:
    """One issue of one customer: contacts about one topic, each within the window of the one before."""

    customer_ref: str
    topic: str
    contacts: tuple[str, ...]  # ids, by time
    start: datetime
    end: datetime
    settled: bool  # the window after the last contact has passed: no more can follow


@dataclass(frozen=True, slots=True)
class Effort:
    """What the chains of one topic say. Shares are None where nothing is settled yet."""

    topic: str
    n_customers: int
    n_issues: int
    n_contacts: int
    contacts_per_issue: float
    n_settled: int
    first_contact_resolution: float | None  # share of settled issues with a single contact
    n_repeat: int  # issues with more than one contact, settled or not
    longest: int


def find_chains(
    contacts: pl.DataFrame,
    *,
    window: timedelta = WINDOW,
    until: datetime | None = None,
    file: str | None = None,
) -> list[Chain]:
    """Chains of contacts per customer and topic, by start.

    Several topics in one contact put it in a chain of each. Rows of one contact and topic count once;
    contacts of one time stand in the order of their ids, so the order of rows does not matter.

    Parameters
    ----------
    contacts : contact_id, customer_ref, timestamp and topic (a theme or a signal, one a row); rows
        without a customer or topic are left out
    until : when knowledge ends; the latest contact if None

    Raises
    ------
    InputError
        A column is missing, or a time cannot be read.
    """
    for name in ("contact_id", "customer_ref", "timestamp", "topic"):
        if name not in contacts.columns:
            raise InputError(
                f"column is missing; the columns are {', '.join(contacts.columns)}",
                file=file,
                field=name,
                remedy="add it or rename a column",
            )
    table = pl.DataFrame(
        {
            "at": to_utc(contacts["timestamp"], file=file),
            **{name: _text(contacts[name]) for name in ("customer_ref", "topic", "contact_id")},
        }
    )
    latest = until or table["at"].max()
    rows = table.drop_nulls().unique().sort("customer_ref", "topic", "at", "contact_id")
    rows = rows.unique(["customer_ref", "topic", "contact_id"], keep="first", maintain_order=True)
    chains: list[Chain] = []
    open_: list[tuple[str, str, datetime, str]] = []
    for customer, topic, at, contact in rows.select("customer_ref", "topic", "at", "contact_id").iter_rows():
        if open_ and (open_[-1][:2] != (customer, topic) or at - open_[-1][2] > window):
            chains.append(_chain(open_, window, latest))
            open_ = []
        open_.append((customer, topic, at, contact))
    if open_:
        chains.append(_chain(open_, window, latest))
    return sorted(chains, key=lambda chain: (chain.start, chain.customer_ref, chain.topic))


def _text(values: pl.Series) -> pl.Series:
    return values.cast(pl.String).str.strip_chars().replace("", None)


def _chain(rows: Sequence[tuple[str, str, datetime, str]], window: timedelta, latest: object) -> Chain:
    customer, topic, start, _ = rows[0]
    end = rows[-1][2]
    assert isinstance(latest, datetime)
    return Chain(customer, topic, tuple(row[3] for row in rows), start, end, latest - end > window)


def measure_effort(chains: Sequence[Chain]) -> list[Effort]:
    """What chains say, for each topic, the one with most repeated issues first."""
    topics: dict[str, list[Chain]] = {}
    for chain in chains:
        topics.setdefault(chain.topic, []).append(chain)
    found = [_effort(topic, of_topic) for topic, of_topic in topics.items()]
    return sorted(found, key=lambda effort: (-effort.n_repeat, -effort.n_contacts, effort.topic))


def _effort(topic: str, chains: Sequence[Chain]) -> Effort:
    n_contacts = sum(len(chain.contacts) for chain in chains)
    settled = [chain for chain in chains if chain.settled]
    return Effort(
        topic=topic,
        n_customers=len({chain.customer_ref for chain in chains}),
        n_issues=len(chains),
        n_contacts=n_contacts,
        contacts_per_issue=n_contacts / len(chains),
        n_settled=len(settled),
        first_contact_resolution=sum(len(chain.contacts) == 1 for chain in settled) / len(settled)
        if settled
        else None,
        n_repeat=sum(len(chain.contacts) > 1 for chain in chains),
        longest=max(len(chain.contacts) for chain in chains),
    )


@dataclass(frozen=True, slots=True)
class HandoffRepeats:
    """After how many handoffs the customer told a fact again that an earlier agent had been told."""

    n_conversations: int
    n_handoffs: int  # another agent takes over, and the customer speaks after it
    n_repeated: int

    @property
    def share(self) -> float | None:
        """Of the handoffs, those after which facts are told again; None without handoffs."""
        return self.n_repeated / self.n_handoffs if self.n_handoffs else None


# Facts that name something: order and account numbers, dates, amounts, phone numbers, codes, addresses.
_FACT = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+|[a-z0-9]*\d[a-z0-9/.:,-]*", re.IGNORECASE)
_LEAST = 3  # characters that count; "2" or "5 pm" says too little to be recognised


def facts(text: str) -> frozenset[str]:
    """What a text states that can be recognised when stated again: numbers, codes, dates, addresses.

    Punctuation and case do not tell facts apart ("12-345" is "12345"). Names and places without a digit
    are not recognised, so shares based on these are a lower bound.
    """
    found = (re.sub(r"[^a-z0-9@]", "", match.group().lower()) for match in _FACT.finditer(text))
    return frozenset(fact for fact in found if len(fact) >= _LEAST)


def measure_handoffs(turns: pl.DataFrame, *, file: str | None = None) -> HandoffRepeats:
    """Handoffs after which the customer repeats facts.

    A handoff is where an agent speaks who is not the agent that spoke before. It counts once the
    customer speaks while the new agent has the conversation.

    Parameters
    ----------
    turns : conversation_id, turn_index, speaker ("customer"; "system" is passed over; anyone else is an
        agent), text, and agent, the person or team that speaks (the speaker's name if it is missing)
    """
    for name in ("conversation_id", "turn_index", "speaker", "text"):
        if name not in turns.columns:
            raise InputError(
                f"column is missing; the columns are {', '.join(turns.columns)}",
                file=file,
                field=name,
                remedy="add it or rename a column",
            )
    index = turns["turn_index"].cast(pl.Float64, strict=False)
    if index.is_null().any():
        row = int(index.is_null().arg_true()[0]) + 1
        raise InputError("is no number", file=file, row=row, field="turn_index", remedy="number the turns")
    agent = _text(turns["agent"] if "agent" in turns.columns else turns["speaker"])
    table = turns.select(
        pl.col("conversation_id").cast(pl.String),
        index.alias("at"),
        _text(turns["speaker"]).str.to_lowercase().alias("speaker"),
        agent.alias("agent"),
        pl.col("text").cast(pl.String).fill_null(""),
    ).sort("conversation_id", "at", maintain_order=True)
    n_handoffs = n_repeated = n_conversations = 0
    for _, conversation in table.group_by("conversation_id", maintain_order=True):
        n_conversations += 1
        handoffs, repeated = _handoffs(conversation.select("speaker", "agent", "text").rows())
        n_handoffs += handoffs
        n_repeated += repeated
    return HandoffRepeats(n_conversations, n_handoffs, n_repeated)


def _handoffs(turns: Sequence[tuple[str | None, str | None, str]]) -> tuple[int, int]:
    told_before: set[str] = set()  # to agents before the one who has the conversation
    told_now: set[str] = set()
    current: str | None = None
    handed = answered = repeats = False
    n_handoffs = n_repeated = 0
    for speaker, agent, text in [*turns, ("", None, "")]:
        if speaker == "system":
            continue
        over = speaker == ""
        if over or (speaker != "customer" and agent is not None and current not in (None, agent)):
            n_handoffs += handed and answered
            n_repeated += handed and repeats
            told_before |= told_now
            told_now, handed, answered, repeats = set(), not over, False, False
        if speaker == "customer":
            said = facts(text)
            answered = True
            repeats |= bool(said & told_before)
            told_now |= said
        elif agent is not None:
            current = agent
    return n_handoffs, n_repeated
