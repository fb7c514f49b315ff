"""Rollups kept up to date: what changed is folded into sums by hour, day and month."""

from typing import Final

from sqlalchemy import Connection, text

BATCH: Final = 5_000
_LOCK: Final = 0x726F6C  # "rol"; one folds at a time
_DIMS: Final = {"source": 1, "channel": 2, "segment": 4, "region": 8, "step": 16, "owner": 32}
_KEY: Final = ("model_id", "level", "dims", "bucket", *_DIMS)
_KEYS: Final = ", ".join(_KEY)
_NO_LINKS: Final = "dims < 16"  # steps and owners come from links, which are renewed as a whole
_SCORE_SUMS: Final = {
    "n": "sum(sign)",
    "sum_score": "sum(sign * sentiment_score)",
    "sum_squares": "sum(sign * sentiment_score::double precision ^ 2)",
    **{f"n_{s}": f"coalesce(sum(sign) FILTER (WHERE sentiment = '{s}'), 0)"
       for s in ("negative", "neutral", "positive")},
    "n_frustrated": "coalesce(sum(sign) FILTER (WHERE frustrated), 0)",
}  # fmt: skip
_RATING_SUMS: Final = {
    "n_nps": "coalesce(sum(sign) FILTER (WHERE nps IS NOT NULL), 0)",
    "n_promoters": "coalesce(sum(sign) FILTER (WHERE nps >= 9), 0)",
    "n_detractors": "coalesce(sum(sign) FILTER (WHERE nps <= 6), 0)",
    "n_csat": "coalesce(sum(sign) FILTER (WHERE csat IS NOT NULL), 0)",
    "n_satisfied": "coalesce(sum(sign) FILTER (WHERE csat >= 4), 0)",
    "sum_csat": "coalesce(sum(sign * csat), 0)",
    "squares_csat": "coalesce(sum(sign * csat::double precision ^ 2), 0)",
    "n_ces": "coalesce(sum(sign) FILTER (WHERE ces IS NOT NULL), 0)",
    "sum_ces": "coalesce(sum(sign * ces), 0)",
    "squares_ces": "coalesce(sum(sign * ces::double precision ^ 2), 0)",
}
_PEOPLE: Final = "coalesce((array_agg(DISTINCT person ORDER BY person) FILTER (WHERE sign = 1))[1:5], '{}')"


def fold_rollups(conn: Connection, *, batch: int = BATCH) -> int:
    """Add what waits to the sums, up to `batch` rows; returns how many were added.

    Sums and what waits are read together, so that folding changes no figure: it makes reading quick.
    Where another process is folding, nothing is done.
    """
    if not conn.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}).scalar_one():
        return 0
    conn.execute(text("DROP TABLE IF EXISTS pg_temp.folding"))
    n: int = conn.execute(
        text(
            "CREATE TEMP TABLE folding ON COMMIT DROP AS WITH taken AS (DELETE FROM rollup_pending WHERE id IN "
            "(SELECT id FROM rollup_pending ORDER BY id LIMIT :batch) RETURNING *) "
            "SELECT *, ''::text AS step, ''::text AS owner FROM taken"
        ),
        {"batch": batch},
    ).rowcount
    if n:
        _add(conn, "folding", _NO_LINKS)
        _recount_people(conn)
    return n


def fold_all(conn: Connection) -> int:
    """Fold until nothing waits; for the end of an import."""
    total = 0
    while n := fold_rollups(conn, batch=10 * BATCH):
        total += n
    return total


def renew_step_rollups(conn: Connection) -> int:
    """Make the sums by process step and owner anew from the links; returns how many pairs were counted.

    A feedback counts once for each step at which a case that it is linked to deviated, and once for
    each owner of such a step.
    """
    for table in ("rollup_score", "rollup_signal", "rollup_rating"):
        conn.execute(text(f"DELETE FROM {table} WHERE NOT {_NO_LINKS}"))  # noqa: S608
    total = 0
    for step, owner, dims in (
        ("d.step", "''", "dims IN (16, 31)"),
        ("''", "coalesce(d.owner, '')", "dims IN (32, 47)"),
        ("d.step", "coalesce(d.owner, '')", "dims IN (48, 63)"),
    ):
        conn.execute(text("DROP TABLE IF EXISTS pg_temp.linked"))
        total += conn.execute(
            text(
                f"""
                CREATE TEMP TABLE linked ON COMMIT DROP AS
                WITH tied AS (
                    SELECT DISTINCT l.feedback_id, {step} AS step, {owner} AS owner FROM link l
                    JOIN deviation d ON d.case_pk = l.case_pk WHERE {step} <> '' OR {owner} <> ''
                ), counted AS (
                    SELECT f.*, hashtextextended(coalesce('customer ' || f.customer_ref,
                        'conversation ' || f.conversation_id, 'feedback ' || f.id), 0) AS person
                    FROM feedback f WHERE f.turn_index IS NULL AND (f.speaker IS NULL OR f.speaker = 'customer')
                )
                SELECT s.model_id, 1::smallint AS sign, f.occurred_at, f.source, coalesce(f.channel, '') AS channel,
                    coalesce(f.segment, '') AS segment, coalesce(f.region, '') AS region, t.step, t.owner,
                    f.person, s.sentiment, s.sentiment_score, coalesce(s.frustration_flag, false) AS frustrated,
                    s.flags, NULL::real AS nps, NULL::real AS csat, NULL::real AS ces
                FROM tied t JOIN counted f ON f.id = t.feedback_id JOIN score s ON s.feedback_id = f.id
                WHERE s.supported AND f.duplicate_of IS NULL
                UNION ALL
                SELECT 0, 1::smallint, f.occurred_at, f.source, coalesce(f.channel, ''), coalesce(f.segment, ''),
                    coalesce(f.region, ''), t.step, t.owner, f.person, NULL, NULL, NULL, '{{}}', f.nps, f.csat, f.ces
                FROM tied t JOIN counted f ON f.id = t.feedback_id
                WHERE coalesce(f.nps, f.csat, f.ces) IS NOT NULL
                """  # noqa: S608
            )
        ).rowcount
        _add(conn, "linked", dims)
    return total


def _add(conn: Connection, rows: str, dims: str) -> None:
    """Add rows of the temporary table `rows` to every level whose `dims` fit."""
    levels = f"FROM {rows} p CROSS JOIN (SELECT * FROM rollup_level WHERE {dims}) l"  # noqa: S608
    _upsert(conn, "rollup_score", f"{levels} WHERE p.model_id <> 0", _SCORE_SUMS)
    _upsert(conn, "rollup_rating", f"{levels} WHERE p.model_id = 0", _RATING_SUMS)
    # In the order of the keys, as everywhere, so that no two wait for each other.
    conn.execute(
        text(
            f"INSERT INTO rollup_signal AS r ({_KEYS}, signal, n) "
            f"SELECT {_selected()}, signal, sum(sign) {levels} CROSS JOIN unnest(p.flags) AS signal "
            f"GROUP BY {_grouped(len(_KEY) + 1)} ORDER BY {_grouped(len(_KEY) + 1)} "
            f"ON CONFLICT ({_KEYS}, signal) DO UPDATE SET n = r.n + excluded.n"
        )
    )


def _upsert(conn: Connection, table: str, rows: str, sums: dict[str, str]) -> None:
    changes = ", ".join(f"{name} = r.{name} + excluded.{name}" for name in sums)
    conn.execute(
        text(
            f"INSERT INTO {table} AS r ({_KEYS}, {', '.join(sums)}, people) "
            f"SELECT {_selected()}, {', '.join(sums.values())}, {_PEOPLE} {rows} "
            f"GROUP BY {_grouped(len(_KEY))} ORDER BY {_grouped(len(_KEY))} "
            f"ON CONFLICT ({_KEYS}) DO UPDATE SET {changes}, people = "
            "ARRAY(SELECT DISTINCT unnest(r.people || excluded.people) ORDER BY 1 LIMIT 5)"
        )
    )


def _selected() -> str:
    dims = (f"CASE WHEN l.dims & {bit} <> 0 THEN p.{name} ELSE '' END" for name, bit in _DIMS.items())
    return ", ".join(("p.model_id", "l.level", "l.dims", "date_trunc(l.level, p.occurred_at, 'UTC')", *dims))


def _grouped(n_columns: int) -> str:
    return ", ".join(str(i + 1) for i in range(n_columns))


def _recount_people(conn: Connection) -> None:
    """Count anew the customers of sums that lost feedback: a smallest hash can't be taken back."""
    match = " AND ".join(
        f"(r.dims & {bit} = 0 OR r.{name} = coalesce(f.{name}, ''))"
        for name, bit in _DIMS.items()
        if name not in ("step", "owner")
    )
    person = (
        "hashtextextended(coalesce('customer ' || f.customer_ref, 'conversation ' || f.conversation_id, "
        "'feedback ' || f.id), 0)"
    )
    spoke = "f.turn_index IS NULL AND (f.speaker IS NULL OR f.speaker = 'customer')"
    scored = "JOIN score s ON s.feedback_id = f.id AND s.model_id = {0}.model_id AND s.supported"
    for table, models, join, where in (
        ("rollup_score", "p.model_id <> 0", scored, "f.duplicate_of IS NULL"),
        ("rollup_rating", "p.model_id = 0", "", "coalesce(f.nps, f.csat, f.ces) IS NOT NULL"),
    ):
        conn.execute(
            text(
                f"""
                UPDATE {table} r SET people = ARRAY(
                    SELECT DISTINCT {person} FROM feedback f {join.format("r")}
                    WHERE {spoke} AND {where} AND {match} AND f.occurred_at >= r.bucket
                        AND f.occurred_at < r.bucket + CAST('1 ' || r.level AS interval)
                    ORDER BY 1 LIMIT 5)
                FROM (SELECT DISTINCT {_selected()}, p.person FROM folding p
                    CROSS JOIN (SELECT * FROM rollup_level WHERE {_NO_LINKS}) l
                    WHERE p.gone AND {models} AND NOT EXISTS (
                        -- A live conversation is scored again and again: it is gone for a moment only.
                        SELECT 1 FROM feedback f {join.format("p")} WHERE f.id = p.feedback_id)
                ) AS gone ({_KEYS}, person)
                WHERE ({", ".join(f"r.{name}" for name in _KEY)}) = ({", ".join(f"gone.{name}" for name in _KEY)})
                    AND gone.person = ANY(r.people)
                """  # noqa: S608
            )
        )
