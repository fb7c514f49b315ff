"""Root causes from stored feedback and a log, computed twice: what moves, and what external windows take."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from sqlalchemy import text

from voc.pipeline.causes import find_root_causes
from voc.pipeline.deviations import check_process
from voc.pipeline.spec import ProcessPart, RunSpec
from voc.records import Change, Feedback
from voc.rootcause.externals import external_windows
from voc.store.engine import transaction
from voc.store.feedback import insert_feedback
from voc.store.rootcauses import list_root_causes, read_history

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
MAP = """name: orders
steps:
  - {name: order}
  - {name: pack, max_repeats: 0}
  - {name: ship, owner: Logistics}
"""


@pytest.fixture
def company(store, tmp_path):
    """600 cases; those packed twice complain of delay far more often. The engine, the spec, the scores."""
    rng = random.Random(2)
    rows = ["case_id,activity,timestamp"]
    said = []
    for no in range(600):
        began = START + timedelta(hours=no)
        twice = no % 4 == 0
        steps = ["order", "pack", *(["ship", "pack"] if twice else []), "ship"]
        rows += [
            f"c{no},{step},{began + timedelta(minutes=at):%Y-%m-%dT%H:%M:%SZ}"
            for at, step in enumerate(steps)
        ]
        late = rng.random() < (0.5 if twice else 0.1)
        said.append((Feedback("shop", "survey", f"f{no}", "x", began, case_id=f"c{no}"), late))
    (tmp_path / "log.csv").write_text("\n".join(rows))
    (tmp_path / "map.yaml").write_text(MAP)
    with transaction(store) as conn:
        insert_feedback(conn, [feedback for feedback, _ in said])
        ids = dict(tuple(row) for row in conn.execute(text("SELECT external_id, id FROM feedback")))
    scored = pl.DataFrame(
        [
            (ids[f.external_id], f.case_id, f.occurred_at, None, None, None, None, None,
             "neutral", False, ["delay"] if late else [])
            for f, late in said
        ],
        schema={"feedback_id": pl.Int64, "case_id": pl.String, "occurred_at": pl.Datetime("us", "UTC"),
                "customer_ref": pl.String, "segment": pl.String, "channel": pl.String, "region": pl.String,
                "turn_index": pl.Int64, "sentiment": pl.String, "frustration_flag": pl.Boolean,
                "flags": pl.List(pl.String)},
        orient="row",
    )  # fmt: skip
    spec = RunSpec.model_validate(
        {
            "name": "orders",
            "feedback": [{"path": "a", "mapping": "b"}],
            "output": "out",
            "process": {"log": tmp_path / "log.csv", "maps": [tmp_path / "map.yaml"]},
            "associate": {"shuffled_control": False},
        }
    )
    return store, spec, scored


def compute(company, external=()):
    engine, spec, scored = company
    part = ProcessPart.model_validate(spec.process.model_dump())
    checked = check_process(engine, spec.name, part)
    windows = external_windows(external)
    return find_root_causes(engine, "small/1", spec, checked, scored, external=windows)


def test_the_same_inputs_are_not_computed_again_and_nothing_moves(company):
    first, second = compute(company), compute(company)

    assert [(a["kind"], a["step"], a["outcome"]) for a in first["reported"]] == [
        ("rework_loop", "pack", "delay")
    ]
    assert (first["computed_again"], second["computed_again"]) == (True, False)
    assert second["moved"] == {"found": 0, "back": 0, "recomputed": 0, "unchanged": 1, "gone": 0}
    assert second["reported"] == first["reported"]
    assert first["ownership_gaps"] == ["pack"]
    assert first["reported"][0]["lag"]["n_cases"] > 50
    assert first["reported"][0]["dose_response"] is None  # all of one size
    with transaction(company[0]) as conn:
        (found,) = list_root_causes(conn)
        assert found.map_version
        assert len(read_history(conn, found.id)) == 1


def test_an_external_window_takes_its_cases_out_and_gives_them_back(company):
    outage = Change("o", "outage", START, START + timedelta(hours=100), external=True)

    before, during, after = compute(company), compute(company, [outage]), compute(company)

    assert (before["cases"], during["cases"], after["cases"]) == (600, 500, 600)
    assert "100 cases that began during 'outage' are left out" in during["notes"]
    assert during["moved"]["recomputed"] == 1
    assert after["reported"] == before["reported"]
    with transaction(company[0]) as conn:
        (found,) = list_root_causes(conn)
        history = read_history(conn, found.id)
    assert [entry.action for entry in history] == ["found", "recomputed", "recomputed"]
    assert history[1].changes["n_exposed"] == (150, 125)
    assert history[2].changes["n_exposed"] == (125, 150)
