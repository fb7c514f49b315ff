"""`POST /v1/score`: stateless scoring."""

from fastapi import APIRouter

from api.problems import responses
from api.schemas import ScoreOut, ScoreRequest, ScoreResponse
from api.state import StateDep
from voc.errors import InputError

router = APIRouter(tags=["score"])


@router.post("/score", responses=responses(401, 403, 413, 422, 429, 503))
async def score(body: ScoreRequest, state: StateDep) -> ScoreResponse:
    """Label each text and say how sure the model is. One result for each item, in the same order.

    A text that is empty, not English or too long comes back with `supported` false and the reason;
    its neighbours are not affected. Nothing is stored.
    """
    scorer = state.scorer.scorer
    if body.operating_point not in (None, scorer.point.name):
        raise InputError(
            f"this service runs at operating point '{scorer.point.name}'",
            field="operating_point",
            remedy="leave it out",
        )
    scores = await state.scorer.score([item.text for item in body.items])
    return ScoreResponse(
        model=scorer.bundle.id,
        operating_point=scorer.point.name,
        results=[ScoreOut.of(item.id, item.text, s) for item, s in zip(body.items, scores, strict=True)],
    )
