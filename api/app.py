"""The application: settings, state, routes and errors put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from api import openapi, problems
from api.auth import require_caller
from api.batching import BatchingScorer
from api.bodies import Bodies
from api.routes import (
    aggregates,
    changes,
    conversations,
    events,
    feedback,
    health,
    models,
    root_causes,
    score,
)
from api.schemas import FeedbackBatch, FeedbackItem, ScoreBatch, ScoreItem
from api.settings import Settings
from api.state import State
from voc.classify.bundle import load_bundle
from voc.classify.scorer import Scorer
from voc.cli.database import open_store
from voc.cli.score import default_bundle

_DESCRIPTION = """
Every complaint, traced to the process step that causes it. Times are ISO 8601 in UTC; errors are
problem details (RFC 9457); every answer that holds scores names the model. Bodies may be gzipped;
lists come in pages (`next` of one is `cursor` of the next).
"""
_COMPRESS_FROM = 4096  # bytes; less is sent sooner than packed


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; nothing is opened before it starts."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        bundle = load_bundle(settings.bundle or default_bundle())
        scorer = Scorer(bundle, operating_point=settings.operating_point)
        engine = open_store()
        batching = BatchingScorer(
            scorer,
            token_budget=settings.token_budget,
            max_wait_ms=settings.max_wait_ms,
            max_live_delay_ms=settings.max_live_delay_ms,
            max_bulk_delay_s=settings.max_bulk_delay_s,
        )
        app.state.voc = State(settings, engine, batching)
        app.state.voc.start()
        yield
        await app.state.voc.stop()

    app = FastAPI(title="Voice of the customer", version="1", description=_DESCRIPTION, lifespan=lifespan)
    app.add_middleware(GZipMiddleware, minimum_size=_COMPRESS_FROM, compresslevel=5)
    app.add_middleware(Bodies, limit=settings.max_body_bytes)
    problems.install(app)
    closed = [Depends(require_caller), Depends(openapi.refuse_unknown_parameters)]
    app.include_router(health.router)
    for router in (
        score.router, feedback.router, events.router, changes.router, aggregates.router, root_causes.router,
        models.router, conversations.router,
    ):  # fmt: skip
        app.include_router(router, prefix="/v1", dependencies=closed)
    app.include_router(conversations.live, prefix="/v1")  # a socket says for itself who it is
    openapi.describe(
        app, [ScoreBatch, ScoreItem, FeedbackBatch, FeedbackItem, events.EventItem, changes.ChangeItem]
    )
    return app
