"""Which feedback says again what was counted already: exact and near duplicates within a source.

What is a duplicate depends on who speaks. Two texts are compared when they are of one source, their
times lie within the window, no turn of a conversation is among them (people repeat themselves, and
that is signal), and neither case, rating, question nor the numbers within the text tell them apart.
Then:

- the same customer: a double submission. The same text however short; a near duplicate from 8 words.
- a customer unknown on either side: a double delivery, from 8 words. Shorter texts ("Great app") are
  what many people write, and each of them counts.
- two known customers: each is a voice of its own, but for copied posts on public channels (social,
  review), from 20 words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from voc.ingest.minhash import band_keys, jaccard, shingles
from voc.ingest.rules import DuplicateRule
from voc.records import Feedback, Rating

MIN_WORDS = 8
MIN_WORDS_COPIED = 20
_PUBLIC = ("social", "review")
_PER_KEY = 4  # latest records compared for each key: keeps the work linear in a flood of copies
_URL = re.compile(r"https?://\S+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Feedback that is not stored, and the external id of the one it collapses into."""

    feedback: Feedback
    of: str
    basis: str  # same_id (the row was there before), exact or near
    similarity: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is remembered of a kept feedback."""

    external_id: str
    source: str
    text: str  # normalised
    n_words: int
    occurred_at: datetime
    customer_ref: str | None
    case_id: str | None
    ratings: tuple[Rating, ...]
    question: object
    response: object


class DuplicateFinder:
    """Remembers what was kept and finds what repeats it; the order of feeding decides which is kept.

    Time per text is constant. Memory grows with the texts kept: about 2 kB a text of 8 words or more.
    """

    def __init__(self, rule: DuplicateRule) -> None:
        self._rule = rule
        self._window = timedelta(hours=rule.window_hours)
        self._kept: list[_Seen] = []
        # Positions in `_kept`, latest last. Whole numbers alone: objects in dictionaries of this size
        # would keep Python's garbage collector busy.
        self._exact: dict[int, tuple[int, ...]] = {}
        self._bands: dict[int, tuple[int, ...]] = {}

    def find(self, batch: Sequence[Feedback]) -> list[Duplicate | None]:
        """For each feedback in order: what it repeats, or None where it is kept and remembered."""
        if not (self._rule.exact or self._rule.near):
            return [None] * len(batch)
        seen = [_seen(feedback) if _comparable(feedback) else None for feedback in batch]
        long = [i for i, s in enumerate(seen) if s is not None and s.n_words >= MIN_WORDS]
        keys: dict[int, list[int]] = {}
        if self._rule.near:
            keys = dict(zip(long, band_keys([s.text for i in long if (s := seen[i])]), strict=True))
        found: list[Duplicate | None] = []
        for i, (feedback, candidate) in enumerate(zip(batch, seen, strict=True)):
            if candidate is None:
                found.append(None)
                continue
            duplicate = self._find_exact(feedback, candidate) if self._rule.exact else None
            if duplicate is None and i in keys:
                duplicate = self._find_near(feedback, candidate, keys[i])
            if duplicate is None:
                self._remember(candidate, keys.get(i, ()))
            found.append(duplicate)
        return found

    def _find_exact(self, feedback: Feedback, candidate: _Seen) -> Duplicate | None:
        for key in _exact_keys(candidate):
            for position in self._exact.get(key, ()):
                other = self._kept[position]
                if other.text == candidate.text and self._same_matter(
                    feedback.kind, candidate, other, exact=True
                ):
                    return Duplicate(feedback, other.external_id, "exact", 1.0)
        return None

    def _find_near(self, feedback: Feedback, candidate: _Seen, keys: Sequence[int]) -> Duplicate | None:
        tried: set[int] = set()
        own = None
        for key in keys:
            for position in self._bands.get(key, ()):
                if position in tried:
                    continue
                tried.add(position)
                other = self._kept[position]
                shorter, longer = sorted((len(candidate.text), len(other.text)))
                # Texts of unlike length cannot reach the similarity; 0.9 leaves room for repeated shingles.
                if shorter < 0.9 * self._rule.similarity * longer:
                    continue
                if not self._same_matter(feedback.kind, candidate, other, exact=False):
                    continue
                own = shingles(candidate.text) if own is None else own
                similarity = jaccard(own, shingles(other.text))
                if similarity >= self._rule.similarity:
                    return Duplicate(feedback, other.external_id, "near", round(similarity, 3))
        return None

    def _same_matter(self, kind: str, a: _Seen, b: _Seen, *, exact: bool) -> bool:
        if (
            a.source != b.source
            or abs(a.occurred_at - b.occurred_at) > self._window
            or a.ratings != b.ratings
            or a.question != b.question
            or (a.response is not None and a.response == b.response)
            or (a.case_id is not None and b.case_id is not None and a.case_id != b.case_id)
        ):
            return False
        n_words = min(a.n_words, b.n_words)
        if a.customer_ref is None or b.customer_ref is None:
            enough = n_words >= MIN_WORDS
        elif a.customer_ref == b.customer_ref:
            enough = exact or n_words >= MIN_WORDS
        else:
            enough = kind in _PUBLIC and n_words >= MIN_WORDS_COPIED
        return enough and (exact or _NUMBER.findall(a.text) == _NUMBER.findall(b.text))

    def _remember(self, seen: _Seen, keys: Sequence[int]) -> None:
        position = len(self._kept)
        self._kept.append(seen)
        if self._rule.exact:
            for key in _exact_keys(seen):
                self._exact[key] = (*self._exact.get(key, ())[1 - _PER_KEY :], position)
        for key in keys:
            self._bands[key] = (*self._bands.get(key, ())[1 - _PER_KEY :], position)


def _exact_keys(seen: _Seen) -> list[int]:
    """What a text is looked up by: its customer's texts, and everybody's from a length on.

    Python's hash differs from process to process; keys only choose what is then compared in full.
    """
    keys = [] if seen.customer_ref is None else [hash((seen.source, seen.text, seen.customer_ref))]
    return [*keys, hash((seen.source, seen.text))] if seen.n_words >= MIN_WORDS else keys


def _comparable(feedback: Feedback) -> bool:
    return feedback.turn_index is None and bool(feedback.text) and not feedback.text.isspace()


def _seen(feedback: Feedback) -> _Seen:
    text = normalised_text(feedback.text)
    return _Seen(
        external_id=feedback.external_id,
        source=feedback.source,
        text=text,
        n_words=text.count(" ") + 1,
        occurred_at=feedback.occurred_at,
        customer_ref=feedback.customer_ref,
        # A case of its own tells nothing: a ticket sent twice is two cases in the help desk.
        case_id=feedback.case_id if feedback.case_id != feedback.external_id else None,
        ratings=feedback.ratings,
        question=feedback.meta.get("question"),
        response=feedback.meta.get("response_id"),
    )


def normalised_text(text: str) -> str:
    """A text as it is compared: case folded, white space evened, addresses set aside.

    Addresses go because every copy of a post gets a shortened one of its own; a text of addresses
    alone keeps them.
    """
    plain = " ".join(_URL.sub(" ", text).casefold().split())
    return plain or " ".join(text.casefold().split())
