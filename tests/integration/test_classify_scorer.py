"""The laws of scoring, on a tiny bundle that was exported the way a real one is."""

import json
import shutil

import numpy as np
import pytest

from tests.tiny_bundle import build_tiny_bundle, made_up_rows
from voc.classify.bundle import BINARY_LABELS, load_bundle
from voc.classify.scorer import Scorer
from voc.taxonomy import SIGNALS

TEXTS = [row["text"] for row in made_up_rows()[:40]]
LONG = " ".join(row["text"] for row in made_up_rows()[:60])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny_bundle(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def scorer(folder):
    return Scorer(load_bundle(folder), threads=1)


def _numbers(score):
    return np.array([*score.sentiment_proba, score.frustration, *score.signals.values()])


def test_there_is_one_score_for_each_text_in_order(scorer):
    scores = scorer.score(TEXTS)

    assert len(scores) == len(TEXTS)
    again = scorer.score(TEXTS[::-1])[::-1]
    assert all(np.abs(_numbers(a) - _numbers(b)).max() < 1e-6 for a, b in zip(scores, again, strict=True))


def test_no_texts_give_no_scores(scorer):
    assert scorer.score([]) == []
    assert list(scorer.score_all([])) == []


def test_equal_texts_have_equal_scores_wherever_they_stand(scorer):
    first, second, *_, last = scorer.score([TEXTS[0], TEXTS[1], TEXTS[0]])

    assert first == last
    assert first != second


def test_the_company_of_a_text_does_not_change_its_score(scorer):
    together = scorer.score([LONG, *TEXTS])

    for text, score in zip([LONG, *TEXTS], together, strict=True):
        (alone,) = scorer.score([text])
        assert np.abs(_numbers(alone) - _numbers(score)).max() < 1e-6
        assert np.dot(alone.embedding, score.embedding) > 1 - 1e-6


def test_a_stream_gives_the_same_as_a_list(scorer):
    streamed = list(scorer.score_all(iter(TEXTS), chunk=7))

    assert len(streamed) == len(TEXTS)
    for a, b in zip(streamed, scorer.score(TEXTS), strict=True):
        assert np.abs(_numbers(a) - _numbers(b)).max() < 1e-6


def test_a_text_that_comes_again_in_a_stream_is_not_scored_again(scorer, monkeypatch):
    seen = []
    run = scorer.model.engine.run
    monkeypatch.setattr(scorer.model.engine, "run", lambda windows: seen.extend(windows) or run(windows))
    stream = [*TEXTS[:5], "", *TEXTS[:10], *TEXTS[:5], ""]

    scores = list(scorer.score_all(iter(stream), chunk=4))

    assert len(seen) == 10
    assert [s.supported for s in scores] == [text != "" for text in stream]
    assert scores[0] == scores[6] == scores[16]
    assert scores[0] != scores[1]


def test_a_stream_longer_than_the_memory_is_still_right(scorer, monkeypatch):
    monkeypatch.setattr("voc.classify.scorer.REMEMBERED", 3)
    stream = [TEXTS[i] for i in (0, 1, 2, 3, 4, 0, 1, 5, 0, 4, 3, 2, 1, 0)]

    scores = list(scorer.score_all(iter(stream), chunk=2))

    for text, score in zip(stream, scores, strict=True):
        assert np.abs(_numbers(score) - _numbers(scorer.score([text])[0])).max() < 1e-6


def test_probabilities_are_probabilities(scorer):
    for score in scorer.score(TEXTS):
        assert sum(score.sentiment_proba) == pytest.approx(1)
        assert -1 <= score.sentiment_score <= 1
        assert score.sentiment_score == pytest.approx(score.sentiment_proba[2] - score.sentiment_proba[0])
        assert list(score.signals) == list(SIGNALS)
        assert all(0 <= p <= 1 for p in [score.frustration, *score.signals.values()])
        assert np.linalg.norm(score.embedding) == pytest.approx(1, abs=1e-4)
        assert score.model == "tiny/0.1.0"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"), (" \n\t ", "empty"), ("12 345 ...", "no_words"),
        ("Das Paket ist leider immer noch nicht angekommen und niemand antwortet mir.", "language"),
        ("Je n'ai toujours pas reçu mon colis et personne ne me répond.", "language"),
        ("word " * 60_000, "too_long"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_says_why_and_guesses_nothing(scorer, text, reason):
    good, refused, also_good = scorer.score([TEXTS[0], text, TEXTS[1]])

    assert (refused.supported, refused.reason) == (False, reason)
    assert refused.sentiment is None
    assert refused.signals == {}
    assert refused.flags == refused.evidence == ()
    assert good.supported
    assert also_good.supported


def test_a_long_text_is_read_to_its_end_in_windows(scorer):
    (score,) = scorer.score([LONG])
    (shorter,) = scorer.score([LONG[:600]])

    assert score.n_windows > shorter.n_windows >= 1
    assert len(LONG.split()) > scorer.bundle.max_tokens


def test_a_signal_of_a_long_text_is_that_of_its_highest_window(scorer):
    logits = scorer.model.logits([LONG])
    windows = logits.by_window.binary

    np.testing.assert_allclose(logits.binary[0], windows.max(axis=0), rtol=1e-6)
    assert [int(w) for w in logits.spoke[0]] == [int(w) for w in windows.argmax(axis=0)]


def test_evidence_lies_inside_the_text_and_speaks_for_what_was_raised(scorer):
    for text, score in zip([LONG, *TEXTS], scorer.score([LONG, *TEXTS]), strict=True):
        raised = {*score.flags, *(["frustration"] if score.frustration_flag else [])}
        raised |= {score.sentiment} - {"neutral"}
        for span in score.evidence:
            assert 0 <= span.start < span.end <= len(text)
            assert text[span.start : span.end].strip()
            assert span.label in raised


def test_evidence_adds_up_to_the_logit(scorer):
    logits = scorer.model.logits(TEXTS[:5])

    # What is left over is the label's bias, the same for every text.
    left = [logits.by_window.binary[i] - logits.by_window.evidence[i].sum(axis=0)[3:] for i in range(5)]
    np.testing.assert_allclose(left, np.broadcast_to(left[0], (5, len(BINARY_LABELS))), atol=1e-3)


def test_flags_are_what_reaches_the_threshold_of_the_operating_point(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    for name, value in {"all": 0.0, "none": 1.01}.items():
        manifest["operating_points"][name] = {"thresholds": dict.fromkeys(BINARY_LABELS, value)}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    bundle = load_bundle(copy)

    (everything,) = Scorer(bundle, operating_point="all", threads=1).score(TEXTS[:1])
    (nothing,) = Scorer(bundle, operating_point="none", threads=1).score(TEXTS[:1])

    assert everything.flags == tuple(SIGNALS)
    assert everything.frustration_flag
    assert nothing.flags == ()
    assert everything.signals == nothing.signals
