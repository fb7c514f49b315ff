"""Reading a source: counts balance, reading twice gives the same, and quarantine can be replayed."""

import contextlib
import csv
import io
import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.errors import InputError
from voc.ingest.duplicates import Duplicate, DuplicateFinder
from voc.ingest.mapping import parse_mapping
from voc.ingest.quarantine import Quarantined
from voc.ingest.read import language_of, read_source, replay
from voc.language import Language
from voc.records import Feedback

NOW = datetime(2025, 6, 1, tzinfo=UTC)
REVIEWS = """\
name: reviews
version: 1
kind: review
external_id: id
time: {field: at, missing: 2025-01-01}
text: text
ratings: [{scale: stars, field: {field: stars, optional: true}}]
where: [{field: {field: drop, optional: true}, not_in: [yes]}]
"""
MAPPING = parse_mapping(REVIEWS)
CHATS = parse_mapping(
    "name: chats\nversion: 1\nkind: transcript\nexternal_id: id\ntime: {missing: 2025-01-01}\n"
    "turns: {field: turns, text: t, speaker: s, speakers: {customer: c, agent: a, skip: x}}\n"
)
SENTENCE = "the parcel has not come and nobody could tell me why"


class SaysEnglish:
    """A small honest fake: what holds a letter is English."""

    def __init__(self):
        self.n_calls = 0

    def detect(self, text):
        self.n_calls += 1
        return Language("en" if any(c.isalpha() for c in text) else None, 1.0)


def write(folder, rows, name="a.jsonl"):
    path = folder / name
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8"
    )
    return path


def read(path, mapping=MAPPING, **options):
    reading = read_source(path, mapping, **{"detector": SaysEnglish(), "now": NOW, **options})
    items = list(reading)
    assert reading.counts.balanced
    return items, reading.counts


def row(i, text="fine", **fields):
    return {"id": i, "at": "2025-05-01", "text": text, **fields}


def test_every_row_is_accounted_for(tmp_path):
    rows = [
        row(1),
        row(1),
        row(2, SENTENCE),
        row(3, SENTENCE),
        row(4, SENTENCE + "!"),
        row(1, "other words"),
        row(5, "", stars=2),
        row(6, stars=9),
        row(7, drop="yes"),
        row(8, "Straße".encode().decode("cp1252")),
        "{broken",
    ]

    items, counts = read(write(tmp_path, rows))

    assert counts.as_dict() == {
        "rows": 11,
        "rows_kept": 7,
        "rows_filtered": 1,
        "rows_quarantined": 3,
        "records": 10,
        "kept": 4,
        "same_id": 1,
        "exact": 1,
        "near": 1,
        "duplicates": 3,
        "quarantined": 3,
        "rating_only": 1,
        "texts_mended": 1,
        "lines_not_utf8": 0,
        "encoding": "utf-8",
        "skipped": {},
    }
    assert [type(item) for item in items].count(Duplicate) == 3
    assert [(i.of, i.basis) for i in items if isinstance(i, Duplicate)] == [
        ("1", "same_id"),
        ("2", "exact"),
        ("2", "near"),
    ]
    assert [i.row for i in items if isinstance(i, Quarantined)] == [6, 8, 11]


def test_one_id_with_two_contents_is_quarantined_naming_the_row_before(tmp_path):
    items, _ = read(write(tmp_path, [row(1), row(2), row(1, "other words")]))

    assert items[2].field == "id"
    assert items[2].reason == "row 1 has the same external id and another content"


def test_a_conversation_that_comes_again_longer_adds_its_new_turns_alone(tmp_path):
    turns = [{"s": "c", "t": "hello"}, {"s": "a", "t": "hello"}, {"s": "c", "t": "hello"}]
    path = write(tmp_path, [{"id": "x", "turns": turns[:2]}, {"id": "x", "turns": turns}])

    items, counts = read(path, CHATS)

    assert [i.external_id for i in items if isinstance(i, Feedback)] == ["x#0", "x#1", "x#2"]
    assert (counts.rows_kept, counts.same_id) == (2, 2)


def test_turns_without_text_are_counted_apart(tmp_path):
    turns = [{"s": "c", "t": "hello"}, {"s": "a", "t": ""}, {"s": "x", "t": "note"}]

    _, counts = read(write(tmp_path, [{"id": "x", "turns": turns}]), CHATS)

    assert (counts.records, counts.kept) == (1, 1)
    assert counts.skipped == {"turns_without_text": 1, "turns_ignored": 1}


def test_a_quarantined_row_is_replayed_after_mending(tmp_path):
    items, _ = read(write(tmp_path, [row(1, stars=9), "{broken"]))

    scored, broken = items
    assert replay(scored, scored.raw, MAPPING, detector=None, now=NOW).reason == scored.reason
    (mended,) = replay(scored, {**scored.raw, "stars": 4}, MAPPING, detector=SaysEnglish(), now=NOW).records
    assert (mended.external_id, mended.language, mended.lineage.row) == ("1", "en", 1)
    (mended,) = replay(broken, {"_line": json.dumps(row(2))}, MAPPING, detector=None, now=NOW).records
    assert (mended.external_id, mended.language) == ("2", None)


def test_a_finder_that_knows_an_earlier_file_collapses_across_files(tmp_path):
    finder = DuplicateFinder(MAPPING.duplicates)
    read(write(tmp_path, [row(1, SENTENCE)], "a.jsonl"), finder=finder)

    items, _ = read(write(tmp_path, [row(2, SENTENCE)], "b.jsonl"), finder=finder)

    assert items[0].of == "1"


def test_a_missing_column_is_refused_before_anything_is_read(tmp_path):
    path = write(tmp_path, ["id,text", "1,fine"], "a.csv")

    with pytest.raises(InputError, match="field 'at'"):
        read_source(path, MAPPING, detector=None, now=NOW)


def test_a_now_without_a_zone_is_refused(tmp_path):
    with pytest.raises(ValueError, match="time zone"):
        read_source(write(tmp_path, [row(1)]), MAPPING, detector=None, now=datetime(2025, 1, 1))  # noqa: DTZ001


def test_progress_ends_at_the_whole(tmp_path):
    path = write(tmp_path, [row(i) for i in range(1200)])
    seen = []

    read(path, progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_short_texts_are_detected_once():
    detector = SaysEnglish()
    detect = language_of(detector)

    assert [detect(text) for text in ("thanks", "thanks", "12", "thanks")] == ["en", "en", None, "en"]
    assert detector.n_calls == 2


def test_the_same_table_gives_the_same_feedback_in_every_format(tmp_path):
    table = pl.DataFrame(
        [{"id": str(i), "at": "2025-05-01", "text": f"text {i}", "stars": "4"} for i in range(50)]
    )
    table.write_csv(tmp_path / "a.csv")
    table.write_ndjson(tmp_path / "a.jsonl")
    table.write_parquet(tmp_path / "a.parquet")

    def records(name):
        found = read(tmp_path / name)[0]
        return [(f.external_id, f.text, f.occurred_at, f.ratings, f.language) for f in found]

    assert records("a.csv") == records("a.jsonl") == records("a.parquet")


cells = st.text(max_size=12) | st.sampled_from(
    ["1", "2", "2025-05-01", "2031-01-01", SENTENCE, "5", "yes", ""]
)
tables = st.lists(
    st.fixed_dictionaries(dict.fromkeys(["id", "at", "text", "stars", "drop"], cells)),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(rows=tables, as_json=st.booleans())
def test_counts_balance_and_reading_twice_gives_equal_records(rows, as_json, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / ("a.jsonl" if as_json else "a.csv")
    if as_json:
        data = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        out = io.StringIO()
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        data = out.getvalue()
    path.write_bytes(data.encode("utf-8", "surrogatepass"))

    first, counts = read(path)
    again, counts_again = read(path)

    assert first == again
    assert counts == counts_again
    assert len(first) == counts.records


@settings(deadline=None, max_examples=60)
@given(junk=st.binary(max_size=200), at=st.integers(0, 60))
def test_bytes_of_junk_in_a_file_never_crash_and_counts_balance(junk, at, tmp_path_factory):
    body = b"id,at,text\n" + b"".join(b"%d,2025-05-01,fine\n" % i for i in range(5))
    for name, data in (("a.csv", body[:at] + junk + body[at:]), ("b.jsonl", b'{"id": 1}\n' + junk + body)):
        path = tmp_path_factory.mktemp("junk") / name
        path.write_bytes(data)
        with contextlib.suppress(InputError):  # no other error may come
            read(path)
