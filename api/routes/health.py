"""Is it alive, and can it serve?"""

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import text

from api.problems import responses
from api.state import StateDep
from voc.store.engine import transaction

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """`ok`, and what serves."""

    status: str
    model: str | None = None


@router.get("/healthz")
async def healthz() -> Health:
    """The process answers. Says nothing of the database."""
    return Health(status="ok")


@router.get("/readyz", responses=responses(503))
async def readyz(state: StateDep) -> Health:
    """The database answers and a bundle is loaded; else 503."""

    def ask() -> None:
        with transaction(state.engine) as conn:
            conn.execute(text("SELECT 1"))

    await asyncio.to_thread(ask)
    return Health(status="ok", model=state.scorer.scorer.bundle.id)
