"""The shipped mappings read the real data sets, whole, and every count balances."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from voc.ingest.duplicates import Duplicate
from voc.ingest.mapping import load_mapping
from voc.ingest.quarantine import Quarantined
from voc.ingest.read import read_source
from voc.language import LanguageDetector
from voc.records import Feedback

MAPPINGS = Path(__file__).resolve().parents[2] / "examples" / "mappings"
NOW = datetime(2025, 6, 1, tzinfo=UTC)
SETS = {
    "star": ("transcripts/star.jsonl.gz", 4659),
    "abcd_sample": ("transcripts/abcd_sample.jsonl.gz", 50),
    "twitter_airlines": ("transcripts/twitter_airlines.jsonl.gz", 14418),
    "complaint_tweets": ("texts/xci_complaints.csv.gz", 3448),
    "cfpb": ("texts/cfpb.csv.gz", 3224),
    "banking77": ("texts/banking77.csv.gz", 13082),
    "multidogo": ("texts/multidogo.csv.gz", 18286),
    "skytrax": ("sentiment/skytrax_lounge_seat.csv.gz", 3433),
    "app_reviews": ("changes/app_reviews.csv.gz", 68586),
}
SMALL = ("abcd_sample", "complaint_tweets", "cfpb", "skytrax")


def read(data_dir, name, detector=None):
    file, n_rows = SETS[name]
    reading = read_source(
        data_dir / file, load_mapping(MAPPINGS / f"{name}.yaml"), detector=detector, now=NOW
    )
    items = list(reading)
    assert reading.counts.balanced
    assert reading.counts.rows == n_rows
    return items, reading.counts


@pytest.mark.data
@pytest.mark.parametrize("name", SMALL)
def test_a_set_is_read_whole_and_nothing_is_lost(data_dir, name):
    items, counts = read(data_dir, name)

    assert len(items) == counts.records
    assert counts.rows_quarantined <= counts.rows * 0.02
    assert {item.field for item in items if isinstance(item, Quarantined)} <= {
        "meta.overall"
    }  # lounges above 5


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(SETS) - set(SMALL) - {"star"}))
def test_a_large_set_is_read_whole_and_nothing_is_lost(data_dir, name):
    _, counts = read(data_dir, name)

    assert counts.rows_quarantined == 0


@pytest.mark.data
@pytest.mark.slow
def test_star_gives_turns_with_times_cases_and_the_customers_answers(data_dir):
    items, counts = read(data_dir, "star")
    turns = [item for item in items if isinstance(item, Feedback)]

    assert [(item.field, item.reason) for item in items if isinstance(item, Quarantined)] == [
        ("turns", "has no turns")
    ] * 2
    assert counts.skipped == {"turns_ignored": 17369, "turns_without_text": 26166}
    assert Counter(turn.speaker for turn in turns) == {"customer": 38800, "agent": 38742, "system": 7590}
    assert all(turn.case_id == turn.conversation_id and turn.segment for turn in turns)
    rated = [turn for turn in turns if turn.ratings]
    assert len(rated) == len({turn.case_id for turn in rated}) == 4563
    assert sum("enjoyed" in turn.meta for turn in rated) == 130
    assert sum("stayed_helpful" in turn.meta for turn in rated) >= 4550


@pytest.mark.data
def test_a_conversation_delivered_twice_is_seen_as_the_same(data_dir):
    file, _ = SETS["twitter_airlines"]
    reading = read_source(
        data_dir / file, load_mapping(MAPPINGS / "twitter_airlines.yaml"), detector=None, now=NOW
    )

    twice = next(item for item in reading if isinstance(item, Duplicate))

    assert (twice.basis, twice.of) == ("same_id", twice.feedback.external_id)


@pytest.mark.data
def test_languages_are_told(data_dir):
    items, _ = read(data_dir, "abcd_sample", LanguageDetector())
    languages = Counter(item.language for item in items if isinstance(item, Feedback))

    assert languages["en"] >= 0.9 * sum(languages.values())
