"""Each call of the API as a value, when it is tried again, and what its failure says."""

import json
import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import httpx

from voc.errors import VocError

BATCH: Final = 1000  # items of one request
_NDJSON: Final = "application/x-ndjson"
_AGAIN: Final = (429, 502, 503, 504)
Item = Mapping[str, Any]


class ApiError(VocError):
    """The API refused, or did not answer. `status` is None where there was no answer."""

    def __init__(self, detail: str, *, status: int | None = None, problem: Item | None = None) -> None:
        self.status, self.problem = status, problem
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a call is tried again.

    What was refused for now (429, 502, 503, 504) or never answered is tried again; the wait doubles each
    time, a random half of it taken off, and is at least what the service asked for.
    """

    tries: int = 5
    first_wait_s: float = 0.2
    longest_wait_s: float = 20.0

    def wait_s(self, failed: int, asked_s: float = 0.0) -> float:
        """How long to wait after the `failed`-th failure, counted from 1."""
        wait = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (failed - 1))
        return max(asked_s, wait * random.uniform(0.5, 1.0))


@dataclass(frozen=True, slots=True)
class Call:
    """One request. Writing ones carry a key, so that trying again does nothing twice."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def get(path: str, **params: Any) -> Call:
    """A reading call; parameters that are None are left out."""
    return Call("GET", path, {name: value for name, value in params.items() if value is not None})


def write(path: str, body: Item, *, key: str | None = None, method: str = "POST") -> Call:
    """A writing call; `key` names it, else a new one is made."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or str(uuid.uuid4())}
    return Call(method, path, body=json.dumps(dict(body), default=str).encode(), headers=headers)


def score(texts: Sequence[str | Item]) -> Call:
    """Up to a thousand texts, or items with `id` and `text`."""
    items = [{"text": text} if isinstance(text, str) else dict(text) for text in texts]
    return write("/v1/score", {"items": items})


def feedback_lines(items: Sequence[Item], *, key: str) -> Call:
    """A part of a stream of feedback, as NDJSON."""
    body = b"".join(json.dumps(dict(item), default=str).encode() + b"\n" for item in items)
    return Call("POST", "/v1/feedback", body=body, headers={"Content-Type": _NDJSON, "Idempotency-Key": key})


def aggregate(
    name: str, *, start: datetime | str | None = None, end: datetime | str | None = None, **params: Any
) -> Call:
    """`/v1/sentiment`, `/v1/signals` or `/v1/kpis`; times are ISO 8601 or datetimes with a zone."""
    times = {"from": _iso(start), "to": _iso(end)}
    return get(f"/v1/{name}", **times, **params)


def _iso(time: datetime | str | None) -> str | None:
    return time.isoformat() if isinstance(time, datetime) else time


def asks_again(response: httpx.Response) -> bool:
    """Whether the same call may succeed later."""
    return response.status_code in _AGAIN


def asked_wait_s(response: httpx.Response) -> float:
    """What `Retry-After` says, in seconds; 0 without it."""
    said = response.headers.get("retry-after", "")
    return float(said) if said.isdigit() else 0.0


def answer_of(response: httpx.Response) -> Any:
    """The answer's JSON.

    Raises
    ------
    ApiError
        The answer is a refusal; its words are those of the problem.
    """
    if response.is_success:
        return response.json()
    try:
        problem = response.json()
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        problem, detail = None, response.reason_phrase
    raise ApiError(f"{response.status_code}: {detail}", status=response.status_code, problem=problem)


def unanswered(call: Call, error: httpx.HTTPError, tries: int) -> ApiError:
    """What to say when nothing answers."""
    return ApiError(
        f"{call.method} {call.path} was not answered in {tries} tries ({type(error).__name__}); "
        "is the service running, and the address right?"
    )


def batches(items: Iterable[Item]) -> Iterable[list[Item]]:
    """Items in requests of a thousand."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def add_up(answers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What became of the parts of a stream, taken together; places of rejected ones count on."""
    total: dict[str, Any] = {"received": 0, "stored": 0, "duplicates": 0, "quarantined": 0, "rejected": []}
    for answer in answers:
        first = total["received"]
        total["rejected"] += [{**r, "index": first + r["index"]} for r in answer["rejected"]]
        for name in ("received", "stored", "duplicates", "quarantined"):
            total[name] += answer[name]
    return total
