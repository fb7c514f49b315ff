"""Scores for everything in the store that one bundle has not scored yet."""

from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from voc.classify.scorer import Scorer
from voc.store.engine import transaction
from voc.store.scores import fetch_unscored, save_scores

BATCH = 512
Progress = Callable[[int], None]


def score_stored(
    engine: Engine,
    scorer: Scorer,
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
        last_id = batch[-1].id
        n_scored += len(batch)
        if progress:
            progress(n_scored)
    return n_scored
