"""Intake by API: what a client cut in half harms nothing, and what was refused has a way back."""

import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from api.intake import store_feedback
from api.replay import replay_items
from api.settings import Settings
from voc.language import LanguageDetector
from voc.store import tables
from voc.store.engine import transaction
from voc.store.quarantine import BadRow, list_quarantine, save_quarantine

ITEM = {
    "source": "shop", "kind": "survey", "external_id": "s-1", "text": "The refund never came.",
    "occurred_at": "2026-03-02T10:00:00Z",
}  # fmt: skip
NDJSON = "application/x-ndjson"


@pytest.fixture
def client(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    with TestClient(create_app(Settings(api_key=None)), client=("127.0.0.1", 5000)) as client:
        yield client


def stored_texts(store):
    query = select(tables.feedback).order_by(tables.feedback.c.id)
    with store.connect() as conn:
        return {row.external_id: row.text for row in conn.execute(query)}


@pytest.mark.parametrize("form", ["application/json", NDJSON])
def test_half_an_emoji_neither_fails_nor_harms_its_neighbours(client, store, form):
    items = [
        ITEM,
        {**ITEM, "external_id": "s-2", "text": "It broke \ud83d again, and a \\ud83d in words \U0001f621"},
        {**ITEM, "external_id": "s-3", "kind": "telepathy", "text": "cut \ude21"},
        {**ITEM, "external_id": "s-4"},
    ]
    lines = [json.dumps(item) for item in items]
    body = "\n".join(lines) if form == NDJSON else f'{{"items": [{", ".join(lines)}]}}'

    answer = client.post("/v1/feedback", content=body, headers={"Content-Type": form})

    assert answer.status_code == 202
    assert (answer.json()["stored"], answer.json()["quarantined"]) == (3, 1)
    texts = stored_texts(store)
    assert list(texts) == ["s-1", "s-2", "s-4"]
    assert texts["s-2"] == "It broke \ufffd again, and a \\ud83d in words \U0001f621"
    with transaction(store) as conn:
        (row,) = list_quarantine(conn)
    assert row.bad.raw["text"] == "cut \ufffd"


def test_half_an_emoji_is_scored_beside_its_neighbours(client):
    items = [{"text": "I was charged twice \ud83d!"}, {"text": "Thank you, that was quick"}]

    answer = client.post("/v1/score", content=json.dumps({"items": items}))

    assert answer.status_code == 200
    assert [result["supported"] for result in answer.json()["results"]] == [True, True]


def test_a_damaged_text_is_mended_as_it_is_from_files(store):
    with transaction(store) as conn:
        store_feedback(conn, [{**ITEM, "text": "Das CafÃ© war kalt"}], LanguageDetector())

    with store.connect() as conn:
        (row,) = conn.execute(select(tables.feedback))
    assert (row.text, row.meta) == ("Das Café war kalt", {"encoding_mended": True})


def test_items_that_came_by_api_are_taken_again_once_they_are_mended(store):
    bad = [{**ITEM, "kind": "telepathy"}, {**ITEM, "external_id": "s-2", "occurred_at": "soon"}]
    of_a_file = BadRow("shop", "a.csv", 1, "shop", "1", None, "is no row", "mend it", {"a": "b"})
    with transaction(store) as conn:
        store_feedback(conn, [*bad, {**ITEM, "external_id": "s-3"}], LanguageDetector())
        save_quarantine(conn, [of_a_file])
        first, second, other = list_quarantine(conn)

    report = replay_items(store, {first.id: ITEM, other.id: ITEM}, who="ann")
    clash = {**ITEM, "external_id": "s-3", "text": "Another text"}
    again = replay_items(store, {second.id: clash}, who="ann")

    assert (report.replayed, [number for number, _ in report.still_bad]) == (1, [second.id])
    assert report.still_bad[0][1].startswith("occurred_at: ")
    assert report.not_met == [other.id]
    assert "another content" in again.still_bad[0][1]
    assert stored_texts(store) == {"s-3": ITEM["text"], "s-1": ITEM["text"]}
