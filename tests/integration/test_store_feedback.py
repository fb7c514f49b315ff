"""Feedback in a real database: once each, whatever happens."""

import dataclasses
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from voc.errors import InputError, StoreError
from voc.records import Feedback, Lineage, Rating
from voc.store import tables
from voc.store.aggregates import source_ages
from voc.store.engine import transaction
from voc.store.feedback import (
    READ_SCHEMA,
    Inserted,
    find_by_text,
    find_feedback_ids,
    get_feedback,
    insert_feedback,
    read_feedback,
    text_hash,
)
from voc.store.imports import Counts, finish_import, list_imports, start_import

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def said(external_id: str, words: str = "it works", **values) -> Feedback:
    return Feedback("shop", "review", external_id, words, NOON, **values)


def begin(conn) -> int:
    return start_import(conn, name="a.csv", sha256="ab" * 32, mapping="shop", mapping_version="1")


def count(store) -> int:
    with store.connect() as conn:
        return conn.execute(select(func.count()).select_from(tables.feedback)).scalar_one()


def test_importing_again_changes_nothing_and_says_so(store):
    batch = [said(f"r{n}") for n in range(50)]
    with transaction(store) as conn:
        first = insert_feedback(conn, batch)
    with store.connect() as conn:
        before = conn.execute(select(tables.feedback).order_by(tables.feedback.c.id)).all()
    with transaction(store) as conn:
        again = insert_feedback(conn, batch)

    assert first == Inserted(stored=50, duplicates=0, already_there=0)
    assert again == Inserted(stored=0, duplicates=0, already_there=50)
    with store.connect() as conn:
        assert conn.execute(select(tables.feedback).order_by(tables.feedback.c.id)).all() == before


def test_a_changed_text_under_a_known_id_is_counted_and_the_first_is_kept(store):
    with transaction(store) as conn:
        insert_feedback(conn, [said("r1", "one"), said("r2", "two")])
        again = insert_feedback(conn, [said("r1", "ONE "), said("r2", "three"), said("r3", "four")])
        ids = find_feedback_ids(conn, [("shop", "r2"), ("shop", "none")])

        assert again == Inserted(stored=1, duplicates=0, already_there=2, differing=1)
        assert get_feedback(conn, list(ids.values()))[ids["shop", "r2"]].text == "two"


@pytest.mark.parametrize(
    "change",
    [
        {"occurred_at": datetime(2026, 1, 2, tzinfo=UTC)},
        {"ratings": (Rating("nps", 3),)},
        {"case_id": "k-9"},
        {"customer_ref": "c-9"},
    ],
)
def test_another_time_rating_case_or_customer_under_a_known_id_is_another_content(store, change):
    with transaction(store) as conn:
        insert_feedback(conn, [said("r1")])
        again = insert_feedback(conn, [dataclasses.replace(said("r1"), **change)])

    assert (again.already_there, again.differing) == (1, 1)


def test_the_same_id_twice_in_a_batch_is_stored_once(store):
    with transaction(store) as conn:
        assert insert_feedback(conn, [said("r1"), said("r1")]) == Inserted(1, 0, 1)


def test_the_same_id_of_another_source_is_another_feedback(store):
    with transaction(store) as conn:
        other = dataclasses.replace(said("r1"), source="forum", kind="social")
        assert insert_feedback(conn, [said("r1"), other]).stored == 2
        assert [(age.source, age.kind, age.n) for age in source_ages(conn)] == [
            ("forum", "social", 1),
            ("shop", "review", 1),
        ]


def test_duplicates_are_stored_under_their_original_which_counts_them(store):
    batch = [said("r3"), said("r2"), said("r1"), said("r4", "other")]
    chain = {("shop", "r3"): ("shop", "r2"), ("shop", "r2"): ("shop", "r1")}
    with transaction(store) as conn:
        first = insert_feedback(conn, batch, duplicate_of=chain)
        again = insert_feedback(conn, batch, duplicate_of=chain)
        later = insert_feedback(conn, [said("r5")], duplicate_of={("shop", "r5"): ("shop", "r3")})
        rows = conn.execute(
            text(
                "SELECT f.external_id, o.external_id, f.n_duplicates FROM feedback f "
                "LEFT JOIN feedback o ON o.id = f.duplicate_of ORDER BY 1"
            )
        ).all()

    assert first == Inserted(stored=2, duplicates=2, already_there=0)
    assert again == Inserted(stored=0, duplicates=0, already_there=4)
    assert later == Inserted(stored=0, duplicates=1, already_there=0)
    assert [tuple(row) for row in rows] == [
        ("r1", None, 3),
        ("r2", "r1", 0),
        ("r3", "r1", 0),
        ("r4", None, 0),
        ("r5", "r1", 0),
    ]


def test_a_duplicate_of_nothing_is_refused(store):
    with pytest.raises(StoreError, match="1 duplicates name an original"), transaction(store) as conn:
        insert_feedback(conn, [said("r1")], duplicate_of={("shop", "r1"): ("shop", "gone")})

    assert count(store) == 0


def test_texts_are_found_by_their_hash(store):
    with transaction(store) as conn:
        insert_feedback(conn, [said("r1", "It  works"), said("r2", "it works"), said("r3", "no")])
        hashes = [text_hash("IT WORKS"), text_hash("never said")]

        assert find_by_text(conn, "shop", hashes) == {hashes[0]: "r1"}
        assert find_by_text(conn, "forum", hashes) == {}


def test_a_record_comes_back_as_it_went_in(store):
    record = said(
        "r1",
        'tabs\tand\nlines, "quotes", \\N, ünïcödé 🙂',
        customer_ref="c1",
        case_id="k1",
        conversation_id="v1",
        turn_index=3,
        speaker="customer",
        channel="web",
        segment="smb",
        region="eu",
        language="en",
        ratings=(Rating("nps", 9), Rating("stars", 4.5)),
        meta={"a": [1, None, "é"], "b": {"c": True}},
        lineage=Lineage("a.csv", 7, "shop", "1"),
    )
    with transaction(store) as conn:
        insert_feedback(conn, [record], import_file_id=begin(conn))
        ids = find_feedback_ids(conn, [("shop", "r1")])

        assert get_feedback(conn, list(ids.values())) == {ids["shop", "r1"]: record}
        table = read_feedback(conn, sources=["shop"])
        assert dict(table.schema) == READ_SCHEMA
        assert table.row(0, named=True)["occurred_at"] == NOON
        assert table.row(0, named=True)["nps"] == 9
        assert len(read_feedback(conn, sources=["forum"])) == 0


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (said("r9", "nul \0"), "field 'text': holds a NUL character in shop/r9"),
        (said("r9", meta={"x": "nul \0"}), "field 'meta': holds a NUL character in shop/r9"),
        (said("r9", meta={"x": float("nan")}), "field 'meta': is not JSON"),
        (said("r9", customer_ref="nul \0"), "row 2: holds characters that cannot be stored"),
        (said("r9", "half \ud83d"), "row 2: holds characters that cannot be stored"),
        (said("r9", ratings=(Rating("nps", 11),)), "field 'ratings': nps 11 is out of bounds in shop/r9"),
        (said("r9", ratings=(Rating("joy", 1),)), "field 'ratings': joy 1 is out of bounds"),
        (said("r9", ratings=(Rating("nps", 1), Rating("nps", 2))), "nps is given twice"),
        (
            dataclasses.replace(said("r9"), occurred_at=NOON.replace(tzinfo=None)),
            "field 'occurred_at': has no time zone",
        ),
    ],
)
def test_what_cannot_be_stored_is_named_and_nothing_of_its_batch_is_kept(store, bad, message):
    with pytest.raises(InputError, match=message), transaction(store) as conn:
        insert_feedback(conn, [said("r1"), bad])

    assert count(store) == 0


def test_an_imports_counts_are_kept(store):
    with transaction(store) as conn:
        number = begin(conn)
        finish_import(conn, number, records=Counts(10, 6, 3, 1), rows=Counts(5, 3, 1, 1))

        found = list_imports(conn)[0]
        assert (found.id, found.name, found.sha256, found.mapping) == (number, "a.csv", "ab" * 32, "shop")
        assert (found.records, found.rows) == (Counts(10, 6, 3, 1), Counts(5, 3, 1, 1))
        assert found.finished_at is not None
        assert found.finished_at >= found.started_at


def test_counts_that_do_not_balance_are_refused_here_and_by_the_database(store):
    with store.begin() as conn:
        number = begin(conn)
    with pytest.raises(StoreError, match="10 records read are not 6 stored"), transaction(store) as conn:
        finish_import(conn, number, records=Counts(10, 6, 3, 0), rows=Counts())
    with pytest.raises(StoreError, match="import_file_records_balance"), transaction(store) as conn:
        conn.execute(text("UPDATE import_file SET n_records_read = 1"))
    with pytest.raises(StoreError, match="import 0 is not in the database"), transaction(store) as conn:
        finish_import(conn, 0, records=Counts(), rows=Counts())


# Stores one batch for good; then another that it never commits.
WRITER = """
import sys, time
from datetime import UTC, datetime
from voc.records import Feedback
from voc.store.engine import connect, transaction
from voc.store.feedback import insert_feedback
engine = connect(sys.argv[1])
for kept in (True, False):
    with transaction(engine) as conn:
        when = datetime(2026, 3, 1, tzinfo=UTC)
        insert_feedback(conn, [Feedback("shop", "review", f"{kept}{n}", "x", when) for n in range(500)])
        if not kept:
            print("written", flush=True)
            time.sleep(600)
"""


def test_a_writer_killed_midway_leaves_nothing_half_written(store, store_url):
    process = subprocess.Popen([sys.executable, "-c", WRITER, store_url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert count(store) == 500
    batch = [Feedback("shop", "review", f"False{n}", "x", NOON) for n in range(500)]
    with transaction(store) as conn:  # the same ids are free again, once the server saw its client go
        assert insert_feedback(conn, batch) == Inserted(500, 0, 0)


def test_the_age_of_a_source_is_its_latest_feedback_and_ingest(store):
    with transaction(store) as conn:
        insert_feedback(conn, [said("r1"), dataclasses.replace(said("r2"), occurred_at=NOON + timedelta(1))])
        (age,) = source_ages(conn)

        assert age.last_occurred_at == NOON + timedelta(1)
        assert age.last_ingested_at == conn.execute(text("SELECT now()")).scalar_one()
