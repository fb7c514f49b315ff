"""How long a dashboard waits for its figures, and whether that grows with the data.

    python -m evaluation.aggregates --rows 100000 1000000

Fills a database of its own with made-up scored feedback over a year (six sources, four channels, three
segments, five regions), folds the rollups, and times what dashboards ask, each question many times.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, text

from evaluation.page import print_table
from voc.store.aggregates import Query, ratings, sentiment, signals
from voc.store.engine import connect, transaction
from voc.store.rollups import fold_rollups
from voc.store.schema import upgrade
from voc.store.scores import save_model

MODEL: Final = "made-up/1"
_END: Final = datetime(2026, 1, 1, tzinfo=UTC)
_QUARTER: Final = datetime(2025, 10, 1, tzinfo=UTC)
QUESTIONS: Final = {
    "the year by month": Query("month"),
    "the year by week and channel": Query("week", ("channel",)),
    "a quarter by day and region, one segment": Query(
        "day", ("region",), {"segment": ["segment 1"]}, _QUARTER, _END
    ),
    "a quarter by day, source, channel and region": Query(
        "day", ("source", "channel", "region"), {}, _QUARTER, _END
    ),
    "a week by hour": Query("hour", (), {}, datetime(2025, 12, 24, tzinfo=UTC), _END),
    "now against everything": Query(group_by=("source",)),
}


@contextmanager
def filled(n_rows: int) -> Iterator[Engine]:
    """A database with so many scored feedbacks, all folded."""
    home = Path(tempfile.mkdtemp(prefix="voc-aggregates-"))
    home.chmod(0o711)
    engine = connect(None, home / "pg")
    try:
        upgrade(engine)
        with transaction(engine) as conn:
            _fill(conn, n_rows)
        while True:
            with transaction(engine) as conn:
                if not fold_rollups(conn, batch=100_000):
                    break
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("VACUUM ANALYZE"))
        yield engine
    finally:
        engine.dispose()
        shutil.rmtree(home, ignore_errors=True)


def _fill(conn: Connection, n_rows: int) -> None:
    model_id = save_model(conn, MODEL)
    conn.execute(
        text("INSERT INTO source (name, kind) SELECT 'source ' || i, 'survey' FROM generate_series(0, 5) i")
    )
    conn.execute(
        text(
            """
            INSERT INTO feedback (source, kind, external_id, text, text_hash, occurred_at, customer_ref, channel,
                segment, region, nps, csat)
            SELECT 'source ' || i % 6, 'survey', i::text, 'x', decode(md5(i::text), 'hex'),
                timestamptz '2025-01-01 00:00Z' + random() * interval '365 days', 'c' || i / 3,
                'channel ' || floor(random() * 4), 'segment ' || floor(random() * 3),
                'region ' || floor(random() * 5), CASE WHEN i % 3 = 0 THEN floor(random() * 11) END,
                CASE WHEN i % 4 = 0 THEN 1 + floor(random() * 5) END
            FROM generate_series(1, :n) i
            """
        ),
        {"n": n_rows},
    )
    conn.execute(
        text(
            """
            INSERT INTO score (feedback_id, model_id, supported, sentiment, sentiment_score, frustration,
                frustration_flag, flags, n_windows)
            SELECT id, :model_id, true, (ARRAY['negative', 'neutral', 'positive'])[1 + id % 3], random() * 2 - 1,
                random(), random() < 0.1,
                CASE WHEN random() < 0.3 THEN ARRAY['delay'] WHEN random() < 0.2 THEN ARRAY['privacy', 'safety']
                    ELSE '{}' END, 1
            FROM feedback
            """
        ),
        {"model_id": model_id},
    )


def time_questions(engine: Engine, *, repeats: int) -> dict[str, float]:
    """Median milliseconds of each question: what `/v1/sentiment`, `/v1/signals` and `/v1/kpis` read."""
    found = {}
    with transaction(engine) as conn:
        for name, query in QUESTIONS.items():
            for path, ask in (
                ("sentiment", lambda q=query: sentiment(conn, MODEL, q)),
                ("signals", lambda q=query: signals(conn, MODEL, q)),
                ("ratings", lambda q=query: ratings(conn, q)),
            ):
                took = []
                for _ in range(repeats):
                    began = time.perf_counter()
                    ask()
                    took.append(1000 * (time.perf_counter() - began))
                found[f"{path}: {name}"] = statistics.median(took)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    columns = []
    for n_rows in args.rows:
        began = time.perf_counter()
        with filled(n_rows) as engine:
            filling = time.perf_counter() - began
            columns.append({"filled and folded, s": filling} | time_questions(engine, repeats=args.repeats))
    print_table(
        ["median ms", *(f"{n:,} feedbacks" for n in args.rows)],
        [[name, *(f"{column[name]:,.1f}" for column in columns)] for name in columns[0]],
    )


if __name__ == "__main__":
    main()
