"""The client against the real service, and against one that fails: retries do nothing twice."""

import asyncio
import random

import httpx
import pytest
from fastapi import WebSocketDisconnect
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from api.settings import Settings
from tests.integration.serving import serving
from tests.tiny_bundle import build_tiny_bundle
from voc.client import ApiError, AsyncClient, Client, Retries
from voc.store.engine import transaction

AT = "2026-03-02T10:{:02d}:00Z".format
SAID = [
    "Hello, I would like to know where my order is.", "It was promised for last Monday!",
    "I have called four times and nobody knows anything, this is ridiculous.", "Fine.",
    "Thank you, that is very kind of you.",
]  # fmt: skip


def _feedback(n: int) -> list[dict]:
    return [
        {"source": "shop", "kind": "survey", "external_id": f"s-{i}", "text": f"Parcel {i} came late.",
         "occurred_at": AT(i % 60), "customer_ref": f"c-{i}"}
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture
def url(store_url, monkeypatch):
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    with serving(Settings(api_key="secret")) as address:
        yield address


@pytest.fixture
def exact_url(store_url, monkeypatch, tmp_path):
    """With a bundle whose scores do not depend on the batch, as all exported since decision 10."""
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    with serving(Settings(api_key="secret", bundle=build_tiny_bundle(tmp_path))) as address:
        yield address


def _turns() -> list[dict]:
    turns = []
    for i, words in enumerate(SAID):
        turns.append({"index": 2 * i, "speaker": "customer", "text": words, "occurred_at": AT(2 * i)})
        turns.append({"index": 2 * i + 1, "speaker": "agent", "text": "I see.", "occurred_at": AT(2 * i + 1)})
    return turns


def test_a_conversation_in_any_order_repeated_and_late_ends_as_the_finished_one(exact_url):
    turns = _turns()
    shuffled = [*turns, *turns[3:7]]
    random.Random(5).shuffle(shuffled)
    with Client(exact_url, key="secret") as client:
        for turn in shuffled:
            live = client.send_turns("chat-1", [turn], source="chat")
        at_once = client.send_turns("chat-2", turns, source="chat")
        read = client.get_conversation("chat-1", source="chat")
        scores = client.score([*SAID, "\n".join(SAID)])

    assert {k: v for k, v in live.items() if k in read} == read
    for one, other in zip(live["trajectory"], at_once["trajectory"], strict=True):
        assert one == {k: pytest.approx(v, abs=2e-6) if isinstance(v, float) else v for k, v in other.items()}
    assert [h["index"] for h in live["trajectory"]] == [0, 2, 4, 6, 8]
    felt = [s["sentiment"]["score"] for s in scores[:-1]]
    assert [h["sentiment"] for h in live["trajectory"]] == pytest.approx(felt, abs=2e-6)
    assert live["shift"] == pytest.approx(sum(felt[3:]) / 2 - sum(felt[:2]) / 2, abs=2e-6)
    assert live["whole"]["sentiment"]["score"] == pytest.approx(scores[-1]["sentiment"]["score"], abs=2e-6)
    assert live["n_turns"] == 10


def test_the_client_speaks_to_every_route_it_names(url):
    with Client(url, key="secret") as client:
        taken = client.send_feedback([*_feedback(1200), {"source": "shop"}])
        again = client.send_feedback(_feedback(3))
        events = client.send_events("orders", [{"case_id": "o-1", "activity": "pay", "timestamp": AT(1)}])
        changes = client.send_changes([{"id": "CHG-1", "title": "New screen", "started_at": AT(1)}])
        models = client.models()
        kpis = client.aggregate("kpis", interval="day", group_by=["source"])

        assert (taken["stored"], taken["quarantined"]) == (1200, 1)
        assert taken["rejected"][0]["index"] == 1200
        assert again["duplicates"] == 3
        assert (events["stored"], changes["stored"]) == (1, 1)
        assert models["serving"]["id"]
        assert "points" in kpis
        assert list(client.root_causes()) == []
        with pytest.raises(ApiError, match="404: root cause 7") as error:
            client.decide(7, who="d.lopez", status="confirmed")
        assert error.value.status == 404


def test_the_same_from_asyncio(url):
    async def talk():
        async with AsyncClient(url, key="secret") as client:
            scores = await asyncio.gather(*(client.score(["Where is my parcel?"]) for _ in range(20)))
            taken = await client.send_feedback(_feedback(3))
            live = await client.send_turns("chat-1", _turns()[:1])
            return scores, taken, live, [cause async for cause in client.root_causes()]

    scores, taken, live, causes = asyncio.run(talk())

    assert all(score["supported"] for (score,) in scores)
    assert taken["stored"] == 3
    assert live["n_turns"] == 1
    assert causes == []


def test_a_socket_answers_each_turn_with_the_state_and_stays_open_after_a_wrong_one(store_url, monkeypatch):
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    with TestClient(create_app(Settings(api_key="secret"))) as client:
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/v1/conversations/c-1/live") as socket,
        ):
            socket.receive_text()
        headers = {"Authorization": "Bearer secret"}
        with client.websocket_connect("/v1/conversations/c-1/live", headers=headers) as socket:
            socket.send_json({"turns": [{"index": 0}]})
            wrong = socket.receive_json()
            for turn in _turns()[:2]:
                socket.send_json({"turns": [turn]})
                state = socket.receive_json()

    assert (wrong["status"], wrong["title"]) == (422, "Unprocessable Content")
    assert state["n_turns"] == 2
    assert state["whole"]["supported"]


def test_a_wrong_key_is_not_tried_again(url):
    with Client(url, key="wrong") as client, pytest.raises(ApiError, match="401: give the key") as error:
        client.models()

    assert error.value.status == 401


class Flaky(httpx.HTTPTransport):
    """Passes each request on and loses every other answer: the service acted, the caller does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        self.n += 1
        if self.n % 2:
            raise httpx.ReadError("lost")
        return response


def test_what_was_done_but_not_answered_is_done_once(url, store):
    flaky = Flaky()
    with Client(url, key="secret", transport=flaky, retries=Retries(first_wait_s=0.01)) as client:
        taken = client.send_feedback(_feedback(1500))

    assert flaky.n == 4  # two requests, each sent twice
    assert (taken["stored"], taken["duplicates"]) == (1500, 0)  # as if nothing had been lost
    with transaction(store) as conn:
        assert conn.execute(text("SELECT count(*) FROM feedback")).scalar_one() == 1500


def test_a_service_that_is_full_is_asked_again_when_it_said():
    answers = [
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(503),
        httpx.Response(200, json={}),
    ]
    transport = httpx.MockTransport(lambda request: answers.pop(0))
    with Client("http://x", transport=transport, retries=Retries(first_wait_s=0.001)) as client:
        assert client.models() == {}


def test_nobody_there_is_said_so():
    with (
        Client("http://127.0.0.1:9", retries=Retries(tries=2, first_wait_s=0.001)) as client,
        pytest.raises(ApiError, match="not answered in 2 tries") as error,
    ):
        client.models()

    assert error.value.status is None
