"""`/v1/conversations`: scored while they go on, by request or by socket."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from api.auth import refusal
from api.conversations import StateOut, TurnsIn, TurnsOut, get_state, take_turns
from api.problem import Problem
from api.problems import responses
from api.schemas import NO_NUL
from api.state import State, StateDep
from voc.errors import InputError, VocError

router = APIRouter(prefix="/conversations", tags=["conversations"])
live = APIRouter(prefix="/conversations", tags=["conversations"])
Id = Annotated[str, Path(min_length=1, max_length=180, pattern=NO_NUL, examples=["chat-881"])]
Source = Annotated[str, Query(min_length=1, max_length=200, pattern=NO_NUL)]
_POLICY_VIOLATION = 1008


@router.post("/{id}/turns", responses=responses(400, 401, 403, 413, 422, 503))
async def post_turns(id: Id, body: TurnsIn, state: StateDep) -> TurnsOut:
    """Store turns and answer with the state of the conversation. Turns may come in any order, again, or
    late: the state is always that of all turns known, in their order."""
    return await take_turns(state, id, body)


@router.get("/{id}", responses=responses(401, 403, 404, 422, 503))
async def get_conversation(id: Id, state: StateDep, source: Source = "live") -> StateOut:
    """Where a conversation stands."""
    return await get_state(state, source, id)


@live.websocket("/{id}/live")
async def talk(socket: WebSocket, id: Id) -> None:
    """Each message is a `TurnsIn`; each answer a `TurnsOut`, or a problem, after which the socket stays open."""
    state: State = socket.app.state.voc
    scheme, _, given = socket.headers.get("authorization", "").partition(" ")
    host = socket.client.host if socket.client else ""
    if refused := refusal(state, given if scheme.lower() == "bearer" else "", host):
        await socket.close(_POLICY_VIOLATION, reason=refused.detail[:120])
        return
    await socket.accept()
    try:
        while True:
            message = await socket.receive_text()
            await socket.send_text(await _answer(state, id, message))
    except WebSocketDisconnect:
        return


async def _answer(state: State, conversation: str, message: str) -> str:
    try:
        body = TurnsIn.model_validate_json(message)
        return (await take_turns(state, conversation, body)).model_dump_json(by_alias=True)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        wrong = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return _problem(conversation, 422, "Unprocessable Content", wrong)
    except InputError as error:
        return _problem(conversation, 422, "Unprocessable Content", str(error))
    except VocError as error:
        return _problem(conversation, 503, "Service Unavailable", str(error))


def _problem(conversation: str, status: int, title: str, detail: str) -> str:
    place = f"/v1/conversations/{conversation}/live"
    return Problem(title=title, status=status, detail=detail, instance=place).model_dump_json()
