"""The shipped mappings for exports of common tools, on files as such tools write them."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from voc.ingest.duplicates import Duplicate
from voc.ingest.mapping import load_mapping
from voc.ingest.quarantine import Quarantined
from voc.ingest.read import read_source
from voc.language import LanguageDetector
from voc.records import Feedback, Rating

MAPPINGS = Path(__file__).resolve().parents[2] / "examples" / "mappings"
NOW = datetime(2025, 6, 1, tzinfo=UTC)

SURVEY = """\
response_id,submitted_at,comment,improve,nps,ces,customer_id,case_id,segment
r1,2025-05-01T10:00:00Z,"Waited three weeks for the refund, nobody called.",Answer the phone,2,6,c1,k1,retail
r2,01/05/2025 11:30,,,9,,c2,k2,retail
r3,2025-05-01 12:00,Die Lieferung kam viel zu spät und war beschädigt.,,11,1,c3,k3,retail
r4,2025-05-01 12:00,,,,,c4,k4,retail
r5,2026-05-01 12:00,From the future,,5,,c5,k5,retail
r6,2025-05-02,Die Lieferung kam viel zu spät und war beschädigt.,-,1,N/A,c3,k3,retail
"""
TICKETS = """\
ticket_id,created_at,subject,description,requester_id,priority
t1,2025-05-01T10:00:00+02:00,Refund,I was charged twice for the same order and want my money back,u1,high
t2,2025-05-01T10:01:00+02:00,Refund,I was charged twice for the same order and want my money back,u1,high
t3,2025-05-01T10:02:00+02:00,Refund,I was charged twice for the same order and want my money back,u2,low
t4,2025-05-01T10:03:00+02:00,Cannot log in,,u3,low
"""


@pytest.fixture(scope="module")
def detector():
    return LanguageDetector()


def read(path, name, detector=None):
    reading = read_source(path, load_mapping(MAPPINGS / f"{name}.yaml"), detector=detector, now=NOW)
    items = list(reading)
    assert reading.counts.balanced
    return items, reading.counts


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_survey_export_is_read_in_any_encoding(tmp_path, detector, encoding):
    path = tmp_path / "survey.csv.gz"
    path.write_bytes(gzip.compress(SURVEY.encode(encoding)))

    items, counts = read(path, "survey", detector)

    kept = {item.external_id: item for item in items if isinstance(item, Feedback)}
    assert list(kept) == ["r1", "r1#improve", "r2", "r6"]
    assert kept["r1"].ratings == (Rating("nps", 2), Rating("ces", 6))
    assert (kept["r2"].text, kept["r2"].ratings) == ("", (Rating("nps", 9),))
    assert (kept["r1"].language, kept["r6"].language) == ("en", "de")
    assert [(i.row, i.field) for i in items if isinstance(i, Quarantined)] == [
        (3, "nps"),
        (4, "comment or improve"),
        (5, "submitted_at"),
    ]
    assert (counts.rows, counts.records, counts.rating_only) == (6, 7, 1)


def test_a_ticket_export_is_read_and_a_double_submission_collapsed(tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_text(TICKETS, encoding="utf-8")

    items, _ = read(path, "tickets")

    assert [(i.feedback.external_id, i.of) for i in items if isinstance(i, Duplicate)] == [("t2", "t1")]
    kept = [item for item in items if isinstance(item, Feedback)]
    assert [(i.external_id, i.case_id, i.channel) for i in kept] == [
        (t, t, "ticket") for t in ("t1", "t3", "t4")
    ]
    assert kept[0].occurred_at == datetime(2025, 5, 1, 8, tzinfo=UTC)
    assert kept[2].text == "Cannot log in"


def test_a_text_of_ten_megabytes_is_quarantined_whole_and_its_neighbours_kept(tmp_path):
    huge = "refund please " * 750_000
    path = tmp_path / "tickets.csv"
    path.write_text(
        f'{TICKETS}t5,2025-05-02,Long,"{huge}",u4,low\nt6,2025-05-02,Short,Please call me,u5,low\n', "utf-8"
    )

    items, counts = read(path, "tickets")

    (quarantined,) = (item for item in items if isinstance(item, Quarantined))
    assert (quarantined.row, quarantined.field) == (5, "description or subject")
    assert quarantined.reason == f"text is {len(huge):,} characters; the limit is 100,000"
    assert quarantined.raw["description"] == huge
    assert (counts.rows, counts.kept) == (6, 4)
