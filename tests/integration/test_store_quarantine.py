"""Quarantine in a real database: kept once, listed, resolved by someone."""

import dataclasses

import pytest

from voc.errors import InputError, StoreError
from voc.store.engine import transaction
from voc.store.quarantine import (
    BadRow,
    count_open_by_mapping,
    count_quarantine,
    list_quarantine,
    resolve_quarantine,
    save_quarantine,
    stream_quarantine,
)

BAD = BadRow("shop", "a.csv", 3, "shop", "1", "date", "is not a date", "write 2026-03-01", {"date": "soon"})


def test_a_bad_row_comes_back_as_it_went_in(store):
    with transaction(store) as conn:
        assert save_quarantine(conn, [BAD]) == 1
        (found,) = list_quarantine(conn)

    assert found.bad == BAD
    assert (found.status, found.resolved_by, found.resolved_at) == ("open", None, None)


def test_importing_again_keeps_each_bad_row_once_and_its_status(store):
    whole = dataclasses.replace(BAD, field=None)
    with transaction(store) as conn:
        assert save_quarantine(conn, [BAD, whole]) == 2
        resolve_quarantine(conn, [list_quarantine(conn)[0].id], status="discarded", who="ann")

        assert save_quarantine(conn, [BAD, whole]) == 0
        assert [row.status for row in list_quarantine(conn, status=None)] == ["discarded", "open"]


def test_a_row_changed_in_its_file_is_another_bad_row(store):
    with transaction(store) as conn:
        save_quarantine(conn, [BAD])

        assert save_quarantine(conn, [dataclasses.replace(BAD, raw={"date": "later"})]) == 1


def test_rows_are_listed_by_source_file_and_page(store):
    rows = [dataclasses.replace(BAD, row=n, source="shop" if n % 2 else "forum") for n in range(1, 7)]
    with transaction(store) as conn:
        save_quarantine(conn, rows)
        page = list_quarantine(conn, source="shop", limit=2)
        rest = list_quarantine(conn, source="shop", after_id=page[-1].id)

        assert [row.bad.row for row in page + rest] == [1, 3, 5]
        assert list_quarantine(conn, file="b.csv") == []
        assert count_quarantine(conn) == {
            ("forum", "date", "is not a date"): 3,
            ("shop", "date", "is not a date"): 3,
        }


def test_all_open_rows_are_streamed_in_order_and_counted_by_mapping(store, monkeypatch):
    monkeypatch.setattr("voc.store.quarantine.PAGE", 2)
    rows = [dataclasses.replace(BAD, row=n, mapping="shop" if n < 3 else "api") for n in range(1, 6)]
    with transaction(store) as conn:
        save_quarantine(conn, rows)

        assert [row.bad.row for row in stream_quarantine(conn, source="shop")] == [1, 2, 3, 4, 5]
        assert [row.bad.row for row in list_quarantine(conn, mapping="api")] == [3, 4, 5]
        assert list(stream_quarantine(conn, source="forum")) == []
        assert count_open_by_mapping(conn, "shop") == {"api": 3, "shop": 2}


def test_a_row_is_resolved_once_and_by_someone(store):
    with transaction(store) as conn:
        save_quarantine(conn, [BAD])
        (row,) = list_quarantine(conn)

        assert resolve_quarantine(conn, [row.id], status="replayed", who="ann") == 1
        assert resolve_quarantine(conn, [row.id], status="discarded", who="bob") == 0
        (found,) = list_quarantine(conn, status="replayed")
        assert found.resolved_by == "ann"
        assert found.resolved_at is not None


def test_an_unknown_status_is_refused(store):
    with transaction(store) as conn:
        save_quarantine(conn, [BAD])
    with pytest.raises(StoreError, match="quarantine_status_check"), transaction(store) as conn:
        resolve_quarantine(conn, [list_quarantine(conn)[0].id], status="lost", who="ann")


def test_what_json_cannot_hold_is_named_by_row_and_nul_is_shown_as_a_sign(store):
    with pytest.raises(InputError, match=r"a\.csv, row 3: cannot be kept"), transaction(store) as conn:
        save_quarantine(conn, [dataclasses.replace(BAD, raw={"x": float("inf")})])
    with transaction(store) as conn:
        save_quarantine(conn, [dataclasses.replace(BAD, raw={"x": "a\0b"})])

        assert list_quarantine(conn)[0].bad.raw == {"x": "a\u2400b"}
