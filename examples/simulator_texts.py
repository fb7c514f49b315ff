"""What the simulated customers say: phrases of our own, put together at random, typed by people."""

import random

OPENERS = ("", "", "", "Hi, ", "Hello. ", "So, ", "Honestly, ", "Just to let you know: ", "ok so ")
CLOSERS = ("", "", "", " Please sort it out.", " Can someone help?", " Not what I expected.", " Thanks.",
           " Waiting for an answer.")  # fmt: skip
ITEMS = ("kettle", "desk lamp", "raincoat", "set of towels", "bookshelf", "coffee grinder", "bike pump",
         "garden hose", "phone case", "pair of boots")  # fmt: skip

COMPLAINTS: dict[str, tuple[str, ...]] = {
    "delay": (
        "my {item} was meant to come on {day} and it is still not here",
        "the parcel is {n} days late and nobody can say when it arrives",
        "I have been waiting {n} days longer than you promised for the {item}",
        "still no delivery, the date has been pushed back again and again",
        "you said two days, it has been {n} and I am still waiting for the {item}",
        "the delivery is late, it should have been here on {day}",
        "shipping took far longer than the date you gave me for the {item}",
    ),
    "billing_error": (
        "I sent the {item} back and the refund was never paid",
        "you charged my card twice for the {item} and I still have not got the money back",
        "my refund is wrong, {n} euros are missing",
        "I was billed for a {item} that I returned weeks ago",
        "the refund for the {item} has not reached my account although it was approved",
        "I was charged {n} euros more than the price on the page",
    ),
    "repeat_contact": (
        "this is the {nth} time I write to you about the same refund",
        "I have called {n} times already and I keep having to send the same receipt again",
        "again I must explain everything from the start, I already sent you the form twice",
        "I contacted you {n} times about this and the problem is still not solved",
    ),
    "fulfilment_error": (
        "the {item} arrived broken",
        "you sent me the wrong {item}, I ordered a different one",
        "the box came with half of the parts of the {item} missing",
        "the {item} is damaged and looks used",
        "I ordered a {item} and found something else in the parcel",
        "the {item} came scratched and with a part missing",
    ),
    "outage_defect": (
        "the app crashes every time I open my orders since the update",
        "your app freezes at checkout and I can't pay",
        "since the last update the app does not load anything",
        "checkout in the app is broken, it shows an error again and again",
        "the app keeps crashing on the tracking page",
    ),
    "staff_conduct": (
        "the agent on the phone was rude and hung up on me",
        "the person I spoke with was dismissive and did not want to help",
        "your support agent was unfriendly and clueless",
    ),
    "churn_intent": (
        "I will not order from you again",
        "this was my last order with you, I am going to another shop",
        "please close my account, I am done",
    ),
}

PRAISE = (
    "the {item} is great and came on time, thank you",
    "quick delivery and well packed, very happy with the {item}",
    "love the {item}, works as it should",
    "friendly help on the phone, everything was solved in a minute",
    "good price, good quality, will order again",
    "smooth from start to end, thanks for the lovely {item}",
    "all fine, the {item} is exactly what I wanted",
)
PLAIN = (
    "the {item} came on {day}",
    "I ordered a {item} for my sister",
    "can I change the colour of the {item} later",
    "it is a {item}, it does what it says",
    "do you also have the {item} in blue",
    "no comment",
)
AGENT_LINES = (
    "Thank you for getting in touch. May I have your order number?",
    "Let me look at that for you.",
    "I have opened your order now.",
    "I have passed this on to the team that deals with it.",
    "Is there anything else that I can do for you?",
)
RELEASE_COMPLAINTS = COMPLAINTS["outage_defect"]
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_ANGER = (
    "This is unacceptable! ",
    "I am so angry. ",
    "What a joke. ",
    "Absolutely ridiculous!! ",
    "I am fed up. ",
)


def complain(rng: random.Random, signal: str, *, angry: float = 0.3) -> str:
    """One complaint that carries `signal`."""
    text = _fill(rng, rng.choice(COMPLAINTS[signal]))
    opener = rng.choice(_ANGER) if rng.random() < angry else rng.choice(OPENERS)
    return _typed(rng, opener + text + "." + rng.choice(CLOSERS))


def praise(rng: random.Random) -> str:
    """A happy customer."""
    return _typed(rng, rng.choice(OPENERS) + _fill(rng, rng.choice(PRAISE)) + rng.choice((".", "!", "")))


def say_something(rng: random.Random) -> str:
    """A customer with no complaint and no praise."""
    return _typed(rng, rng.choice(OPENERS) + _fill(rng, rng.choice(PLAIN)))


def _fill(rng: random.Random, template: str) -> str:
    return template.format(
        item=rng.choice(ITEMS),
        day=rng.choice(_DAYS),
        n=rng.randint(3, 12),
        nth=rng.choice(("third", "fourth", "fifth")),
    )


def _typed(rng: random.Random, text: str) -> str:
    """As people type: some in lower case, a few with two letters swapped."""
    if rng.random() < 0.4:
        text = text.lower()
    if rng.random() < 0.15 and len(text) > 20:
        at = rng.randrange(5, len(text) - 5)
        text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:1].upper() + text[1:] if rng.random() < 0.5 else text
