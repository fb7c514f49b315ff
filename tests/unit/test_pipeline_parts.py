"""Parts of the pipeline that need no database."""

from datetime import UTC, datetime

import polars as pl
import pytest

from voc.errors import InputError
from voc.pipeline.conversations import with_conversations
from voc.pipeline.outcomes import cases_with_feedback, flags_of, shuffled
from voc.pipeline.spec import RatingOutcome, read_spec
from voc.pipeline.summary import as_html, as_text
from voc.records import Feedback, Rating

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _turn(
    conversation: str, index: int, speaker: str, text: str, ratings: tuple[Rating, ...] = ()
) -> Feedback:
    return Feedback(
        "chat", "transcript", f"{conversation}#{index}", text, NOON, conversation_id=conversation,
        turn_index=index, speaker=speaker, ratings=ratings, language="en",
    )  # fmt: skip


def test_a_conversation_follows_its_turns_with_what_the_customer_said():
    turns = [
        _turn("c1", 0, "customer", "hello"), _turn("c1", 1, "agent", "hi"),
        _turn("c1", 2, "customer", "it broke", (Rating("csat", 1),)), _turn("c2", 0, "agent", "anyone?"),
    ]  # fmt: skip

    out = list(with_conversations(turns))

    wholes = [f for f in out if f.turn_index is None]
    assert len(out) == 5
    assert [(w.external_id, w.text, w.ratings) for w in wholes] == [
        ("c1", "hello\nit broke", (Rating("csat", 1),))
    ]
    assert out.index(wholes[0]) == 3


def _scored() -> pl.DataFrame:
    return pl.DataFrame({
        "feedback_id": [1, 2, 3], "turn_index": [None, None, 0], "sentiment": ["negative", "positive", "negative"],
        "frustration_flag": [True, False, True], "flags": [["delay"], [], ["privacy"]], "csat": [1.0, 5.0, None],
        "segment": ["a", None, None], "channel": [None] * 3, "region": [None] * 3, "occurred_at": [NOON] * 3,
    }, schema_overrides={"turn_index": pl.Int32, "channel": pl.String, "region": pl.String})  # fmt: skip


def test_turns_carry_no_outcome_of_their_own():
    flags = flags_of(_scored(), [RatingOutcome(name="unhappy", scale="csat", at_most=3)], None)

    assert flags.rows() == [(1, "delay"), (1, "frustration"), (1, "negative"), (1, "unhappy")]


def test_only_cases_somebody_spoke_about_are_tested_and_empty_strata_are_dropped():
    cases = pl.DataFrame(
        {"case_id": ["x", "y", "z"], "region": ["north", None, "south"], "started_at": [NOON] * 3}
    )
    links = pl.DataFrame({"feedback_id": [1, 2], "case_id": ["x", "y"]})

    found = cases_with_feedback(cases, _scored(), links).sort("case_id")

    assert found.columns == ["case_id", "segment", "region", "started_at"]
    assert found["case_id"].to_list() == ["x", "y"]
    assert found["region"].to_list() == ["north", None]


def test_shuffling_keeps_how_often_each_deviation_occurs_in_each_stratum():
    cases = pl.DataFrame({"case_id": [f"c{i}" for i in range(40)], "segment": ["a", "b"] * 20})
    deviations = pl.DataFrame({
        "case_id": [f"c{i}" for i in range(0, 40, 4)], "kind": ["stalled"] * 10, "step": ["s"] * 10,
    })  # fmt: skip

    moved = shuffled(deviations, cases, seed=1)

    segments = moved.join(cases, on="case_id")["segment"]
    assert segments.to_list() == ["a"] * 10
    assert set(moved["case_id"]) != set(deviations["case_id"])
    assert shuffled(deviations, cases, seed=1).equals(moved)


def test_a_run_names_what_is_wrong_with_it(tmp_path, monkeypatch):
    path = tmp_path / "run.yaml"
    path.write_text("name: x\noutput: o\nfeedback: [{path: '${NOT_SET_ANYWHERE}/a', mapping: b}]\n")
    with pytest.raises(InputError, match="NOT_SET_ANYWHERE"):
        read_spec(path)
    path.write_text("name: x\n  bad indent: [\n")
    with pytest.raises(InputError, match="not YAML"):
        read_spec(path)
    path.write_text("name: x\noutput: o\nfeedback: []\n")
    with pytest.raises(InputError, match="feedback"):
        read_spec(path)
    path.write_bytes(b"\xff\xfea")
    with pytest.raises(InputError, match="not UTF-8"):
        read_spec(path)
    path.write_text("")
    with pytest.raises(InputError, match="is empty; give name, description"):
        read_spec(path)
    path.write_text("- name: x\n")
    with pytest.raises(InputError, match="is no block of keys"):
        read_spec(path)
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    (tmp_path / "a").touch()
    path.write_text("name: x\noutput: o\nfeedback: [{path: '${SOME_DATA}/a', mapping: '${UNSET:-a}'}]\n")
    assert read_spec(path).feedback[0].path == tmp_path / "a"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("proces: {log: a}", "'proces'.*keys of a run are name, description"),
        ("process: {log: a, map: b}", r"'process\.map'.*keys of 'process' are log, maps"),
        (
            "feedback: [{path: a, mapping: b, maping: c}]",
            "'feedback.0.maping'.*keys of 'feedback' are path, mapping",
        ),
    ],
)
def test_an_unknown_key_of_a_run_is_answered_with_the_keys_of_its_block(tmp_path, line, words):
    path = tmp_path / "run.yaml"
    rest = "" if line.startswith("feedback") else "feedback: [{path: a, mapping: b}]\n"
    path.write_text(f"name: x\noutput: o\n{rest}{line}\n")

    with pytest.raises(InputError, match=words):
        read_spec(path)


def test_the_report_says_goes_with_and_escapes_what_it_shows():
    row = {
        "outcome": "delay", "kind": "stalled", "step": "<b>", "odds_ratio": 3.0, "ci_low": 2.0, "ci_high": None,
        "q_value": 0.001, "n_exposed": 50, "n_exposed_outcome": 20, "n_unexposed": 100, "n_unexposed_outcome": 10,
        "attributable_fraction": 0.4, "owner": None,
    }  # fmt: skip
    result = {
        "name": "n", "description": "d", "imports": [], "seconds": 1.0, "report": "r.html",
        "scores": {"model": "m/1", "supported": 1, "unsupported": 0, "sentiment": {}},
        "deviations": {"cases": 9, "cases_with": 1, "by_kind": {"stalled": 1}},
        "associations": {"tested": 3, "cases": 9, "strata": [], "fdr": 0.05, "reported": [row], "notes": [],
                         "control": {"runs": 20, "tested": 60, "reported": 1, "mean_reported": 0.05}},
    }  # fmt: skip

    text, html = as_text(result), as_html(result)

    assert "not yet a cause" in text
    assert "nobody" in text
    assert "<b>" not in html.replace("<b></b>", "")
    assert "&lt;b&gt;" in html
