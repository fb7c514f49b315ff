"""Sentences made to teach what found texts rarely show: negation, who holds an opinion, before and now.

    python -m training.behaviours --n 40       # look at some

Small encoders read "not once was this useful" by its last word. Each sentence here turns on one such
thing (negation near and far, a question and its answer, others' opinion against one's own, expectation
against outcome, the past against the present, negated facts) and is labelled by construction. The words
are those of shops, banks, apps and agencies, and none comes from a data set. The phenomena are those that
CheckList tests (arXiv:2005.04118), and the names of its tests were known when this was written: a CheckList
figure of a model trained on these says how well they were learnt, and nothing of phenomena never seen.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from training.data import Example
from voc.taxonomy import SENTIMENTS

T = TypeVar("T")
SOURCE = "made_behaviours"
NEGATIVE, NEUTRAL, POSITIVE = (SENTIMENTS.index(name) for name in ("negative", "neutral", "positive"))

_THINGS = (
    "delivery, the new app, the checkout, this account, the repair, their helpdesk, the invoice, the update, the "
    "parcel, the courier, the branch, the chat, this phone, the website, the refund process, the room, "
    "the installer, the insurance, the order, the menu, this router, the support team, the loan offer, "
    "the clinic, the packaging, the return desk, their hotline, the subscription, the technician, the food, "
    "the camera, the manager, the workshop, the product, the tariff, the game, the company, the store"
)
THINGS = [t if t.split()[0] in ("the", "this", "their") else f"the {t}" for t in _THINGS.split(", ")]
GOOD = (
    "good great excellent helpful reliable friendly fast lovely brilliant pleasant impressive useful fantastic "
    "amazing superb wonderful perfect outstanding nice enjoyable convenient smooth fair generous beautiful "
    "fun sweet awesome exciting extraordinary charming clever comfortable delightful trustworthy"
).split()
BAD = (
    "bad terrible awful useless slow rude unreliable horrible dreadful annoying poor confusing disappointing "
    "frustrating pathetic clumsy broken unfair unpleasant careless sloppy ugly boring nasty hopeless "
    "weird creepy ridiculous lousy miserable dirty difficult sad expensive painful"
).split()
PLAIN = (
    "Austrian Spanish British Danish American Indian local regional public private green blue grey square digital "
    "monthly annual international domestic commercial electric printed second-hand single double temporary "
    "standard wooden metal large small separate northern official plastic wireless weekly joint"
).split()
LIKE = "like love enjoy appreciate admire recommend value adore welcome".split()
HATE = "hate dislike despise regret dread resent abhor detest loathe".split()
LIKED = "liked loved enjoyed appreciated admired recommended valued adored welcomed".split()
HATED = "hated disliked despised regretted dreaded resented abhorred detested loathed".split()
SEE = "see find use visit open try buy pay book send call own order ask choose receive".split()
ASIDES = (
    (
        "given everything I have read about them, after six years as a customer, with all the branches they run, "
        "considering that I live two streets away, having ordered on a Tuesday, since we moved to the north, as "
        "someone who works in retail, seeing that it was my sister's idea, given my history with shops, for a "
        "firm founded in my home town, with the time of year in mind, since I bought it online, all told, "
        "coming from the city, given that I only went there for work, after talking to my neighbour about it"
    )
    .replace(", ", "|")
    .replace("\n", " ")
    .split("|")
)
OTHERS = (
    "my colleague, my brother, everyone online, my mother, the newspaper, some people, the reviewer, most of "
    "my friends, a neighbour, the previous owner, their advert, half the internet, my boss, other customers"
).split(", ")


class Maker:
    """Draws words and sentences from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def of(self, choices: Sequence[T]) -> T:
        return self.rng.choice(choices)

    def thing(self) -> str:
        return self.of(THINGS)

    def good(self) -> str:
        return f"{self.of(['', '', '', 'really ', 'very ', 'particularly '])}{self.of(GOOD)}"

    def bad(self) -> str:
        return f"{self.of(['', '', '', 'really ', 'very ', 'particularly '])}{self.of(BAD)}"

    def aside(self) -> str:
        return self.of(ASIDES)

    def mild(self) -> int:
        """Of a denied fault: readers are split between nothing said and faint praise."""
        return self.of([NEUTRAL, POSITIVE])

    def denied(self, word: str) -> str:
        thing = self.thing()
        return self.of([
            f"{thing} isn't {word}.", f"{thing} is not {word}.", f"{thing} was not {word} at all.",
            f"I would not call {thing} {word}.", f"I can't say that {thing} was {word}.",
            f"{thing} is anything but {word}.", f"nobody could say {thing} is {word}.",
            f"{thing} has never been {word}.", f"I don't find {thing} {word}.",
            f"there is nothing {word} about {thing}.",
            f"not once was {thing} {word}.", f"{thing} wasn't {word}.", f"I don't think {thing} is {word}.",
            f"{thing} was hardly {word}.", f"it's not a {word} product, {thing}.", f"{thing} aint {word}",
        ])  # fmt: skip

    def denied_verb(self, verb: str) -> str:
        return self.of([
            f"I don't {verb} {self.thing()}.", f"I did not {verb} {self.thing()}.",
            f"I can't say I {verb} {self.thing()}.", f"no, I do not {verb} {self.thing()} at all.",
            f"I never {verb} {self.thing()}.", f"there's no way I {verb} {self.thing()}.",
            f"I wouldn't say I {verb} {self.thing()}.",
        ])  # fmt: skip


def _negation(m: Maker) -> tuple[str, int]:
    kind = m.rng.randrange(6)
    if kind == 0:
        return m.denied(m.good()), NEGATIVE
    if kind == 1:
        return m.denied(m.bad()), m.mild()
    if kind == 2:
        return m.denied_verb(m.of(LIKE)), NEGATIVE
    if kind == 3:
        return m.denied_verb(m.of(HATE)), m.mild()
    if kind == 4:
        return m.denied(m.of(PLAIN)), NEUTRAL
    return m.denied_verb(m.of(SEE)), NEUTRAL


def _far_negation(m: Maker) -> tuple[str, int]:
    opening = m.of(
        ["I don't think", "I wouldn't say", "I can't claim", "I do not believe", "no one can tell me"]
    )
    kind, aside, thing = m.rng.randrange(6), m.aside(), m.thing()
    if kind == 0:
        return f"{opening}, {aside}, that {thing} is {m.good()}.", NEGATIVE
    if kind == 1:
        return f"{opening}, {aside}, that {thing} is {m.bad()}.", m.mild()
    if kind == 2:
        return f"{opening}, {aside}, that {thing} is {m.of(PLAIN)}.", NEUTRAL
    if kind == 3:
        return f"{opening}, {aside}, that I {m.of(LIKE)} {thing}.", NEGATIVE
    if kind == 4:
        return f"{opening}, {aside}, that I {m.of(HATE)} {thing}.", m.mild()
    return f"{opening}, {aside}, that we {m.of(SEE)} {thing} often.", NEUTRAL


def _expectation(m: Maker) -> tuple[str, int]:
    opening = m.of(
        ["I thought", "I expected", "I was told", "I assumed", "we feared", "I hoped", "I was sure"]
    )
    tail = m.of(
        [
            "but it wasn't",
            "but it was not",
            "it was not",
            "and it turned out not to be",
            "but no",
            "but that's not so",
        ]
    )
    thing, kind = m.thing(), m.rng.randrange(4)
    if kind == 0:
        return f"{opening} {thing} would be {m.good()}, {tail}.", NEGATIVE
    if kind == 1:
        return f"{opening} {thing} would be {m.bad()}, {tail}.", m.of([POSITIVE, POSITIVE, NEUTRAL])
    if kind == 2:
        return f"{opening} {thing} would be {m.of(PLAIN)}, {tail}.", NEUTRAL
    return (
        f"{opening} I would {m.of(LIKE)} {thing}, but I {m.of(['did not', 'do not', 'never did'])}.",
        NEGATIVE,
    )


def _question(m: Maker) -> tuple[str, int]:
    yes = m.of(["Yes", "Yes.", "Absolutely.", "Yes, I do.", "Of course.", "I do, yes."])
    no = m.of(["No", "No.", "Not at all.", "No, I don't.", "Certainly not.", "Never."])
    asks = m.of(
        ["Do I think", "Would I say", "Do you ask whether", "Am I of the opinion that", "Would you think"]
    )
    kind, thing = m.rng.randrange(8), m.thing()
    if kind == 0:
        return f"{asks} {thing} is {m.good()}? {no}", NEGATIVE
    if kind == 1:
        return f"{asks} {thing} is {m.good()}? {yes}", POSITIVE
    if kind == 2:
        return f"{asks} {thing} is {m.bad()}? {no}", m.mild()
    if kind == 3:
        return f"{asks} {thing} is {m.bad()}? {yes}", NEGATIVE
    if kind == 4:
        return f"{asks} {thing} is {m.of(PLAIN)}? {m.of([yes, no])}", NEUTRAL
    if kind == 5:
        return f"Did I {m.of(LIKE)} {thing}? {no}", NEGATIVE
    if kind == 6:
        return f"Did I {m.of(HATE)} {thing}? {m.of([yes])}", NEGATIVE
    return f"Did we {m.of(SEE)} {thing}? {m.of([yes, no])}", NEUTRAL


def _holder(m: Maker) -> tuple[str, int]:
    other, thing = m.of(OTHERS), m.thing()
    say = m.of(["says", "claims", "told me", "thinks", "insists", "keeps saying", "is sure"])
    mine = m.of(["I think it's", "I find it", "for me it is", "to me it's", "in my view it is", "I found it"])
    link = m.of([", but ", "; ", ". ", ", yet ", ". But ", ", "])
    kind = m.rng.randrange(6)
    if kind == 0:
        return f"{other} {say} {thing} is {m.of(BAD)}{link}{mine} {m.good()}.", POSITIVE
    if kind == 1:
        return f"{other} {say} {thing} is {m.of(GOOD)}{link}{mine} {m.bad()}.", NEGATIVE
    if kind == 2:
        return f"{mine} {m.good()}, {thing}, but {other} {say} it's {m.of(BAD)}.", POSITIVE
    if kind == 3:
        return f"{mine} {m.bad()}, {thing}, though {other} {say} it's {m.of(GOOD)}.", NEGATIVE
    if kind == 4:
        return f"I {m.of(LIKE)} {thing}{link}{other} {m.of(HATED)} it.", POSITIVE
    return f"{other} {m.of(LIKED)} {thing}{link}I {m.of(HATED)} it.", NEGATIVE


def _then_and_now(m: Maker) -> tuple[str, int]:
    before = m.of(["used to be", "was once", "in the past was", "last year was", "back then was"])
    now = m.of(["now it is", "these days it's", "nowadays it is", "today it's", "lately it has become"])
    link, thing, kind = m.of([", but ", ", ", "; ", ". "]), m.thing(), m.rng.randrange(4)
    if kind == 0:
        return f"{thing} {before} {m.good()}{link}{now} {m.bad()}.", NEGATIVE
    if kind == 1:
        return f"{thing} {before} {m.bad()}{link}{now} {m.good()}.", POSITIVE
    if kind == 2:
        return f"I used to {m.of(LIKE)} {thing}{link}now I {m.of(HATE)} it.", NEGATIVE
    return f"I used to {m.of(HATE)} {thing}{link}now I {m.of(LIKE)} it.", POSITIVE


def _plain(m: Maker) -> tuple[str, int]:
    thing, kind = m.thing(), m.rng.randrange(5)
    if kind == 0:
        return f"{thing} is {m.of(PLAIN)}.", NEUTRAL
    if kind == 1:
        return (
            f"we {m.of(SEE)} {thing} {m.of(['every week', 'on Mondays', 'in May', 'by card', 'with my brother'])}.",
            NEUTRAL,
        )
    if kind == 2:
        return (
            f"{m.of(['it is a', 'that was a', 'this is a'])} {m.of(PLAIN)} {thing.split(' ', 1)[1]}.",
            NEUTRAL,
        )
    if kind == 3:
        return f"{thing} is {m.good()}.", POSITIVE
    return f"{thing} is {m.bad()}.", NEGATIVE


_KINDS: tuple[tuple[Callable[[Maker], tuple[str, int]], int], ...] = (
    (_negation, 5), (_far_negation, 3), (_expectation, 3), (_question, 4), (_holder, 3),
    (_then_and_now, 2), (_plain, 2),
)  # fmt: skip


def make_behaviours(n: int, *, seed: int = 1, weight: float = 1.0) -> list[Example]:
    """`n` different labelled sentences; the same for the same seed."""
    maker = Maker(seed)
    kinds = [kind for kind, share in _KINDS for _ in range(share)]
    made: dict[str, int] = {}
    while len(made) < n:
        text, label = maker.rng.choice(kinds)(maker)
        if maker.rng.random() < 0.8:
            text = text[0].upper() + text[1:]
        if maker.rng.random() < 0.2:
            text = text.rstrip(".")
        made.setdefault(text, label)
    return [Example(text, SOURCE, sentiment=label, weight=weight) for text, label in made.items()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for example in make_behaviours(args.n, seed=args.seed):
        print(f"{SENTIMENTS[example.sentiment]:9} {example.text}")


if __name__ == "__main__":
    main()
