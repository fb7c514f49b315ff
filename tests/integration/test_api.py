"""The API on the real parts: bundle, embedded PostgreSQL, background scoring."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings

ITEM = {
    "source": "shop", "kind": "survey", "external_id": "s-1", "text": "The refund never came.",
    "occurred_at": "2026-03-02T10:00:00Z", "customer_ref": "c-1", "segment": "private",
}  # fmt: skip


@pytest.fixture
def client(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    with TestClient(create_app(Settings(api_key=None)), client=("127.0.0.1", 5000)) as client:
        yield client


def _wait_for_points(client: TestClient, path: str) -> dict[str, Any]:
    """Background scoring is done when the points are there; gives up after a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        body: dict[str, Any] = client.get(path).json()
        if body["points"]:
            return body
        time.sleep(0.1)
    raise AssertionError("nothing was scored within a minute")


def test_a_thousand_texts_get_a_thousand_results_in_order(client):
    texts = ["Charged twice!", "", "Das Paket kam nie an, ich warte seit Wochen", "ok " * 900] * 250
    items = [{"id": f"i{n}", "text": text} for n, text in enumerate(texts)]

    body = client.post("/v1/score", json={"items": items}).json()

    assert [r["id"] for r in body["results"]] == [f"i{n}" for n in range(1000)]
    assert [r["supported"] for r in body["results"][:4]] == [True, False, False, True]
    assert [r["reason"] for r in body["results"][:4]] == [None, "empty", "language", None]
    assert body["results"][3]["n_windows"] > 1
    assert body["results"][0]["model"] == body["model"]


def test_evidence_is_a_piece_of_the_text(client):
    text = "I was charged twice for one order and nobody answers my calls!"

    result = client.post("/v1/score", json={"items": [{"text": text}]}).json()["results"][0]

    assert result["sentiment"]["label"] == "negative"
    assert result["evidence"]
    for span in result["evidence"]:
        assert text[span["start"] : span["end"]] == span["text"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"items": []}, "items"),
        ({"items": [{"txt": "typo"}]}, "items.0.text"),
        ({"items": [{"text": "x"}] * 1001}, "items"),
        ({"items": [{"text": "x"}], "operating_point": "nope"}, None),
    ],
)
def test_a_wrong_request_is_a_problem_that_names_the_field(client, body, field):
    response = client.post("/v1/score", json=body)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == 422
    if field:
        assert problem["errors"][0]["field"] == field


def test_what_was_accepted_is_stored_once_and_scored(client):
    others = [{**ITEM, "external_id": f"s-{n}", "customer_ref": f"c-{n}"} for n in range(2, 8)]

    first = client.post("/v1/feedback", json={"items": [ITEM, *others]})
    again = client.post("/v1/feedback", json={"items": [ITEM]})

    assert first.status_code == 202
    assert first.json() == {"received": 7, "stored": 7, "duplicates": 0, "quarantined": 0, "rejected": []}
    assert again.json()["duplicates"] == 1
    body = _wait_for_points(client, "/v1/sentiment?group_by=segment")
    point = body["points"][0]
    assert point["group"] == {"segment": "private"}
    assert point["n"] == 7
    assert point["negative"]["low"] <= point["negative"]["value"] <= point["negative"]["high"]
    assert body["sources"][0]["age_s"] >= 0


def test_groups_of_fewer_than_five_customers_are_withheld(client):
    client.post("/v1/feedback", json={"items": [ITEM]})

    point = _wait_for_points(client, "/v1/sentiment?group_by=segment")["points"][0]

    assert point["withheld"]
    assert point["n"] is None
    assert point["mean"] is None


def test_a_bad_item_goes_to_quarantine_and_its_neighbours_are_stored(client):
    bad = [
        {**ITEM, "external_id": "b-1", "occurred_at": "2199-01-01T00:00:00Z"},
        {**ITEM, "external_id": "b-2", "kind": "telepathy"},
        {**ITEM, "external_id": "b-3", "occurred_at": "2026-03-02T10:00:00"},
        {**ITEM, "external_id": "b-4", "ratings": [{"scale": "nps", "value": 11}]},
    ]

    body = client.post("/v1/feedback", json={"items": [ITEM, *bad]}).json()

    assert (body["stored"], body["quarantined"]) == (1, 4)
    assert [r["index"] for r in body["rejected"]] == [1, 2, 3, 4]
    assert [r["field"] for r in body["rejected"]] == ["occurred_at", "kind", "occurred_at", "ratings"]


def test_a_key_closes_the_service_to_who_does_not_hold_it(store_url, monkeypatch):
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    body = {"items": [{"text": "hello there"}]}
    with TestClient(create_app(Settings(api_key="secret")), client=("203.0.113.9", 1)) as client:
        assert client.post("/v1/score", json=body).status_code == 401
        wrong = client.post("/v1/score", json=body, headers={"Authorization": "Bearer nope"})
        assert wrong.status_code == 401
        assert wrong.json()["title"] == "Unauthorized"
        right = client.post("/v1/score", json=body, headers={"Authorization": "Bearer secret"})
        assert right.status_code == 200
        assert client.get("/healthz").status_code == 200


def test_without_a_key_callers_elsewhere_are_refused(store_url, monkeypatch):
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    with TestClient(create_app(Settings(api_key=None)), client=("203.0.113.9", 1)) as client:
        assert client.get("/v1/root-causes").status_code == 403


def test_the_description_is_whole_and_answers_are_compressed(client):
    spec = client.get("/openapi.json").json()
    large = client.post(
        "/v1/score", json={"items": [{"text": "fine"}] * 50}, headers={"Accept-Encoding": "gzip"}
    )

    assert {"/v1/score", "/v1/feedback", "/v1/sentiment", "/v1/root-causes", "/healthz", "/readyz"} <= set(
        spec["paths"]
    )
    assert "422" in spec["paths"]["/v1/score"]["post"]["responses"]
    assert large.headers["content-encoding"] == "gzip"
    assert client.get("/readyz").json()["model"]


def test_a_body_too_large_is_refused_before_it_is_read(store_url, monkeypatch):
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    app = create_app(Settings(api_key=None, max_body_bytes=1000))
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        response = client.post("/v1/score", content=b"x" * 2000)

    assert response.status_code == 413


def test_an_unknown_route_is_a_problem_too(client):
    response = client.get("/v1/nothing")

    assert response.status_code == 404
    assert json.loads(response.content)["title"] == "Not Found"
