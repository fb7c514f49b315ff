"""`voc ingest` and `voc quarantine` on a real database: no row is lost on its way back."""

import json
from dataclasses import replace

import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner

from voc.cli import ingest, quarantine
from voc.errors import InputError
from voc.store import tables
from voc.store.engine import transaction
from voc.store.quarantine import BadRow, list_quarantine, save_quarantine

MAPPING = """\
name: shop
version: 1
kind: review
external_id: id
time: at
text: words
ratings:
  - {scale: stars, field: {field: stars, optional: true}}
"""
HEADER = "id,at,words,stars\n"
BAD = BadRow("shop", "a.csv", 1, "shop", "1", "at", "is not a time", "write 2026-03-01",
             {"id": "r9", "at": "soon", "words": "Never came", "stars": ""})  # fmt: skip


@pytest.fixture
def run(store_url, monkeypatch):
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    app = typer.Typer()
    ingest.register(app)
    quarantine.register(app)
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def mapping(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(MAPPING)
    return path


@pytest.fixture
def take(run, mapping, tmp_path):
    """Ingest lines of CSV; gives what is printed."""

    def take(*lines, as_json=False):
        (tmp_path / "in.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))
        return run(
            "ingest", tmp_path / "in.csv", "--mapping", mapping, *(["--json"] if as_json else [])
        ).stdout

    return take


def mended(tmp_path, *rows):
    path = tmp_path / "mended.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def save(store, *rows):
    with transaction(store) as conn:
        save_quarantine(conn, rows)


def open_rows(store):
    with transaction(store) as conn:
        return list_quarantine(conn)


def stored(store):
    with store.connect() as conn:
        return {row.external_id: row for row in conn.execute(select(tables.feedback))}


def test_a_row_whose_id_is_taken_by_another_text_stays_in_quarantine(run, take, mapping, store, tmp_path):
    take("r1,2026-03-01,Never came,1", "r1,2026-03-01,Another text,1")

    as_it_was = run("quarantine", "replay", "--mapping", mapping).stdout
    (row,) = open_rows(store)
    own_id = mended(tmp_path, {"id": row.id, "raw": {**row.bad.raw, "id": "r2"}})
    with_own_id = run("quarantine", "replay", "--mapping", mapping, "--rows", own_id).stdout

    assert "replayed 0, stored before 0, still in quarantine 1" in as_it_was
    assert f"{row.id}: its id is stored with another content" in as_it_was
    assert "replayed 1" in with_own_id
    assert {i: row.text for i, row in stored(store).items()} == {"r1": "Never came", "r2": "Another text"}


def test_a_replayed_row_keeps_the_file_and_row_it_came_from(run, take, mapping, store, tmp_path):
    take("r1,2026-03-01,Never came,1", "r2,soon,Came late,2")
    (row,) = open_rows(store)
    rows = mended(tmp_path, {"id": row.id, "raw": {**row.bad.raw, "at": "2026-03-02"}})

    run("quarantine", "replay", "--mapping", mapping, "--rows", rows)

    found = stored(store)
    assert found["r2"].import_file_id == found["r1"].import_file_id is not None
    assert found["r2"].row_number == 2


def test_a_row_stored_before_with_the_same_content_is_closed_as_such(run, take, mapping, store, tmp_path):
    take("r1,soon,Never came,1")
    take("r1,2026-03-01,Never came,1")
    (row,) = open_rows(store)
    rows = mended(tmp_path, {"id": row.id, "raw": {**row.bad.raw, "at": "2026-03-01"}})

    said = run("quarantine", "replay", "--mapping", mapping, "--rows", rows).stdout

    assert "replayed 0, stored before 1, still in quarantine 0" in said
    assert open_rows(store) == []


def test_a_text_corrected_under_its_old_id_is_told(take):
    take("r1,2026-03-01,Never came,1", "r2,2026-03-01,Fine,5")

    said = take("r1,2026-03-01,It never came,1", "r2,2026-03-01,Fine,5")
    counts = json.loads(take("r1,2026-03-01,It never came,1", as_json=True))

    assert "1 were stored before with another content" in said
    assert (counts["already_there"], counts["differing"]) == (1, 1)


def test_rows_of_other_mappings_are_left_alone_and_told(run, mapping, store):
    good = {**BAD.raw, "at": "2026-03-01"}
    save(
        store, BAD, replace(BAD, mapping="old", row=2, raw=good), replace(BAD, mapping="api", row=3, raw=good)
    )

    said = run("quarantine", "replay", "--mapping", mapping).stdout

    assert "still in quarantine 1" in said
    assert "1 rows of the source that came through mapping 'old'" in said
    assert "mapping 'api'; use `python -m api.replay`" in said
    assert len(open_rows(store)) == 3


def test_mended_rows_that_are_not_open_or_not_of_the_mapping_are_listed(run, mapping, store, tmp_path):
    save(store, BAD, replace(BAD, source="forum", row=2))
    first, other = open_rows(store)
    raw = {**BAD.raw, "at": "2026-03-01"}
    rows = mended(tmp_path, *({"id": i, "raw": raw} for i in (first.id, other.id, 999)))

    said = run("quarantine", "replay", "--mapping", mapping, "--rows", rows).stdout

    assert "replayed 1" in said
    assert f"not replayed, since not open, or of another source or mapping: {other.id}, 999" in said


@pytest.mark.parametrize(("row", "field"), [({"id": "x", "raw": {}}, "id"), ({"id": 1, "raw": 2}, "raw")])
def test_a_mended_row_that_cannot_be_is_named(run, mapping, tmp_path, row, field):
    rows = mended(tmp_path, row)

    with pytest.raises(InputError, match=rf"mended\.jsonl, row 1, field '{field}'"):
        run("quarantine", "replay", "--mapping", mapping, "--rows", rows)


def test_rows_beyond_the_first_thousand_are_counted_in_the_table_and_given_as_json(run, store, tmp_path):
    save(store, *(replace(BAD, row=n) for n in range(1, 1_003)))
    out = tmp_path / "bad.jsonl"

    table = run("quarantine", "list", "--source", "shop").stdout
    rows = json.loads(run("quarantine", "list", "--json").stdout)
    run("quarantine", "list", "--raw", "--output", out)

    assert "1,000 of 1,002 shown" in table
    assert [row["row"] for row in rows] == list(range(1, 1_003))
    assert rows[0] == {"id": rows[0]["id"], "source": "shop", "file": "a.csv", "row": 1, "mapping": "shop",
                       "field": "at", "reason": "is not a time", "remedy": "write 2026-03-01"}  # fmt: skip
    assert len(out.read_text().splitlines()) == 1_002


def test_a_table_in_a_pipe_holds_whole_words_and_brackets(run, store):
    reason = "[/x] " + "a reason that is far longer than a terminal of eighty columns is wide"
    save(store, replace(BAD, reason=reason))

    assert reason in run("quarantine", "list").stdout
