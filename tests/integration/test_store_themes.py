"""Themes in the database: fits renew them, people's decisions stay, feedback carries them."""

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from voc.errors import StoreError, VocError
from voc.pipeline.spec import ThemesPart
from voc.pipeline.stored_themes import assign_themes
from voc.records import Feedback, Quote, Score, Theme, ThemeEvent, ThemeFitInfo
from voc.store.engine import transaction
from voc.store.feedback import insert_feedback
from voc.store.scores import save_scores
from voc.store.themes import (
    list_themes,
    merge_themes,
    read_assigned,
    read_theme_events,
    read_theme_history,
    read_theme_names,
    rename_theme,
    save_assigned,
    save_theme_fit,
    set_theme_owner,
)
from voc.taxonomy import SIGNALS

FIT = ThemeFitInfo("d1", "b/1", "made up", 0, 100, "f", 0.95, 0.4)


def theme(theme_id, name="late, parcel", **more):
    return Theme(theme_id, name, ("late", "parcel"), 20, (Quote("1", "It is late"),), **more)


def test_a_fit_stored_twice_is_one(store):
    with transaction(store) as conn:
        first = save_theme_fit(conn, FIT, [theme("t1")], [ThemeEvent("born", "t1")])
        again = save_theme_fit(conn, FIT, [theme("t1")], [ThemeEvent("born", "t1")])
        events = read_theme_events(conn, "d1")

    assert first == again
    assert [e.kind for e in events] == ["born"]


def test_names_owners_and_merges_by_people_survive_the_next_fit(store):
    with transaction(store) as conn:
        save_theme_fit(conn, FIT, [theme("t1"), theme("t2"), theme("t3")], [])
        rename_theme(conn, "t1", "Parcels are late", who="anna", note="as we say it")
        set_theme_owner(conn, "t1", "Logistics", who="anna")
        merge_themes(conn, "t2", "t1", who="ben")
        save_theme_fit(
            conn, ThemeFitInfo("d2", "b/1", "made up", 0, 120, "g", 0.95, 0.4, "d1"),
            [theme("t1", "slow, post"), theme("t2", "x"), theme("t3", "y")], [],
        )  # fmt: skip
        themes = {s.theme.id: s for s in list_themes(conn)}
        history = [(h.action, h.who) for h in read_theme_history(conn, "t1")]
        names = read_theme_names(conn)

    one = themes["t1"].theme
    assert (one.name, one.owner, one.name_by, one.merged) == (
        "Parcels are late",
        "Logistics",
        "anna",
        ("t2",),
    )
    assert themes["t2"].merged_into == "t1"
    assert (themes["t3"].theme.name, themes["t3"].fit) == ("y", "d2")
    assert names == {"t1": "Parcels are late", "t2": "Parcels are late", "t3": "y"}
    assert history == [("found", "voc"), ("name", "anna"), ("owner", "anna")]


def test_feedback_of_a_merged_theme_counts_for_the_other(store):
    with transaction(store) as conn:
        said = [
            Feedback("s", "survey", str(i), f"text {i}", datetime(2026, 1, 1, tzinfo=UTC)) for i in range(3)
        ]
        insert_feedback(conn, said)
        ids = conn.execute(text("SELECT id FROM feedback ORDER BY id")).scalars().all()
        fit = save_theme_fit(conn, FIT, [theme("t1"), theme("t2")], [])
        rows = [(ids[0], "t1", 0.9), (ids[1], "t2", 0.8), (ids[2], None, 0.1)]
        assert save_assigned(conn, fit, rows) == 3
        assert save_assigned(conn, fit, rows) == 0
        merge_themes(conn, "t2", "t1", who="ben")
        assigned = read_assigned(conn, fit)

    assert assigned["theme"].to_list() == ["t1", "t1", None]


def test_a_theme_of_one_text_and_a_merge_into_nothing_are_refused(store):
    with pytest.raises((VocError, IntegrityError, DBAPIError)), transaction(store) as conn:
        save_theme_fit(conn, FIT, [Theme("t1", "x", ("x",), 1)], [])
    with transaction(store) as conn:
        save_theme_fit(conn, FIT, [theme("t1")], [])
        with pytest.raises(StoreError, match="not in the database"):
            merge_themes(conn, "t1", "t9", who="ben")
        with pytest.raises(StoreError, match="to itself"):
            merge_themes(conn, "t1", "t1", who="ben")


def test_a_run_makes_a_fit_where_there_is_none_and_gives_each_text_its_theme(store, tmp_path):
    draw = np.random.default_rng(0)
    of = np.repeat([0, 1, 2], 20)
    points = np.eye(16)[of] + 1 + 0.05 * draw.normal(size=(60, 16))
    words = ("parcel late", "card declined", "app crashes")
    said = [
        Feedback("s", "survey", str(i), f"{words[t]} {i}", datetime(2026, 1, 1, tzinfo=UTC))
        for i, t in enumerate(of)
    ]
    with transaction(store) as conn:
        insert_feedback(conn, said)
        ids = conn.execute(text("SELECT id FROM feedback ORDER BY id")).scalars().all()
        scores = [
            Score(True, None, "en", "neutral", 0.0, (0.1, 0.8, 0.1), 0.1, False, dict.fromkeys(SIGNALS, 0.1),
                  (), (), 1, "b/1", tuple(point / np.linalg.norm(point)))
            for point in points
        ]  # fmt: skip
        save_scores(conn, "b/1", zip(ids, scores, strict=True))
    part = ThemesPart(fit=tmp_path / "themes", min_size=5)
    first = assign_themes(store, "b/1", part, sources=["s"])
    again = assign_themes(store, "b/1", part, sources=["s"])

    assert first.n_texts == 60
    assert first.assigned.equals(again.assigned)
    flags = first.flags()
    assert set(flags["outcome"]) == {f"theme:{t['id']}" for t in first.counts()["themes"]}
    assert first.name(flags["outcome"][0])
