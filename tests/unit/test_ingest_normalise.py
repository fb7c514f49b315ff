"""One row and its mapping give feedback, or quarantine with field, reason and remedy."""

import functools
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.ingest import mapping as mapping_module
from voc.ingest.normalise import Normalised, normalise
from voc.ingest.quarantine import BadRow, Quarantined
from voc.records import Feedback, Lineage, Rating

parse_mapping = functools.cache(mapping_module.parse_mapping)
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)

SURVEY = """\
name: survey
version: 3
kind: survey
external_id: id
time: {field: at, formats: [iso, "%d.%m.%Y %H:%M", epoch_s], zone: Europe/Berlin}
verbatims:
  - {field: reason, question: "Why?"}
  - {field: wish, suffix: wish}
ratings:
  - {scale: nps, field: nps}
  - {scale: csat, field: {field: solved, values: {yes: 5, no: 1}}}
  - {scale: stars, field: mark, range: [0, 100]}
customer_ref: customer
case_id: details.order.id
region: {first_of: [land, details.country], values: {AT: Austria}}
segment: {field: plan, default: basic}
channel: {constant: email}
where: [{field: test, not_in: [yes]}]
missing_values: [N/A]
limits: {text_chars: 50}
meta: {agent: details.agents.0.name, raw: details}
"""

CHAT = """\
name: chat
version: 1
kind: transcript
external_id: id
case_id: ticket
time: {field: started}
turns:
  field: log.turns
  text: text
  speaker: who
  time: at
  speakers: {customer: [user, true], agent: [clerk, bot], system: system, skip: note}
ratings:
  - {scale: csat, field: {field: [survey, "*"], values: {yes: 5, no: 1}}, combine: mean}
meta:
  enjoyed: [survey, "Did you enjoy it? (v1.0)"]
  helped: [survey, "*calm and helpful*"]
"""

ROW = {
    "id": "r1",
    "at": "2025-05-01T10:00:00",
    "reason": "It was late.",
    "wish": "Be on time.",
    "nps": "3",
    "solved": "No",
    "mark": "50",
    "customer": "c1",
    "details": json.dumps({"order": {"id": 7.0}, "country": "AT", "agents": [{"name": "Kim"}]}),
    "land": "",
    "plan": "N/A",
    "test": "",
}


def run(raw, mapping=SURVEY, detect=lambda text: "en", row=1):
    return normalise(raw, parse_mapping(mapping), detect=detect, now=NOW, file="f.csv", row=row)


def one(**changes):
    """The first feedback of the survey's row with some cells changed."""
    result = run({**ROW, **changes})
    assert isinstance(result, Normalised), result
    return result.records[0]


def reason(raw, mapping=SURVEY):
    result = run(raw, mapping)
    assert isinstance(result, Quarantined), result
    assert result.remedy
    return result.field, result.reason


def test_a_survey_response_becomes_one_feedback_for_each_verbatim():
    first, second = run(ROW, row=4).records

    assert first == Feedback(
        source="survey",
        kind="survey",
        external_id="r1",
        text="It was late.",
        occurred_at=datetime(2025, 5, 1, 8, tzinfo=UTC),
        customer_ref="c1",
        case_id="7",
        channel="email",
        segment="basic",
        region="Austria",
        language="en",
        ratings=(Rating("nps", 3), Rating("csat", 1), Rating("stars", 3)),
        meta={
            "agent": "Kim",
            "raw": ROW["details"],
            "response_id": "r1",
            "question": "Why?",
        },
        lineage=Lineage("f.csv", 4, "survey", parse_mapping(SURVEY).lineage_version),
    )
    assert (second.external_id, second.text, second.ratings) == ("r1#wish", "Be on time.", ())
    assert second.meta["response_id"] == "r1"


def test_the_rating_goes_with_the_first_verbatim_that_has_text():
    result = run({**ROW, "reason": "  "})

    assert [(f.external_id, len(f.ratings)) for f in result.records] == [("r1#wish", 3)]
    assert result.skipped == {"verbatims_without_text": 1}


def test_a_rating_without_text_is_kept_as_a_rating_alone():
    (record,) = run({**ROW, "reason": "", "wish": None}).records

    assert (record.external_id, record.text, record.language) == ("r1", "", None)
    assert Rating("nps", 3) in record.ratings


def test_neither_text_nor_rating_is_quarantined():
    row = {**ROW, "reason": "", "wish": "", "nps": "", "solved": "", "mark": ""}

    assert reason(row) == ("reason or wish", "has neither text nor rating")


def test_empty_text_is_quarantined_where_the_mapping_says_so():
    row = {**ROW, "reason": "", "wish": ""}

    assert reason(row, SURVEY + "empty_text: quarantine\n") == ("reason or wish", "text is empty")


def test_rows_that_the_mapping_leaves_out_are_filtered():
    assert run({**ROW, "test": "Yes"}).filtered
    assert not run({**ROW, "test": "no"}).filtered


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2025-05-01", "2025-04-30T22:00:00"),
        ("2025-05-01T10:00:00Z", "2025-05-01T10:00:00"),
        ("2025-05-01 10:00:00+05:30", "2025-05-01T04:30:00"),
        (" 01.12.2024 10:00 ", "2024-12-01T09:00:00"),
        ("1746093600", "2025-05-01T10:00:00"),
        (1746093600.0, "2025-05-01T10:00:00"),
        (datetime(2025, 5, 1, 10), "2025-05-01T08:00:00"),  # noqa: DTZ001 (as Parquet gives it)
        (date(2025, 5, 1), "2025-04-30T22:00:00"),
    ],
)
def test_times_are_read_in_their_format_and_zone(written, utc):
    assert one(at=written).occurred_at == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "written", ["soon", "32.01.2025 10:00", "1e400", "0001-01-01", True, ["x"], "9" * 30]
)
def test_what_is_no_time_is_quarantined(written):
    field, why = reason({**ROW, "at": written})

    assert field == "at"
    assert "is not a time in the format iso or" in why


def test_a_time_in_the_future_is_quarantined_beyond_the_tolerance():
    assert one(at="2025-06-02T10:00:00Z")
    assert reason({**ROW, "at": "2025-06-03T10:00:00Z"}) == (
        "at",
        "time 2025-06-03T10:00:00Z is in the future (now is 2025-06-01T12:00:00Z)",
    )


def test_a_missing_time_is_quarantined_or_taken_as_the_mapping_says_and_marked():
    assert reason({**ROW, "at": ""}) == ("at", "time is missing")

    lenient = SURVEY.replace("zone: Europe/Berlin", "zone: Europe/Berlin, missing: 2020-01-01")
    record = run({**ROW, "at": ""}, lenient).records[0]
    assert record.occurred_at == datetime(2020, 1, 1, tzinfo=UTC)
    assert record.meta["time_assumed"] is True


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("nps", "11", "rating 11 is out of the scale nps (0 to 10)"),
        ("nps", "-1", "rating -1 is out of the scale nps (0 to 10)"),
        ("nps", "ten", "'ten' is not a number"),
        ("nps", "nan", "'nan' is not a number"),
        ("nps", True, "'True' is not a number"),
        ("nps", {"a": 1}, "a dict is not a number"),
        ("solved", "perhaps not, it is hard to say", "a text of 30 characters is not a number"),
        ("mark", "101", "rating 101 is out of the scale stars (0 to 100)"),
    ],
)
def test_a_rating_that_cannot_be_is_quarantined(column, value, why):
    assert reason({**ROW, column: value}) == (column, why)


def test_a_text_over_the_limit_is_quarantined_and_not_cut():
    assert reason({**ROW, "reason": "x" * 51}) == ("reason", "text is 51 characters; the limit is 50")

    huge = {**ROW, "reason": "x" * (10 * 2**20)}
    unlimited = SURVEY.replace("limits: {text_chars: 50}\n", "")
    assert reason(huge, unlimited)[1] == "text is 10,485,760 characters; the limit is 100,000"
    assert run(huge, unlimited).raw == huge


@pytest.mark.parametrize("column", ["reason", "id", "customer"])
def test_nul_characters_are_quarantined_in_a_form_that_can_be_stored(column):
    result = run({**ROW, column: "a\0b"})

    assert "holds NUL characters" in result.reason
    assert result.raw[column] == "a\u2400b"


def test_other_wrong_values_are_quarantined():
    assert reason({**ROW, "id": ""}) == ("id", "external id is empty")
    assert reason({**ROW, "id": "x" * 501}) == ("id", "is 501 characters; the limit is 500")
    assert reason({**ROW, "customer": [1]}) == ("customer", "is a list, not one value")
    assert reason({**ROW, "reason": {"a": 1}}) == ("reason", "is a dict, not a text")
    assert reason({**ROW, "details": "{oops"})[0] == "details.order.id"


def test_mojibake_is_mended_and_marked():
    record = one(reason="Straße".encode().decode("cp1252"))

    assert record.text == "Straße"
    assert record.meta["encoding_mended"] is True
    assert "encoding_mended" not in one(reason="Straße").meta


def test_the_language_is_detected_or_given():
    assert run(ROW, detect=lambda text: "de").records[0].language == "de"
    assert run(ROW, SURVEY + "language: {constant: fr}\n").records[0].language == "fr"


def test_a_hash_stands_in_for_a_missing_id_and_follows_the_content():
    hashed = SURVEY.replace("external_id: id", "external_id: {hash: row}")

    ids = [run(row, hashed).records[0].external_id for row in (ROW, dict(reversed(ROW.items())))]
    assert ids[0] == ids[1]
    assert run({**ROW, "wish": "Other."}, hashed).records[0].external_id != ids[0]


TURNS = [
    {"who": "clerk", "text": "Hello", "at": "2025-05-01T10:00:00Z"},
    {"who": "note", "text": "be angry", "at": "2025-05-01T10:00:01Z"},
    {"who": "user", "text": "Where is it?", "at": "2025-05-01T10:00:02Z"},
    {"who": "system", "text": "", "at": "2025-05-01T10:00:03Z"},
    {"who": True, "text": "Again: where?"},
    {"who": "Bot", "text": "Goodbye.", "at": "2025-05-01T10:00:05Z"},
]
SAID = {"Did you enjoy it? (v1.0)": True, "Did it stay calm and helpful at all times?": False}
TALK = {"id": "t", "ticket": 5, "started": "2025-05-01T09:59:00Z", "log": {"turns": TURNS}, "survey": SAID}


def test_a_transcript_becomes_one_feedback_for_each_turn_with_text():
    result = run(TALK, CHAT)

    assert [(f.external_id, f.turn_index, f.speaker, f.text) for f in result.records] == [
        ("t#0", 0, "agent", "Hello"),
        ("t#2", 2, "customer", "Where is it?"),
        ("t#4", 4, "customer", "Again: where?"),
        ("t#5", 5, "agent", "Goodbye."),
    ]
    assert result.skipped == {"turns_ignored": 1, "turns_without_text": 1}
    assert {(f.conversation_id, f.case_id) for f in result.records} == {("t", "5")}
    assert result.records[2].occurred_at == datetime(2025, 5, 1, 9, 59, tzinfo=UTC)


def test_the_customers_last_turn_carries_the_rating_and_answers_are_in_the_meta():
    records = run(TALK, CHAT).records

    assert [f.ratings for f in records] == [(), (), (Rating("csat", 3),), ()]
    assert records[0].meta == {"enjoyed": True, "helped": False}


def test_turns_held_as_json_in_a_column_are_read():
    row = {**TALK, "log": json.dumps({"turns": TURNS})}

    assert [f.text for f in run(row, CHAT).records] == [f.text for f in run(TALK, CHAT).records]


@pytest.mark.parametrize(
    ("turns", "field", "why"),
    [
        ([], "log.turns", "has no turns"),
        (None, "log.turns", "has no turns"),
        ("{", "log.turns", "is not JSON"),
        ({"a": 1}, "log.turns", "is a dict, not a list of turns"),
        (["hi"], "log.turns[0]", "is not an object"),
        ([{"who": "user", "text": ""}], "log.turns", "no turn has text"),
        ([TURNS[0], {"text": "x"}], "log.turns[1].who", "has no speaker"),
        ([{"who": "boss", "text": "x"}], "log.turns[0].who", "speaker 'boss' is not known"),
        ([{"who": "user", "text": "x", "at": "late"}], "log.turns[0].at", "'late' is not a time"),
        ([{"who": "user", "text": "x", "at": "2031-01-01"}], "log.turns[0].at", "is in the future"),
        ([{"who": "user", "text": "x" * 100_001}], "log.turns[0].text", "text is 100,001 characters"),
        ([{"who": "user", "text": "x"}, 3], "log.turns[1]", "is not an object"),
    ],
)
def test_a_bad_turn_sends_the_whole_conversation_to_quarantine(turns, field, why):
    found = reason({**TALK, "log": {"turns": turns}}, CHAT)

    assert found[0] == field
    assert why in found[1]


ROWS_OF_TURNS = """\
name: turns
version: 1
kind: transcript
external_id: {join: [conv, n]}
conversation_id: conv
turn_index: n
speaker: {field: who, values: {caller: customer, note: skip}}
time: {missing: 2024-01-01}
text: text
"""


def test_a_row_can_be_one_turn():
    (record,) = run({"conv": "a", "n": "3.0", "who": "caller", "text": "Hi"}, ROWS_OF_TURNS).records

    assert (record.external_id, record.conversation_id) == ("a#3.0", "a")
    assert (record.turn_index, record.speaker) == (3, "customer")


@pytest.mark.parametrize(
    ("change", "skipped"), [({"who": "note"}, "turns_ignored"), ({"text": " "}, "turns_without_text")]
)
def test_a_row_that_is_no_ones_turn_or_has_no_text_is_skipped_and_counted(change, skipped):
    result = run({"conv": "a", "n": 1, "who": "caller", "text": "Hi", **change}, ROWS_OF_TURNS)

    assert (result.records, result.skipped) == ((), {skipped: 1})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"who": "boss"}, "who"),
        ({"who": ""}, "who"),
        ({"n": "x"}, "n"),
        ({"n": "1.5"}, "n"),
        ({"conv": ""}, "conv + n"),
    ],
)
def test_a_row_that_is_no_turn_is_quarantined(change, field):
    assert reason({"conv": "a", "n": "1", "who": "caller", "text": "Hi", **change}, ROWS_OF_TURNS)[0] == field


def test_a_broken_line_is_mended_and_replayed():
    mapping = "name: m\nversion: 1\nkind: review\nexternal_id: id\ntime: at\ntext: t\n"
    broken = run(
        BadRow({"_line": '1,2024-01-01,"a', "_columns": ["id", "at", "t"]}, "is not CSV", "mend"), mapping
    )
    assert isinstance(broken, Quarantined)

    assert reason(broken.raw, mapping)[0] == "_line"
    assert reason({**broken.raw, "_line": "1,2"}, mapping)[1] == "has 2 fields, the header has 3"
    assert run({**broken.raw, "_line": '1,2024-01-01,"a"'}, mapping).records[0].text == "a"
    assert run({"_line": '{"id": 1, "at": "2024-01-01", "t": "b"}'}, mapping).records[0].text == "b"
    assert reason({"_line": "[]"}, mapping)[1] == "is JSON, but not an object"
    assert reason({"_line": "{"}, mapping)[0] == "_line"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(changes=st.dictionaries(st.sampled_from(sorted(ROW)), json_values))
def test_no_value_in_a_survey_row_raises(changes):
    check(run({**ROW, **changes}))


@settings(deadline=None, max_examples=60)
@given(
    changes=st.dictionaries(st.sampled_from(sorted(TALK)), json_values), turn=json_values, text=json_values
)
def test_no_value_in_a_transcript_raises(changes, turn, text):
    turns = [*TURNS, turn, {"who": "user", "text": text}]
    check(run({**TALK, "log": {"turns": turns}, **changes}, CHAT))


@settings(deadline=None, max_examples=60)
@given(row=st.dictionaries(st.text(max_size=6), json_values, max_size=4))
def test_no_row_raises(row):
    for mapping in (
        SURVEY,
        CHAT,
        ROWS_OF_TURNS,
        SURVEY.replace("external_id: id", "external_id: {hash: row}"),
    ):
        check(run(row, mapping))


def check(result):
    """What comes out can be kept in a database: valid UTF-8, no NUL, JSON without NaN."""
    if isinstance(result, Quarantined):
        stored = [result.raw, result.reason, result.field or ""]
    else:
        stored = [f.text for f in result.records]
        stored += [f.meta for f in result.records]
        stored += [str(f.case_id) + str(f.customer_ref) + f.external_id for f in result.records]
    for value in stored:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
        assert not any("\0" in text for text in texts_in(value))


def texts_in(value):
    """Every text of a JSON value, keys too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)
    elif isinstance(value, str):
        yield value


def test_a_backslash_u0000_that_was_typed_is_no_nul_and_is_kept():
    (record,) = run({**ROW, "reason": "It said \\u0000 on the screen."}).records[:1]

    assert "\\u0000" in record.text
