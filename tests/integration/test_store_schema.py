"""The schema: upgrades once, safely, and is what the queries think it is."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from voc.errors import StoreError
from voc.store import rollup_tables, schema, tables, tables_work
from voc.store.engine import transaction
from voc.store.rootcauses import STATUSES
from voc.taxonomy import DEVIATION_KINDS, RATING_SCALES, SENTIMENTS, SOURCE_KINDS


def test_upgrading_twice_is_a_no_op(empty_store):
    first = schema.upgrade(empty_store)
    second = schema.upgrade(empty_store)

    assert first.current is None
    assert first.pending
    assert second.current == second.head
    assert second.pending == ()


def test_status_of_an_empty_database_lists_all_revisions_and_changes_nothing(empty_store):
    found = schema.status(empty_store)

    assert found.pending[-1] == found.head
    assert not found.ready
    assert inspect(empty_store).get_table_names() == []
    with pytest.raises(StoreError, match="behind; run `voc db upgrade`"):
        schema.must_be_ready(empty_store)


def test_upgrades_at_the_same_time_do_not_meet(empty_store):
    with ThreadPoolExecutor(4) as pool:
        before = list(pool.map(lambda _: schema.upgrade(empty_store), range(4)))

    assert sum(bool(found.pending) for found in before) == 1
    assert schema.status(empty_store).ready


def test_a_database_of_a_later_release_is_refused_and_left_alone(store):
    with transaction(store) as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    assert schema.status(store).newer
    with pytest.raises(StoreError, match=r"'9999'.*install the newer voc"):
        schema.upgrade(store)
    with pytest.raises(StoreError, match=r"'9999'.*install the newer voc"):
        schema.must_be_ready(store)


def test_migrations_make_the_tables_that_queries_see(store):
    options = {"compare_type": True, "compare_server_default": True}
    assert tables_work.pilot.metadata is tables.metadata
    with store.connect() as conn:
        differences = compare_metadata(MigrationContext.configure(conn, opts=options), rollup_tables.metadata)

    flat = [item for part in differences for item in (part if isinstance(part, list) else [part])]
    assert [item for item in flat if "comment" not in item[0]] == []


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ("source_kind_check", SOURCE_KINDS),
        ("feedback_kind_check", SOURCE_KINDS),
        ("deviation_kind_check", DEVIATION_KINDS),
        ("root_cause_kind_check", DEVIATION_KINDS),
        ("root_cause_status_check", STATUSES),
        ("score_sentiment_check", SENTIMENTS),
    ],
)
def test_the_database_allows_the_words_of_the_taxonomy(store, constraint, words):
    with store.connect() as conn:
        definition = conn.execute(
            text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"),
            {"name": constraint},
        ).scalar_one()

    assert set(re.findall(r"'(\w+)'::text", definition)) == set(words)


def test_each_rating_scale_has_a_column():
    assert set(RATING_SCALES) <= set(tables.feedback.c.keys())
