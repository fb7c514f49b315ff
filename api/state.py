"""What the running service holds: settings, database, batching scorer, the worker that scores the store."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Annotated

import structlog
from fastapi import Depends, Request
from sqlalchemy import Engine

from api.batching import BatchingScorer, BulkLane
from api.settings import Settings
from voc.pipeline.scoring import score_stored

log = structlog.get_logger()
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0


@dataclass(slots=True)
class State:
    """Lives as long as the application."""

    settings: Settings
    engine: Engine
    scorer: BatchingScorer
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _worker: asyncio.Task[None] | None = None
    _batch: asyncio.Future[int] | None = None
    _stopping: bool = False
    _loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """Say from any thread that something arrived."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.arrived.set)

    def start(self) -> None:
        """Start the scorer and the worker; what an earlier run left unscored is scored first."""
        self._loop = asyncio.get_running_loop()
        self.scorer.start()
        self.arrived.set()
        self._worker = asyncio.create_task(self._score_arrivals())

    async def stop(self) -> None:
        """Let the batch in hand finish, then stop."""
        self._stopping = True
        if self._batch is not None:
            await asyncio.wait([self._batch])
        if self._worker:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        await self.scorer.stop()
        self.engine.dispose()

    async def _score_arrivals(self) -> None:
        wait_s = _FIRST_WAIT_S
        bulk = BulkLane(self.scorer, asyncio.get_running_loop())
        while True:
            await self.arrived.wait()
            self.arrived.clear()
            try:
                self._batch = asyncio.ensure_future(
                    asyncio.to_thread(score_stored, self.engine, bulk, stop=lambda: self._stopping)
                )
                n = await asyncio.shield(self._batch)
                if n:
                    log.info("scored", n=n, model=self.scorer.scorer.bundle.id)
                wait_s = _FIRST_WAIT_S
            except Exception as error:  # the database may be back in a moment; nothing is lost
                log.warning("scoring waits", kind=type(error).__name__, seconds=wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
                self.arrived.set()


def get_state(request: Request) -> State:
    """The state of the application that serves `request`."""
    state: State = request.app.state.voc
    return state


StateDep = Annotated[State, Depends(get_state)]
