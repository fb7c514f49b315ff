"""The client for asyncio; the calls are those of `synchronous.Client`."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Self, cast

import httpx

from voc.client import answers, calls
from voc.client.calls import Call, Item, Retries


class AsyncClient:
    """Calls the API at `url`; `key` is the service's VOC_API_KEY. For one event loop."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout_s, transport=transport)
        self._retries = retries or Retries()

    async def __aenter__(self) -> Self:
        """The client itself; closed at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def score(self, texts: Sequence[str | Item]) -> list[answers.Score]:
        """One score for each text, or item with `id` and `text`; up to a thousand."""
        return cast("list[answers.Score]", (await self._do(calls.score(texts)))["results"])

    async def send_feedback(self, items: Iterable[Item], *, key: str | None = None) -> answers.FeedbackTaken:
        """Store feedback of any number; back only when all is on disk. Sending it again changes nothing."""
        name = key or str(uuid.uuid4())
        parts = [
            await self._do(calls.feedback_lines(batch, key=f"{name}-{n}"))
            for n, batch in enumerate(calls.batches(items))
        ]
        return cast(answers.FeedbackTaken, calls.add_up(parts))

    async def send_events(
        self, process: str, items: Sequence[Item], *, key: str | None = None
    ) -> answers.EventsTaken:
        """Add up to a thousand events to their cases."""
        body = {"process": process, "items": list(items)}
        return cast(answers.EventsTaken, await self._do(calls.write("/v1/events", body, key=key)))

    async def send_changes(self, items: Sequence[Item], *, key: str | None = None) -> answers.ChangesTaken:
        """Store up to a thousand changes."""
        body = {"items": list(items)}
        return cast(answers.ChangesTaken, await self._do(calls.write("/v1/changes", body, key=key)))

    async def send_turns(
        self, conversation: str, turns: Sequence[Item], **about: Any
    ) -> answers.Conversation:
        """Add turns to a live conversation; `about` is `source`, `customer_ref` and the like."""
        call = calls.write(f"/v1/conversations/{conversation}/turns", {"turns": list(turns), **about})
        return cast(answers.Conversation, await self._do(call))

    async def get_conversation(self, conversation: str, *, source: str = "live") -> answers.Conversation:
        """Where a conversation stands."""
        call = calls.get(f"/v1/conversations/{conversation}", source=source)
        return cast(answers.Conversation, await self._do(call))

    async def aggregate(self, name: str, **params: Any) -> answers.Aggregate:
        """`sentiment`, `signals` or `kpis`, by `interval`, `group_by`, `start`, `end` and filters."""
        return cast(answers.Aggregate, await self._do(calls.aggregate(name, **params)))

    def root_causes(self, **params: Any) -> AsyncIterator[answers.RootCause]:
        """All root causes, heaviest first, a page at a time."""
        return self._pages("/v1/root-causes", "root_causes", params)

    def evidence(self, number: int) -> AsyncIterator[dict[str, Any]]:
        """The feedback behind a root cause, surest first, a page at a time."""
        return self._pages(f"/v1/root-causes/{number}/evidence", "items", {})

    async def decide(self, number: int, *, who: str, **verdict: Any) -> answers.RootCause:
        """Set `status` or `owner` of a root cause, with a `note`."""
        call = calls.write(f"/v1/root-causes/{number}", {"who": who, **verdict}, method="PATCH")
        return cast(answers.RootCause, await self._do(call))

    async def models(self) -> dict[str, Any]:
        """The model that serves, and those that scored what is stored."""
        return cast("dict[str, Any]", await self._do(calls.get("/v1/models")))

    async def _pages(self, path: str, name: str, params: dict[str, Any]) -> AsyncIterator[Any]:
        cursor: str | None = None
        while True:
            page = await self._do(calls.get(path, **params, cursor=cursor))
            for item in page[name]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return

    async def _do(self, call: Call) -> Any:
        for failed in range(1, self._retries.tries + 1):
            last = failed == self._retries.tries
            try:
                response = await self._http.request(
                    call.method, call.path, params=call.params, content=call.body, headers=call.headers
                )
            except httpx.TransportError as error:
                if last:
                    raise calls.unanswered(call, error, failed) from error
                await asyncio.sleep(self._retries.wait_s(failed))
                continue
            if last or not calls.asks_again(response):
                return calls.answer_of(response)
            await asyncio.sleep(self._retries.wait_s(failed, calls.asked_wait_s(response)))
        raise AssertionError("unreachable: the last try returns or raises")
