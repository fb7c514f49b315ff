"""The application: settings, state, routes and errors put together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware

from api import problems
from api.auth import require_caller
from api.batching import BatchingScorer
from api.routes import feedback, health, insight, score
from api.settings import Settings
from api.state import State
from voc.classify.bundle import load_bundle
from voc.classify.scorer import Scorer
from voc.cli.database import open_store
from voc.cli.score import default_bundle

_DESCRIPTION = """
Every complaint, traced to the process step that causes it. Times are ISO 8601 in UTC; errors are
problem details (RFC 9457); every answer that holds scores names the model.
"""


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
            max_batch=settings.max_batch,
            max_wait_ms=settings.max_wait_ms,
            max_queue=settings.max_queue,
        )
        app.state.voc = State(settings, engine, batching)
        app.state.voc.start()
        yield
        await app.state.voc.stop()

    app = FastAPI(title="Voice of the customer", version="1", description=_DESCRIPTION, lifespan=lifespan)
    app.add_middleware(GZipMiddleware, minimum_size=1024)
    problems.install(app)
    _limit_body(app, settings.max_body_bytes)
    closed = [Depends(require_caller)]
    app.include_router(health.router)
    for router in (score.router, feedback.router, insight.router):
        app.include_router(router, prefix="/v1", dependencies=closed)
    return app


def _limit_body(app: FastAPI, limit: int) -> None:
    @app.middleware("http")
    async def refuse_large(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length")
        if length is not None and length.isdigit() and int(length) > limit:
            return problems.problem(
                request, 413, f"the body is {int(length):,} bytes; the limit is {limit:,}"
            )
        response = await call_next(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
