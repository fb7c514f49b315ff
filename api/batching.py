"""Requests share batches: windows of texts wait a moment for company, then go through the model together."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from api.problems import OverloadedError
from voc.classify.engine import Logits, concatenate
from voc.classify.scorer import Prepared, Scorer
from voc.classify.windows import Window, pack_windows
from voc.records import Score

T = TypeVar("T")
LIVE_TEXTS: Final = 16  # a request of at most so many texts is live: somebody waits for it
LIVE_CHARS: Final = 20_000  # and of so many characters; a longer one is a document, and bulk
_CANDIDATES: Final = 256  # windows that are looked through for a batch
_FIRST_RATE: Final = 5_000.0  # tokens/s assumed until some were measured
_MEMORY: Final = 0.1  # weight of the newest batch in the measured rate


@dataclass(slots=True, eq=False)
class _Job:
    """One request's texts: its windows are answered one by one, in any order."""

    prepared: Prepared
    done: asyncio.Future[list[Logits]]
    parts: list[Logits | None] = field(init=False)
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = len(self.prepared.windows)
        self.parts = [None] * self.left


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """One window of one job."""

    job: _Job
    place: int
    window: Window


class _Lane:
    """Windows in order of arrival, with how many tokens wait."""

    def __init__(self) -> None:
        self.queue: deque[_Waiting] = deque()
        self.tokens = 0

    def put(self, job: _Job) -> None:
        for place, window in enumerate(job.prepared.windows):
            self.queue.append(_Waiting(job, place, window))
            self.tokens += len(window.ids)

    def take(self, token_budget: int) -> list[_Waiting]:
        """The batch of like length, within the budget, that holds the window that waited longest."""
        first = [self.queue.popleft() for _ in range(min(_CANDIDATES, len(self.queue)))]
        batches = pack_windows([waiting.window for waiting in first], token_budget=token_budget)
        chosen = next(batch for batch in batches if 0 in batch)
        kept = set(chosen)
        self.queue.extendleft(reversed([w for i, w in enumerate(first) if i not in kept]))
        taken = [first[i] for i in chosen]
        self.tokens -= sum(len(waiting.window.ids) for waiting in taken)
        return taken


class BatchingScorer:
    """Scores texts of many requests in shared batches; live before bulk; refuses what would wait too long.

    A batch holds windows of like length up to a token budget. A bulk request gives way to live ones
    between any two batches. How long a request would wait is told from the tokens before it and the
    measured rate; one that would wait longer than its lane allows is refused at once.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        token_budget: int,
        max_wait_ms: int,
        max_live_delay_ms: int,
        max_bulk_delay_s: int,
    ) -> None:
        self.scorer = scorer
        self._token_budget, self._max_wait_s = token_budget, max_wait_ms / 1000
        self._max_delay_s = {True: max_live_delay_ms / 1000, False: float(max_bulk_delay_s)}
        self._live, self._bulk = _Lane(), _Lane()
        self._rate = _FIRST_RATE
        self._running = 0  # tokens in the model
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        # One thread calls the model: onnxruntime already uses every core inside a call.
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._side_thread = ThreadPoolExecutor(1, thread_name_prefix="prepare")

    def start(self) -> None:
        """Begin to work; call from within a running event loop."""
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Stop; what waits is cancelled."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for waiting in (*self._live.queue, *self._bulk.queue):
            waiting.job.done.cancel()
        self._model_thread.shutdown(wait=True)
        self._side_thread.shutdown(wait=True)

    def delay_s(self, *, live: bool) -> float:
        """How long what arrives now would wait for its turn."""
        before = self._running + self._live.tokens + (0 if live else self._bulk.tokens)
        return before / self._rate

    async def score(
        self, texts: Sequence[str], *, live: bool | None = None, must: bool = False
    ) -> list[Score]:
        """One score for each text, in order.

        Parameters
        ----------
        live : before bulk; None: if it has at most `LIVE_TEXTS` texts and `LIVE_CHARS` characters
        must : never refused; for the service's own background work

        Raises
        ------
        OverloadedError
            It would wait longer than its lane allows.
        """
        if not texts:
            return []
        if live is None:
            live = len(texts) <= LIVE_TEXTS and sum(map(len, texts)) <= LIVE_CHARS
        if not must:
            self._admit(live=live)
        if live:
            prepared = self.scorer.prepare(texts)
        else:
            prepared = await self._aside(self.scorer.prepare, texts)
        if not prepared.windows:
            return self.scorer.finish(prepared, self.scorer.model.engine.run([]))
        job = _Job(prepared, asyncio.get_running_loop().create_future())
        (self._live if live else self._bulk).put(job)
        self._arrived.set()
        logits = concatenate(await job.done)
        if live:
            return self.scorer.finish(prepared, logits)
        return await self._aside(self.scorer.finish, prepared, logits)

    def _admit(self, *, live: bool) -> None:
        delay = self.delay_s(live=live)
        if delay > self._max_delay_s[live]:
            raise OverloadedError(max(1, round(delay)))

    async def _aside(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._side_thread, work, *arguments)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        n_last = 0
        while True:
            if not self._live.queue and not self._bulk.queue:
                self._arrived.clear()
                await self._arrived.wait()
                if self._live.queue:
                    await self._gather(n_last)
            live = bool(self._live.queue)
            batch = (self._live if live else self._bulk).take(self._token_budget)
            batch = [waiting for waiting in batch if not waiting.job.done.done()]  # its caller may be gone
            if not batch:
                continue
            n_last = len(batch) if live else 0
            windows = [waiting.window for waiting in batch]
            self._running = sum(len(window.ids) for window in windows)
            began = time.perf_counter()
            try:
                logits = await loop.run_in_executor(
                    self._model_thread, self.scorer.model.engine.run_batch, windows
                )
            except Exception as error:  # whatever it is, it belongs to those who wait
                for waiting in batch:
                    if not waiting.job.done.done():
                        waiting.job.done.set_exception(error)
                continue
            finally:
                running, self._running = self._running, 0
            rate = running / max(1e-6, time.perf_counter() - began)
            self._rate += _MEMORY * (rate - self._rate)
            _hand_out(batch, logits)

    async def _gather(self, n_expected: int) -> None:
        """Wait until as many are here as came last time, but no longer than `max_wait_ms`."""
        until = time.perf_counter() + self._max_wait_s
        while len(self._live.queue) < n_expected and (left := until - time.perf_counter()) > 0:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                return


def _hand_out(batch: Sequence[_Waiting], logits: Logits) -> None:
    for row, waiting in enumerate(batch):
        job = waiting.job
        job.parts[waiting.place] = Logits(
            logits.sentiment[row : row + 1],
            logits.binary[row : row + 1],
            logits.embedding[row : row + 1],
            [logits.evidence[row]],
        )
        job.left -= 1
        if job.left == 0 and not job.done.done():
            job.done.set_result([part for part in job.parts if part is not None])


class BulkLane:
    """The batching scorer as threads see it: `score` waits in the bulk lane and is never refused."""

    def __init__(self, batching: BatchingScorer, loop: asyncio.AbstractEventLoop) -> None:
        self._batching, self._loop = batching, loop
        self.bundle = batching.scorer.bundle

    def score(self, texts: Sequence[str]) -> list[Score]:
        """One score for each text, in order; call from a thread other than the loop's."""
        waiting = self._batching.score(texts, live=False, must=True)
        return asyncio.run_coroutine_threadsafe(waiting, self._loop).result()
