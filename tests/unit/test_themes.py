"""Themes: groups, assignment, terms, lineage and what people say, on small made-up worlds."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.errors import InputError, UsageError
from voc.themes.assign import NONE, assign, calibrate_none
from voc.themes.edit import merge, rename, set_owner
from voc.themes.emerging import find_emerging
from voc.themes.fit import FitSettings, fit_themes
from voc.themes.fits import load_fit, save_fit
from voc.themes.lineage import events_of, join_merged, match_themes
from voc.themes.space import unit
from voc.themes.terms import mmr, theme_terms

TOPICS = ("parcel late courier", "card declined shop", "refund missing account", "app crashes login")
SETTINGS = FitSettings(n_themes=4, min_size=5)


def world(n=40, topics=4, seed=0, dim=16):
    """`n` texts a topic, embeddings in tight clouds that share a large common part."""
    draw = np.random.default_rng(seed)
    middles = np.eye(dim)[:topics]
    of = np.repeat(np.arange(topics), n)
    embeddings = unit(3 * np.ones(dim) / dim**0.5 + middles[of] + 0.05 * draw.normal(size=(len(of), dim)))
    texts = [f"{TOPICS[t % 4]} number {draw.integers(10**6)}" for t in of]
    return [str(i) for i in range(len(of))], texts, embeddings, of


def fit(ids, texts, embeddings, **options):
    options.setdefault("settings", SETTINGS)
    return fit_themes(ids, texts, embeddings, bundle="b/1", **options)


def test_clouds_become_themes_with_their_own_words_and_quotes():
    ids, texts, embeddings, of = world()
    made = fit(ids, texts, embeddings)

    assert len(made.fit.themes) == 4
    for i, theme in enumerate(made.fit.themes):
        topic = of[made.assigned.theme == i]
        assert len(set(topic.tolist())) == 1
        assert set(" ".join(theme.terms).split()) <= set(TOPICS[topic[0]].split()) | {"number"}
        assert all(texts[int(q.id)] == q.text for q in theme.quotes)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_neither_seed_nor_order_changes_the_groups(seed):
    ids, texts, embeddings, _ = world()
    first = fit(ids, texts, embeddings)
    order = np.random.default_rng(seed).permutation(len(ids))
    again = fit(
        [ids[i] for i in order], [texts[i] for i in order], embeddings[order],
        settings=replace(SETTINGS, seed=seed),
    )  # fmt: skip

    a, b = first.assigned.theme[order], again.assigned.theme
    assert len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist()))


def test_a_refit_keeps_ids_names_owners_and_bears_what_is_new():
    ids, texts, embeddings, _ = world()
    old = fit(ids, texts, embeddings).fit
    old = set_owner(rename(old, old.themes[0].id, "Mine", by="anna"), old.themes[0].id, "Ops", by="anna")
    ids5, texts5, embeddings5, of5 = world(n=48, topics=5)
    new = fit(ids5, texts5, embeddings5, previous=old)

    before = old.assign(embeddings5).theme
    kept = [old.themes[i].id for i in before[of5 < 4]]
    now = [new.fit.themes[i].id for i in new.assigned.theme[of5 < 4]]
    assert np.mean(np.array(kept) == np.array(now)) >= 0.95
    mine = new.fit.themes[new.fit.index(old.themes[0].id)]
    assert (mine.name, mine.owner, mine.name_by) == ("Mine", "Ops", "anna")
    assert [e.kind for e in new.fit.events].count("survived") == 4
    assert [e.kind for e in new.fit.events].count("born") == 1


@pytest.mark.parametrize("afresh", [False, True])
def test_a_merge_by_a_person_survives_a_refit(afresh):
    ids, texts, embeddings, _ = world()
    old = fit(ids, texts, embeddings).fit
    joined = merge(old, old.themes[1].id, old.themes[0].id)
    new = fit(ids, texts, embeddings, previous=joined, afresh=afresh)

    assert len(new.fit.themes) == 3
    assert new.fit.themes[new.fit.index(old.themes[0].id)].merged == (old.themes[1].id,)


def test_a_fit_reads_back_as_written_and_refuses_what_was_tampered_with(tmp_path):
    ids, texts, embeddings, _ = world()
    saved = save_fit(fit(ids, texts, embeddings).fit, tmp_path)
    read = load_fit(tmp_path)

    assert read.themes == saved.themes
    assert (read.assign(embeddings).theme == saved.assign(embeddings).theme).all()
    body = json.loads((tmp_path / "themes.json").read_text())
    body["themes"][0]["name"] = "by hand"
    (tmp_path / "themes.json").write_text(json.dumps(body))
    assert load_fit(tmp_path).themes[0].name == "by hand"
    (tmp_path / "themes.json").write_text(json.dumps(body | {"threshold": -1.0}))
    with pytest.raises(InputError, match="were changed"):
        load_fit(tmp_path)
    body["themes"][0]["n_texts"] = 1
    (tmp_path / "themes.json").write_text(json.dumps(body))
    with pytest.raises(InputError, match="one voice is no recurring topic"):
        load_fit(tmp_path)


def test_too_few_texts_and_themes_of_one_are_refused():
    ids, texts, embeddings, _ = world(n=2)
    with pytest.raises(InputError, match="8 texts are too few for themes of 5"):
        fit(ids, texts, embeddings)
    with pytest.raises(UsageError, match="theme of 1 text is none"):
        fit(ids, texts, embeddings, settings=FitSettings(min_size=1))


def test_embeddings_of_another_size_are_refused():
    ids, texts, embeddings, _ = world()
    made = fit(ids, texts, embeddings).fit
    with pytest.raises(InputError, match="use the bundle"):
        made.assign(embeddings[:, :5])


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 6), st.floats(-1, 1))
@settings(max_examples=50, deadline=None)
def test_assignment_takes_the_nearest_or_none(seed, n, k, threshold):
    draw = np.random.default_rng(seed)
    points, centroids = unit(draw.normal(size=(n, 8))), unit(draw.normal(size=(k, 8)))
    found = assign(points, centroids, np.arange(k), threshold)

    cosine = points @ centroids.T
    assert (found.similarity == cosine.max(axis=1)).all()
    assert ((found.theme == NONE) == (found.similarity < threshold)).all()
    placed = found.theme != NONE
    assert (found.theme[placed] == cosine.argmax(axis=1)[placed]).all()
    stricter = assign(points, centroids, np.arange(k), min(1.0, threshold + 0.1))
    assert (stricter.theme != NONE).sum() <= placed.sum()


def test_none_is_calibrated_for_texts_that_come_later():
    draw = np.random.default_rng(0)
    middles = unit(draw.normal(size=(10, 8)))
    cloud = lambda of: unit(middles[of] + 0.2 * draw.normal(size=(len(of), 8)))  # noqa: E731
    old, new = draw.integers(0, 10, 2000), draw.integers(0, 10, 2000)
    points = cloud(old)
    threshold = calibrate_none(points, old, share=0.05)
    centroids = unit(np.array([points[old == i].mean(axis=0) for i in range(10)]))

    share = (assign(cloud(new), centroids, np.arange(10), threshold).theme == NONE).mean()
    assert 0.03 < share < 0.07


labels = st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 5)), min_size=1, max_size=80)


@given(labels)
def test_lineage_tells_each_theme_once_and_gives_each_id_once(pairs):
    old, new = (np.array(side) for side in zip(*pairs, strict=True))
    match = match_themes(old, new, 6, 6)
    carried = [i for i in match.origin.tolist() if i >= 0]
    new_ids = [f"o{i}" if i >= 0 else f"n{j}" for j, i in enumerate(match.origin.tolist())]
    events = events_of(match, [f"o{i}" for i in range(6)], new_ids)

    assert len(carried) == len(set(carried))
    told = [e.theme for e in events]
    assert sorted(told) == sorted({*(f"o{i}" for i in range(6)), *new_ids})
    assert all(0 <= e.share <= 1 for e in events)
    assert all(e.share >= 0.5 for e in events if e.kind in ("split", "merged"))


@given(labels)
def test_the_same_groups_all_survive(pairs):
    old = np.array([a for a, _ in pairs])
    match = match_themes(old, old, 6, 6)

    there = np.unique(old[old >= 0])
    assert (match.origin[there] == there).all()


def test_splits_merges_births_and_deaths_by_hand():
    #       a: 6 stay, 4 split off;  b and c join;  d is gone;  a new one comes
    old = np.array([0] * 10 + [1] * 6 + [2] * 4 + [3] * 3 + [-1] * 5)
    new = np.array([0] * 6 + [1] * 4 + [2] * 10 + [-1] * 3 + [3] * 5)
    match = match_themes(old, new, 4, 4)
    new_ids = ["a", "x", "b", "y"]
    events = {e.theme: (e.kind, e.other) for e in events_of(match, list("abcd"), new_ids)}

    assert match.origin.tolist() == [0, -1, 1, -1]
    assert events == {
        "a": ("survived", None), "b": ("survived", None), "c": ("merged", "b"), "d": ("died", None),
        "x": ("split", "a"), "y": ("born", None),
    }  # fmt: skip


def test_what_was_merged_is_joined_again():
    old, new = np.array([0] * 6 + [1] * 4), np.array([0] * 4 + [1] * 2 + [2] * 4)

    assert join_merged(old, new, 3, [0]).tolist() == [0, 0, 2]


def test_terms_are_those_of_the_theme_and_say_no_word_twice():
    texts = ["late parcel again"] * 5 + ["card declined again"] * 5
    terms = theme_terms(texts, np.repeat([0, 1], 5), 2)

    assert "parcel" in " ".join(terms[0][:2])
    assert "card" not in " ".join(terms[0])


def test_mmr_prefers_the_unlike():
    similarity = np.array([[1, 0.99, 0.0], [0.99, 1, 0.0], [0.0, 0.0, 1]])

    assert mmr(np.array([1.0, 0.9, 0.6]), similarity, 2, 0.5) == [0, 2]
    assert mmr(np.array([1.0, 0.9, 0.6]), similarity, 2, 0.0) == [0, 1]


def stream(n_new, seed=0, n=9000):
    """Texts of fifty matters, and a new one at 1 % in the last third."""
    draw = np.random.default_rng(seed)
    middles = unit(draw.normal(size=(51, 32)))
    of = draw.integers(0, 50, n)
    of[draw.choice(np.arange(2 * n // 3, n), n_new, replace=False)] = 50
    return unit(middles[of] + 0.12 * draw.normal(size=(n, 32))), of


def test_a_new_complaint_is_flagged_early_with_quotes_and_a_shuffled_replay_flags_none():
    points, of = stream(60)
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=i) for i in range(len(of))]
    ids, texts = (
        [str(i) for i in range(len(of))],
        [f"a complaint about matter {t} told by {i}" for i, t in enumerate(of)],
    )
    found = find_emerging(points, times, ids, texts, radius=0.5)
    order = np.random.default_rng(1).permutation(len(of))
    shuffled = find_emerging(points[order], times, ids, [texts[i] for i in order], radius=0.5)

    assert len(found) == 1
    assert (of[: found[0].position + 1] == 50).sum() <= 60
    assert all("matter 50 " in quote.text for quote in found[0].quotes)
    assert len(found[0].quotes) >= 3
    assert shuffled == []
