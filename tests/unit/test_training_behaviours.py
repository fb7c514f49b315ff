"""Made sentences: the same for the same seed, all different, and labelled the way they read."""

import re
from collections import Counter

from training.behaviours import BAD, GOOD, NEGATIVE, NEUTRAL, PLAIN, POSITIVE, make_behaviours


def test_the_same_seed_makes_the_same_sentences_and_none_twice():
    first, again, other = (
        make_behaviours(300, seed=5),
        make_behaviours(300, seed=5),
        make_behaviours(300, seed=6),
    )

    assert first == again
    assert first != other
    assert len({e.text for e in first}) == 300


def test_every_sentiment_is_there_in_earnest():
    counts = Counter(e.sentiment for e in make_behaviours(1000))

    assert min(counts[label] for label in (NEGATIVE, NEUTRAL, POSITIVE)) > 200


def test_praise_denied_is_negative_and_a_fault_denied_is_not():
    plain = re.compile(r"(the|this|their) [a-z ]+ (isn't|is not|wasn't) (\w+)\.?")
    found = {
        match[3]: e.sentiment for e in make_behaviours(4000) if (match := plain.fullmatch(e.text.lower()))
    }

    assert {found[word] for word in found.keys() & set(GOOD)} == {NEGATIVE}
    assert {found[word] for word in found.keys() & set(BAD)} == {NEUTRAL, POSITIVE}
    assert {found[word] for word in found.keys() & {w.lower() for w in PLAIN}} == {NEUTRAL}
