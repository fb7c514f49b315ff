"""Requests share batches: texts wait a moment for company, then go through the model together."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from api.problems import OverloadedError
from voc.classify.scorer import Scorer
from voc.records import Score


@dataclass(slots=True)
class _Job:
    texts: Sequence[str]
    done: asyncio.Future[list[Score]]
    scores: list[Score] = field(default_factory=list)


class BatchingScorer:
    """Scores texts of many requests in shared batches; refuses when too many wait.

    A request of many texts is taken in parts, and small requests go first, so that a bulk upload
    does not hold up a conversation.
    """

    def __init__(self, scorer: Scorer, *, max_batch: int, max_wait_ms: int, max_queue: int) -> None:
        self.scorer = scorer
        self._max_batch, self._max_wait_s, self._max_queue = max_batch, max_wait_ms / 1000, max_queue
        self._small: deque[_Job] = deque()
        self._large: deque[_Job] = deque()
        self._waiting = 0
        self._something = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        # One thread: onnxruntime already uses every core inside a call.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="score")

    def start(self) -> None:
        """Begin to work; call from within a running event loop."""
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Stop; what waits is cancelled."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for job in (*self._small, *self._large):
            job.done.cancel()
        self._thread.shutdown(wait=True)

    async def score(self, texts: Sequence[str]) -> list[Score]:
        """One score for each text, in order.

        Raises
        ------
        OverloadedError
            More texts wait than `max_queue` allows.
        """
        if not texts:
            return []
        if self._waiting and self._waiting + len(texts) > self._max_queue:
            raise OverloadedError(max(1, self._waiting // 200))
        job = _Job(texts, asyncio.get_running_loop().create_future())
        (self._small if len(texts) <= self._max_batch else self._large).append(job)
        self._waiting += len(texts)
        self._something.set()
        return await job.done

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._something.wait()
            if self._waiting < self._max_batch and self._max_wait_s:
                await asyncio.sleep(self._max_wait_s)
            parts = self._take()
            texts = [text for job, start, end in parts for text in job.texts[start:end]]
            self._waiting -= len(texts)
            if not self._small and not self._large:
                self._something.clear()
            try:
                scores = await loop.run_in_executor(self._thread, self.scorer.score, texts)
            except Exception as error:  # whatever it is, it belongs to those who wait
                for job, _, _ in parts:
                    if not job.done.done():
                        job.done.set_exception(error)
                continue
            self._hand_out(parts, scores)

    def _take(self) -> list[tuple[_Job, int, int]]:
        """Whole small requests first, then the next part of a large one."""
        room = self._max_batch
        parts: list[tuple[_Job, int, int]] = []
        while self._small and (not parts or len(self._small[0].texts) <= room):
            job = self._small.popleft()
            parts.append((job, 0, len(job.texts)))
            room -= len(job.texts)
        if self._large and room > 0:
            job = self._large[0]
            start = len(job.scores)
            end = min(len(job.texts), start + room)
            parts.append((job, start, end))
            if end == len(job.texts) or job.done.done():
                self._large.popleft()
        return parts

    @staticmethod
    def _hand_out(parts: list[tuple[_Job, int, int]], scores: list[Score]) -> None:
        at = 0
        for job, start, end in parts:
            job.scores += scores[at : at + end - start]
            at += end - start
            if len(job.scores) == len(job.texts) and not job.done.done():
                job.done.set_result(job.scores)
