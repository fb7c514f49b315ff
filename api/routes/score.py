"""`POST /v1/score`: stateless scoring."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError
from pydantic_core import to_json

from api.openapi import body_of, lines_too
from api.payloads import NotJson, is_ndjson, read_json, read_lines
from api.problem import FieldError
from api.problems import responses
from api.schemas import ScoreBatch, ScoreItem, ScoreResponse, invalid_out, score_out
from api.state import State, StateDep
from api.streams import LineStream, lines_of, wants_ndjson
from voc.errors import ConflictError

router = APIRouter(tags=["score"])
_LINE = {"id": "r-1", "text": "I was charged twice and nobody answers!"}
Point = Annotated[
    str | None,
    Query(max_length=100, description="must be the one that the service runs at; else an error"),
]


@router.post(
    "/score",
    response_model=ScoreResponse,
    responses={
        **responses(400, 401, 403, 409, 413, 415, 422, 429, 503),
        **lines_too("what is under `results`", {"id": "r-1", "supported": True}),
    },
    openapi_extra=body_of(ScoreBatch, {"items": [_LINE]}, ndjson=_LINE),
)
async def score(request: Request, state: StateDep, operating_point: Point = None) -> Response:
    """Label each text and say how sure the model is. One result for each item, in the same order.

    A text that is empty, not English or too long, and an item that is no text, come back with
    `supported` false and the reason; their neighbours are not affected. Nothing is stored. NDJSON in
    gives NDJSON out, line by line while lines still come in, of any number.
    """
    scorer = state.scorer.scorer
    if operating_point not in (None, scorer.point.name):
        raise ConflictError(
            f"this service runs at operating point '{scorer.point.name}'",
            field="operating_point",
            remedy="leave it out",
        )
    if is_ndjson(request.headers.get("content-type")):
        return LineStream(request, _lines(request, state))
    batch = await read_json(request, ScoreBatch)
    results = await _score(batch.items, state)
    if wants_ndjson(request):
        return Response(lines_of(results), media_type=LineStream.media_type)
    answer = {"model": scorer.bundle.id, "operating_point": scorer.point.name, "results": results}
    return Response(to_json(answer), media_type="application/json")


async def _lines(request: Request, state: State) -> AsyncIterator[bytes]:
    first = True
    async for items in read_lines(request):
        # Admitted once: what was begun is not refused half-way, it waits its turn.
        yield lines_of(await _score(items, state, must=not first))
        first = False


async def _score(items: list[Any], state: State, *, must: bool = False) -> list[dict[str, Any]]:
    parsed = [_parse(item) for item in items]
    good = [item for item in parsed if isinstance(item, ScoreItem)]
    scores = iter(await state.scorer.score([item.text for item in good], must=must))
    model = state.scorer.scorer.bundle.id
    return [
        score_out(item.id, item.text, next(scores))
        if isinstance(item, ScoreItem)
        else invalid_out(_name(raw), item, model)
        for raw, item in zip(items, parsed, strict=True)
    ]


def _parse(item: Any) -> ScoreItem | FieldError:
    if isinstance(item, NotJson):
        return FieldError(field="", detail=item.detail)
    try:
        return ScoreItem.model_validate(item)
    except ValidationError as error:
        first = error.errors()[0]
        return FieldError(field=".".join(map(str, first["loc"])), detail=first["msg"])


def _name(item: Any) -> str | None:
    name = item.get("id") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None
