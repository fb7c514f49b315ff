"""Parts of the API that need no service: cursors, figures, lines, batches and who goes first."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.batching import BatchingScorer
from api.figures import WEIGHTS, KpiPoint, SentimentPoint
from api.paging import read_cursor, write_cursor
from api.payloads import NotJson, is_ndjson, read_lines
from api.problems import OverloadedError
from voc.classify.engine import Logits
from voc.classify.windows import Window
from voc.errors import NotFoundError
from voc.store.aggregates import Cell

ROW = np.zeros((1, 1), dtype=np.float32)


class EchoEngine:
    """Says how long each window is; notes what was batched, and waits where told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def run_batch(self, windows):
        lengths = np.array([[len(w.ids)] for w in windows], dtype=np.float32)
        self.batches.append([len(w.ids) for w in windows])
        return Logits(lengths, lengths, lengths, [ROW] * len(windows))


class EchoScorer:
    """One window a text, as long as the text; the score of a text is its window's length."""

    def __init__(self) -> None:
        self.bundle = None
        self.model = SimpleNamespace(engine=EchoEngine())

    def prepare(self, texts):
        windows = [Window(i, [0] * len(t), []) for i, t in enumerate(texts)]
        return SimpleNamespace(texts=list(texts), windows=windows)

    def finish(self, prepared, logits):
        return [int(x) for x in logits.sentiment[:, 0]]


def _batching(**changes):
    limits = {"token_budget": 40, "max_wait_ms": 2, "max_live_delay_ms": 100, "max_bulk_delay_s": 1}
    return BatchingScorer(EchoScorer(), **limits | changes)


def _run(work):
    async def inside():
        batching = _batching()
        batching.start()
        try:
            return await work(batching)
        finally:
            await batching.stop()

    return asyncio.run(inside())


@settings(deadline=None)  # threads take their time on a busy machine
@given(st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=30), min_size=1, max_size=12))
def test_every_caller_gets_its_own_answers_in_order_however_requests_are_batched(requests):
    async def work(batching):
        return await asyncio.gather(*(batching.score(["x" * n for n in r], must=True) for r in requests))

    assert _run(work) == requests


def test_batches_hold_the_budget_and_texts_of_like_length():
    async def work(batching):
        await asyncio.gather(*(batching.score(["x" * n], must=True) for n in [3, 20, 3, 20, 3, 3, 19]))
        return batching.scorer.model.engine.batches

    batches = _run(work)

    assert all(max(batch) * len(batch) <= 40 for batch in batches)
    assert [20, 20] in [sorted(batch) for batch in batches] or [19, 20] in [sorted(b) for b in batches]


def test_live_goes_before_bulk_that_came_earlier():
    async def work(batching):
        bulk = asyncio.create_task(batching.score(["x" * 40] * 50))
        await asyncio.sleep(0)
        while not batching._bulk.queue:
            await asyncio.sleep(0.001)
        await batching.score(["y" * 7])
        left = len(batching._bulk.queue)
        await bulk
        return left

    assert _run(work) > 0


def test_what_would_wait_too_long_is_refused_and_live_is_still_let_in():
    async def work():
        batching = _batching()  # not started: nothing is worked off
        waiting = [asyncio.create_task(batching.score(["x" * 60] * 100)) for _ in range(1)]
        while not batching._bulk.queue:
            await asyncio.sleep(0.001)
        with pytest.raises(OverloadedError) as refused:
            await batching.score(["x" * 60] * 100)
        live = asyncio.create_task(batching.score(["x"]))
        await asyncio.sleep(0)
        admitted = len(batching._live.queue)
        await batching.stop()
        await asyncio.gather(*waiting, live, return_exceptions=True)
        return refused.value.retry_after_s, admitted

    retry_after_s, admitted = asyncio.run(work())

    assert retry_after_s >= 1
    assert admitted == 1


@given(st.tuples(st.integers(0, 2**40), st.floats(allow_nan=False), st.text(max_size=20)))
def test_a_cursor_comes_back_as_it_was(place):
    assert read_cursor(write_cursor(place), (int, float, str)) == place


@pytest.mark.parametrize(
    "cursor", ["", "x", "e30", "bnVsbA", write_cursor((-1,)), write_cursor(("a",)), "[" * 400]
)
def test_what_is_no_cursor_of_ours_begins_no_page(cursor):
    with pytest.raises(NotFoundError, match="no page begins"):
        read_cursor(cursor, (int,))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=8))
def test_lines_are_the_same_however_the_body_is_cut(pieces):
    body = b'{"a": 1}\n\noops\n"b"\r\n[2]'
    cuts = sorted({len(piece) % len(body) for piece in pieces})
    parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    async def stream():
        for part in parts:
            yield part

    async def read():
        return [value async for chunk in read_lines(SimpleNamespace(stream=stream)) for value in chunk]

    values = asyncio.run(read())
    assert [v for v in values if not isinstance(v, NotJson)] == [{"a": 1}, "b", [2]]
    assert isinstance(values[1], NotJson)


def test_media_types_of_lines_are_known_with_parameters_and_in_capitals():
    assert is_ndjson("Application/X-NDJSON; charset=utf-8")
    assert not is_ndjson("application/json")
    assert not is_ndjson(None)


SAID = {"n": 10, "sum_score": -4.0, "sum_squares": 4.0, "n_negative": 6, "n_neutral": 2, "n_positive": 2,
        "n_frustrated": 3}  # fmt: skip
TICKED = {"n_nps": 10, "n_promoters": 5, "n_detractors": 2, "n_csat": 4, "n_satisfied": 3, "sum_csat": 16.0,
          "squares_csat": 66.0, "n_ces": 0, "sum_ces": 0.0, "squares_ces": 0.0}  # fmt: skip


def test_sentiment_has_its_mean_and_shares_with_intervals():
    point = SentimentPoint.of(Cell(None, {"channel": "web"}, False, SAID), "small/1")

    assert point.mean == pytest.approx(-0.4)
    # by hand: variance (0.4 - 0.16) * 10 / 9, half-width 1.96 * sqrt(0.26667 / 10)
    assert point.mean_low == pytest.approx(-0.4 - 0.32007, abs=1e-4)
    assert point.negative.low < 0.6 < point.negative.high


def test_the_experience_score_is_the_sum_of_its_parts_and_missing_ones_leave_their_weight():
    point = KpiPoint.of(Cell(None, {}, False, TICKED), Cell(None, {}, False, SAID))

    parts = {part.part: part for part in point.experience.parts}
    assert set(parts) == {"sentiment", "calm", "nps", "csat"}
    assert sum(part.weight for part in parts.values()) == pytest.approx(1)
    assert parts["csat"].weight == pytest.approx(WEIGHTS["csat"] / 0.9)
    assert point.experience.score == pytest.approx(sum(part.points for part in parts.values()))
    # by hand: sentiment 30, calm 70, NPS 30 -> 65, CSAT mean 4 -> 75
    assert point.experience.score == pytest.approx((0.3 * 30 + 0.2 * 70 + 0.2 * 65 + 0.2 * 75) / 0.9)
    assert point.nps.value == pytest.approx(30)
    assert point.ces is None


def test_a_group_with_too_few_customers_shows_nothing():
    point = KpiPoint.of(Cell(None, {}, True, {}), None)

    assert point.withheld
    assert (point.nps, point.csat, point.ces, point.experience) == (None, None, None, None)
