"""The API on the real parts: bundle, embedded PostgreSQL, background scoring."""

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from voc.records import Association, RootCause
from voc.store.engine import transaction
from voc.store.process import read_events, save_map
from voc.store.rootcauses import save_root_causes

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
        ({"items": [{"text": "x"}] * 1001}, "items"),
        ({"items": [{"text": "x"}], "typo": 1}, "typo"),
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


def test_a_wrong_item_is_answered_in_its_place_and_its_neighbours_are_scored(client):
    items = [
        {"id": "a", "txt": "typo"},
        {"text": "Charged twice!"},
        7,
        {"text": "x" * 200_001},
        {"text": None},
    ]

    results = client.post("/v1/score", json={"items": items}).json()["results"]

    assert [r["reason"] for r in results] == ["invalid", None, "invalid", "too_long", "invalid"]
    assert results[0]["id"] == "a"
    assert results[0]["problem"] == {"field": "text", "detail": "Field required"}
    assert results[1]["supported"]


def test_an_operating_point_that_is_not_served_is_refused(client):
    response = client.post("/v1/score?operating_point=nope", json={"items": [{"text": "x"}]})

    assert response.status_code == 409
    assert "operating_point" in response.json()["detail"]


def test_lines_in_give_lines_out_in_order_with_wrong_ones_in_their_place(client):
    lines = [json.dumps({"id": str(n), "text": "Charged twice!"}) for n in range(2500)]
    lines[1200] = "{oops"
    body = gzip.compress("\n".join(lines).encode())

    response = client.post(
        "/v1/score",
        content=body,
        headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
    )

    results = [json.loads(line) for line in response.text.splitlines()]
    assert response.headers["content-type"] == "application/x-ndjson"
    assert len(results) == 2500
    assert [r["id"] for r in results if r["supported"]] == [str(n) for n in range(2500) if n != 1200]
    assert results[1200]["problem"]["detail"].startswith("is not JSON")


def test_a_stream_of_feedback_is_stored_and_the_same_key_is_answered_as_before(client):
    lines = [json.dumps({**ITEM, "external_id": f"n-{n}"}) for n in range(1500)] + ["oops", ""]
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "upload-1"}

    first = client.post("/v1/feedback", content="\n".join(lines), headers=headers)
    again = client.post("/v1/feedback", content="\n".join(lines), headers=headers)

    body = first.json()
    assert (body["received"], body["stored"], body["quarantined"]) == (1501, 1500, 1)
    assert body["rejected"][0]["index"] == 1500
    assert again.json() == body
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_key_stands_for_one_request(client):
    headers = {"Idempotency-Key": "k-1"}
    other = {**ITEM, "external_id": "s-2"}

    first = client.post("/v1/feedback", json={"items": [ITEM]}, headers=headers)
    again = client.post("/v1/feedback", json={"items": [ITEM]}, headers=headers)
    wrong = client.post("/v1/feedback", json={"items": [other]}, headers=headers)

    assert first.json()["stored"] == again.json()["stored"] == 1
    assert wrong.status_code == 409
    assert "another request" in wrong.json()["detail"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"not gzip", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b'{"items": []}')[:-9], {"Content-Encoding": "gzip"}, 400),
        (b"x", {"Content-Encoding": "br"}, 415),
        (b"<xml/>", {"Content-Type": "application/xml"}, 415),
        (b"{", {"Content-Type": "application/json"}, 422),
        (gzip.compress(b" " * 17_000_000), {"Content-Encoding": "gzip"}, 413),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(client, content, headers, status):
    response = client.post(
        "/v1/score", content=content, headers={"Content-Type": "application/json"} | headers
    )

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


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
    tag = client.get("/v1/sentiment?group_by=segment").headers["etag"]
    same = client.get("/v1/sentiment?group_by=segment", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    signals = client.get("/v1/signals?interval=day").json()["points"][0]
    assert signals["n"] == 7
    assert len(signals["signals"]) == 15


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


def test_kpis_come_with_intervals_and_an_experience_score_that_is_the_sum_of_its_parts(client):
    scores = [10, 9, 9, 7, 3, 0]
    items = [
        {**ITEM, "external_id": f"s-{n}", "customer_ref": f"c-{n}",
         "ratings": [{"scale": "nps", "value": v}, {"scale": "csat", "value": 1 + v // 3}]}
        for n, v in enumerate(scores)
    ]  # fmt: skip
    client.post("/v1/feedback", json={"items": items})
    _wait_for_points(client, "/v1/sentiment")

    (point,) = client.get("/v1/kpis?interval=month&group_by=kind").json()["points"]

    assert point["group"] == {"kind": "survey"}
    assert point["nps"]["value"] == pytest.approx(100 * (3 - 2) / 6)
    assert point["nps"]["low"] < point["nps"]["value"] < point["nps"]["high"]
    assert point["csat"]["value"] == pytest.approx(3 / 6)
    assert point["ces"] is None
    experience = point["experience"]
    assert experience["score"] == pytest.approx(sum(part["points"] for part in experience["parts"]))
    assert {part["part"] for part in experience["parts"]} == {"sentiment", "calm", "nps", "csat"}


def test_changes_are_stored_updated_and_read_in_pages(client):
    items = [
        {"id": f"CHG-{n}", "title": "New screen", "started_at": f"2026-03-0{n + 1}T09:00:00Z"}
        for n in range(5)
    ]
    first = client.post("/v1/changes", json={"items": items})
    again = client.post(
        "/v1/changes", json={"items": [items[0], {**items[1], "ended_at": "2026-01-01T00:00:00Z"}]}
    )

    pages, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/v1/changes?limit=2{cursor and '&cursor=' + cursor}").json()
        pages.append([item["id"] for item in page["items"]])
        cursor = page["next"]

    assert first.json() == {"received": 5, "stored": 5, "updated": 0, "rejected": []}
    assert again.json() == {
        "received": 2,
        "stored": 0,
        "updated": 1,
        "rejected": [
            {"index": 1, "field": "ended_at", "reason": "is before its start", "remedy": "swap them"}
        ],
    }
    assert pages == [["CHG-0", "CHG-1"], ["CHG-2", "CHG-3"], ["CHG-4"]]
    assert client.get("/v1/changes?cursor=nonsense").status_code == 404


def test_events_in_any_order_are_in_order_once_and_checked_against_the_map(client, store):
    yaml = "name: orders\nversion: '1'\nsteps:\n  - name: pay\n  - name: ship\n    service_level: 1h\n"
    with transaction(store) as conn:
        map_id = save_map(conn, "orders", "1", yaml)
    at = "2026-03-02T{}:00:00Z".format
    ship, pay = (
        {"case_id": "o-1", "activity": a, "timestamp": at(h)} for a, h in (("ship", 15), ("pay", 10))
    )

    late = client.post("/v1/events", json={"process": "orders", "items": [ship]}).json()
    both = client.post("/v1/events", json={"process": "orders", "items": [pay, ship]}).json()

    assert late["process"] == "orders@1"
    assert (both["stored"], both["duplicates"], both["cases"]) == (1, 1, 1)
    with transaction(store) as conn:
        assert [e.activity for e in read_events(conn, map_id, "o-1")] == ["pay", "ship"]
    unmapped = client.post("/v1/events", json={"process": "claims", "items": [pay]}).json()
    assert (unmapped["process"], unmapped["deviations"]) == ("claims@unmapped", None)


def test_a_verdict_on_a_root_cause_is_kept_with_who_gave_it(client, store):
    association = Association("delay", "sla_breach", "ship", 5.1, 2.0, 9.0, 0.001, 0.01, 50, 30, 200, 40, 0.4,
                              0.3, None, True)  # fmt: skip
    causes = [
        RootCause(replace(association, step=step, risk_difference=0.1 * n), "orders@1", None, "proposed", "small/1",
                  (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)), ())
        for n, step in enumerate(["pack", "pay", "ship"])
    ]  # fmt: skip
    with transaction(store) as conn:
        save_root_causes(conn, causes, processes=["orders"], fdr=0.05, method="mh")
    page = client.get("/v1/root-causes?limit=2").json()
    rest = client.get(f"/v1/root-causes?limit=2&cursor={page['next']}").json()
    number = page["root_causes"][0]["id"]

    verdict = {"who": "d.lopez", "status": "confirmed", "owner": "Logistics", "note": "seen on site"}
    changed = client.patch(f"/v1/root-causes/{number}", json=verdict).json()

    assert [r["step"] for r in page["root_causes"] + rest["root_causes"]] == ["ship", "pay", "pack"]
    assert rest["next"] is None
    assert (changed["status"], changed["owner"]) == ("confirmed", "Logistics")
    assert [(h["who"], h["action"]) for h in changed["history"]][1:] == [
        ("d.lopez", "status"),
        ("d.lopez", "owner"),
    ]
    assert client.get(f"/v1/root-causes/{number}/evidence").json() == {"items": [], "next": None}
    lines = client.get(f"/v1/root-causes/{number}/evidence", headers={"Accept": "application/x-ndjson"})
    assert (lines.status_code, lines.text) == (200, "")
    assert client.patch("/v1/root-causes/99", json=verdict).status_code == 404
    assert client.patch(f"/v1/root-causes/{number}", json={"who": "d.lopez"}).json() == changed
    assert client.delete(f"/v1/root-causes/{number}").headers["allow"] == "GET, PATCH"


def test_the_model_that_serves_says_its_thresholds(client):
    body = client.get("/v1/models").json()

    assert body["serving"]["operating_point"] in body["serving"]["operating_points"]
    assert len(body["serving"]["thresholds"]) == 16


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
