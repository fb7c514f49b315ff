"""`GET /v1/models`: the model that serves, and those that scored what is stored."""

import asyncio
from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.caching import NOT_MODIFIED, answer
from api.problems import responses
from api.state import StateDep
from voc.store.engine import transaction
from voc.store.scores import StoredModel, list_models

router = APIRouter(tags=["models"])


class ServingModel(BaseModel):
    """The bundle that this service scores with."""

    id: str = Field(examples=["voc-small/1.0.0"])
    operating_point: str = Field(examples=["balanced"])
    operating_points: list[str]
    thresholds: dict[str, float] = Field(description="of the operating point, a label")
    max_tokens: int = Field(description="of one window; a longer text is windowed, never cut")
    created_at: str | None


class KnownModel(BaseModel):
    """A model whose scores are stored."""

    id: str
    signals: list[str]
    first_known_at: datetime
    last_scored_at: datetime | None


class ModelsResponse(BaseModel):
    """What serves, and what served."""

    serving: ServingModel
    known: list[KnownModel] = Field(description="latest to score first")


@router.get("/models", response_model=ModelsResponse, responses={**responses(401, 403, 503), **NOT_MODIFIED})
async def get_models(request: Request, state: StateDep) -> Response:
    """The model behind new scores, with its thresholds, and all models that have scored."""

    def read() -> list[StoredModel]:
        with transaction(state.engine) as conn:
            return list_models(conn)

    scorer = state.scorer.scorer
    known = await asyncio.to_thread(read)
    serving = ServingModel(
        id=scorer.bundle.id, operating_point=scorer.point.name,
        operating_points=list(scorer.bundle.operating_points), thresholds=scorer.point.thresholds,
        max_tokens=scorer.bundle.max_tokens, created_at=scorer.bundle.manifest.get("created_at"),
    )  # fmt: skip
    found = [KnownModel.model_validate(model, from_attributes=True) for model in known]
    return answer(request, ModelsResponse(serving=serving, known=found))
