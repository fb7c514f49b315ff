"""The client for code that waits."""

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, cast

import httpx

from voc.client import answers, calls
from voc.client.calls import Call, Item, Retries


class Client:
    """Calls the API at `url`; `key` is the service's VOC_API_KEY. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, transport=transport)
        self._retries = retries or Retries()

    def __enter__(self) -> Self:
        """The client itself; closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def score(self, texts: Sequence[str | Item]) -> list[answers.Score]:
        """One score for each text, or item with `id` and `text`; up to a thousand."""
        return cast("list[answers.Score]", self._do(calls.score(texts))["results"])

    def send_feedback(self, items: Iterable[Item], *, key: str | None = None) -> answers.FeedbackTaken:
        """Store feedback of any number; back only when all is on disk. Sending it again changes nothing."""
        name = key or str(uuid.uuid4())
        taken = calls.add_up(
            self._do(calls.feedback_lines(batch, key=f"{name}-{n}"))
            for n, batch in enumerate(calls.batches(items))
        )
        return cast(answers.FeedbackTaken, taken)

    def send_events(
        self, process: str, items: Sequence[Item], *, key: str | None = None
    ) -> answers.EventsTaken:
        """Add up to a thousand events to their cases."""
        body = {"process": process, "items": list(items)}
        return cast(answers.EventsTaken, self._do(calls.write("/v1/events", body, key=key)))

    def send_changes(self, items: Sequence[Item], *, key: str | None = None) -> answers.ChangesTaken:
        """Store up to a thousand changes."""
        body = {"items": list(items)}
        return cast(answers.ChangesTaken, self._do(calls.write("/v1/changes", body, key=key)))

    def send_turns(self, conversation: str, turns: Sequence[Item], **about: Any) -> answers.Conversation:
        """Add turns to a live conversation; `about` is `source`, `customer_ref` and the like."""
        call = calls.write(f"/v1/conversations/{conversation}/turns", {"turns": list(turns), **about})
        return cast(answers.Conversation, self._do(call))

    def get_conversation(self, conversation: str, *, source: str = "live") -> answers.Conversation:
        """Where a conversation stands."""
        call = calls.get(f"/v1/conversations/{conversation}", source=source)
        return cast(answers.Conversation, self._do(call))

    def aggregate(self, name: str, **params: Any) -> answers.Aggregate:
        """`sentiment`, `signals` or `kpis`, by `interval`, `group_by`, `start`, `end` and filters."""
        return cast(answers.Aggregate, self._do(calls.aggregate(name, **params)))

    def root_causes(self, **params: Any) -> Iterator[answers.RootCause]:
        """All root causes, heaviest first, a page at a time."""
        return self._pages("/v1/root-causes", "root_causes", params)

    def evidence(self, number: int) -> Iterator[dict[str, Any]]:
        """The feedback behind a root cause, surest first, a page at a time."""
        return self._pages(f"/v1/root-causes/{number}/evidence", "items", {})

    def decide(self, number: int, *, who: str, **verdict: Any) -> answers.RootCause:
        """Set `status` or `owner` of a root cause, with a `note`."""
        call = calls.write(f"/v1/root-causes/{number}", {"who": who, **verdict}, method="PATCH")
        return cast(answers.RootCause, self._do(call))

    def models(self) -> dict[str, Any]:
        """The model that serves, and those that scored what is stored."""
        return cast("dict[str, Any]", self._do(calls.get("/v1/models")))

    def _pages(self, path: str, name: str, params: dict[str, Any]) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            page = self._do(calls.get(path, **params, cursor=cursor))
            yield from page[name]
            cursor = page["next"]
            if cursor is None:
                return

    def _do(self, call: Call) -> Any:
        for failed in range(1, self._retries.tries + 1):
            last = failed == self._retries.tries
            try:
                response = self._http.request(
                    call.method, call.path, params=call.params, content=call.body, headers=call.headers
                )
            except httpx.TransportError as error:
                if last:
                    raise calls.unanswered(call, error, failed) from error
                time.sleep(self._retries.wait_s(failed))
                continue
            if last or not calls.asks_again(response):
                return calls.answer_of(response)
            time.sleep(self._retries.wait_s(failed, calls.asked_wait_s(response)))
        raise AssertionError("unreachable: the last try returns or raises")
