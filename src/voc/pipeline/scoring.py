"""Scores for everything in the store that one bundle has not scored yet."""

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Engine

from voc.classify.bundle import Bundle
from voc.records import Score
from voc.store.engine import transaction
from voc.store.rollups import fold_rollups
from voc.store.scores import fetch_unscored, save_scores

BATCH = 512
Progress = Callable[[int], None]


class TextScorer(Protocol):
    """What scores texts: `classify.scorer.Scorer`, or a service's place in a queue before one."""

    @property
    def bundle(self) -> Bundle:
        """The bundle that scores."""

    def score(self, texts: Sequence[str]) -> list[Score]:
        """One score for each text, in order."""


def score_stored(
    engine: Engine,
    scorer: TextScorer,
    *,
    sources: Sequence[str] | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Score what this bundle has not scored; return how many. Stopped half-way, it goes on from there.

    `stop` is asked before each batch.

    Each batch is one transaction: a crash loses at most the batch in hand, and never half of it.
    """
    n_scored = 0
    last_id = 0
    while not stop():
        with transaction(engine) as conn:
            batch = fetch_unscored(conn, scorer.bundle.id, after_id=last_id, limit=BATCH, sources=sources)
        if not batch:
            return n_scored
        scores = scorer.score([item.text for item in batch])
        with transaction(engine) as conn:
            save_scores(conn, scorer.bundle.id, zip((item.id for item in batch), scores, strict=True))
        with transaction(engine) as conn:
            fold_rollups(conn)
        last_id = batch[-1].id
        n_scored += len(batch)
        if progress:
            progress(n_scored)
    return n_scored
