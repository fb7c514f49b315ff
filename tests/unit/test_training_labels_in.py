"""Own labels: every form gives the same examples; what cannot be meant is refused with its row."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data import SIGNAL_NAMES, UNKNOWN, normal_form, text_key
from training.labels_in import (
    count_positives,
    mask_empty_signals,
    read_labels,
    refuse_empty_sentiment,
    refuse_held_out,
    warnings_of,
)
from voc.errors import InputError

DELAY, SAFETY = SIGNAL_NAMES.index("delay"), SIGNAL_NAMES.index("safety")
LATE = {"text": "It came late, and burnt my hand.", "sentiment": "negative", "frustration": True,
        "signals": ["delay", "safety"]}  # fmt: skip
FINE = {"text": "All is well with the lamp.", "sentiment": "positive", "frustration": False, "signals": []}


def _jsonl(tmp_path, *rows, name="own.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _csv(tmp_path, text):
    path = tmp_path / "own.csv"
    path.write_text(text, encoding="utf-8")
    return path


def _label_studio(row):
    """A task as Label Studio exports it; nothing is written for a choice left empty."""
    answers = {"sentiment": [row["sentiment"]], "frustration": ["yes" if row["frustration"] else "no"],
               "signals": row["signals"]}  # fmt: skip
    result = [
        {"id": "a", "from_name": name, "to_name": "text", "type": "choices", "value": {"choices": choices}}
        for name, choices in answers.items() if choices
    ]  # fmt: skip
    return {"id": 1, "data": {"text": row["text"]}, "annotations": [{"result": result}], "predictions": []}


def _argilla_1(row):
    values = {q: {"value": row[q]} for q in ("sentiment", "signals")}
    values["frustration"] = {"value": "yes" if row["frustration"] else "no"}
    answer = {"user_id": "u", "values": values, "status": "submitted"}
    return {"fields": {"text": row["text"]}, "responses": [answer, {"status": "draft", "values": None}]}


def _argilla_2(row):
    values = {**row, "frustration": "yes" if row["frustration"] else "no"}
    return {
        "id": "r", "fields": {"text": row["text"]}, "suggestions": {},
        "responses": {q: [{"value": values[q], "user_id": "u"}]
                      for q in ("sentiment", "frustration", "signals")},
    }  # fmt: skip


def _argilla_flat(row):
    nested = _argilla_2(row)["responses"]
    flat = {f"{q}.responses": [a["value"] for a in answers] for q, answers in nested.items()}
    flat |= {f"{q}.responses.users": ["u"] for q in nested}
    flat |= {f"{q}.responses.status": ["submitted"] for q in nested}
    return {"text": row["text"], "sentiment.suggestion": "neutral", **flat}


def _check(own):
    late, fine = own.examples
    assert (late.text, late.sentiment, late.frustration) == (LATE["text"], 0, 1)
    assert [i for i, s in enumerate(late.signals) if s == 1] == [DELAY, SAFETY]
    assert (fine.sentiment, fine.frustration, set(fine.signals)) == (2, 0, {0})


@pytest.mark.parametrize("form", [dict, _label_studio, _argilla_1, _argilla_2, _argilla_flat])
@pytest.mark.parametrize("as_list", [True, False])
def test_every_export_gives_the_same_examples(tmp_path, form, as_list):
    rows = [form(LATE), form(FINE)]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(rows) if as_list else "".join(json.dumps(r) + "\n" for r in rows))

    _check(read_labels(path))


def test_a_csv_gives_the_same_examples(tmp_path):
    header = "text,sentiment,frustration,signals\n"

    _check(read_labels(_csv(tmp_path, f'{header}"{LATE["text"]}",negative,yes,delay safety\n'
                                      f"{FINE['text']},Positive,no,\n")))  # fmt: skip


def test_json_min_of_label_studio_is_read(tmp_path):
    rows = [{**LATE, "frustration": "yes", "signals": {"choices": ["delay", "safety"]}}, FINE]

    _check(read_labels(_jsonl(tmp_path, *rows)))


def test_what_nobody_answered_is_left_out(tmp_path):
    skipped = {"data": {"text": "not judged"}, "annotations": [{"was_cancelled": True, "result": []}]}
    discarded = {"fields": {"text": "nor this"}, "responses": [
        {"user_id": "u", "status": "discarded", "values": {"sentiment": {"value": "neutral"}}}]}  # fmt: skip

    own = read_labels(_jsonl(tmp_path, skipped, _label_studio(LATE), discarded))

    assert [e.text for e in own.examples] == [LATE["text"]]
    assert own.rows == (2,)


def test_a_heading_that_is_left_out_is_not_judged(tmp_path):
    own = read_labels(_csv(tmp_path, "text,sentiment\nthe lamp is blue,neutral\n"))

    assert own.examples[0].frustration == UNKNOWN
    assert set(own.examples[0].signals) == {UNKNOWN}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**LATE, "signals": ["delayed"]}, r"row 2, field 'signals': 'delayed' .*did you mean 'delay'"),
        ({**LATE, "signals": "biling error"}, "did you mean 'billing_error'"),
        ({**LATE, "sentiment": "bad"}, r"row 2, field 'sentiment': 'bad' does not exist"),
        ({**LATE, "frustration": "maybe"}, "'maybe' is neither yes nor no"),
        ({**LATE, "split": "trian"}, "did you mean 'train'"),
        ({**LATE, "text": " ... "}, "row 2, field 'text'"),
        ({"text": "some words"}, "row 2: nothing is judged"),
    ],
)
def test_a_wrong_row_is_named_with_its_remedy(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        read_labels(_jsonl(tmp_path, FINE, row))


def test_a_customers_words_in_the_wrong_cell_are_not_shown(tmp_path):
    words = "my secret name is Anna and I live here"

    with pytest.raises(InputError) as caught:
        read_labels(_jsonl(tmp_path, {**FINE, "frustration": words}))

    assert "Anna" not in str(caught.value)


def test_contradictory_duplicates_are_refused_with_both_rows(tmp_path):
    other = {**LATE, "text": LATE["text"].upper() + "!!", "signals": ["delay"]}

    with pytest.raises(InputError, match=r"row 3: contradicts row 1: the same text, another safety"):
        read_labels(_jsonl(tmp_path, LATE, FINE, other))


def test_repeats_that_agree_are_one_text_and_fill_each_other(tmp_path):
    part = {"text": LATE["text"], "sentiment": "negative"}

    own = read_labels(_jsonl(tmp_path, part, LATE, FINE, FINE))

    _check(own)
    assert own.n_repeated == 2


def test_one_text_in_two_splits_is_a_leak(tmp_path):
    rows = [{**LATE, "split": "train"}, FINE, {**LATE, "split": "calibration"}]

    with pytest.raises(InputError, match=r"row 3.*row 1 in another split \(train, calibration"):
        read_labels(_jsonl(tmp_path, *rows))


def test_a_split_is_kept_and_a_test_text_is_used_for_neither(tmp_path):
    rows = [{**LATE, "split": "calibration"}, {**FINE, "split": "test"}]

    fit, calibration = read_labels(_jsonl(tmp_path, *rows)).fit_and_calibration()

    assert (fit, [e.text for e in calibration]) == ([], [LATE["text"]])


def test_without_a_split_the_hash_decides_for_every_spelling(tmp_path):
    rows = [{"text": f"sentence number {i} of many", "sentiment": "neutral"} for i in range(200)]

    fit, calibration = read_labels(_jsonl(tmp_path, *rows)).fit_and_calibration()

    assert len(fit) + len(calibration) == 200
    assert 10 < len(calibration) < 45  # an eighth is 25
    assert all(int(text_key(normal_form(e.text.upper())), 16) % 8 == 0 for e in calibration)


def test_a_text_of_a_held_out_set_is_refused_and_a_common_phrase_left_out(tmp_path):
    thanks = {"text": "Thank you!", "sentiment": "positive"}
    own = read_labels(_jsonl(tmp_path, LATE, FINE, thanks))

    left = refuse_held_out(own, {normal_form(thanks["text"])})
    with pytest.raises(InputError, match=r"1 texts are in a development or test set \(rows 1\)"):
        refuse_held_out(own, {normal_form(LATE["text"])})

    assert len(left.examples) == 2


def test_an_empty_sentiment_is_refused_and_named(tmp_path):
    examples = read_labels(_jsonl(tmp_path, LATE, FINE)).examples

    with pytest.raises(InputError, match="none of 2 texts is neutral"):
        refuse_empty_sentiment(examples, "own.jsonl")
    refuse_empty_sentiment([e for e in examples if e.sentiment == UNKNOWN], "own.jsonl")


def test_thin_labels_are_told_with_numbers(tmp_path):
    warnings = warnings_of(read_labels(_jsonl(tmp_path, LATE, FINE)).examples)

    assert "delay 1 of 2" in warnings[0]
    assert "neutral (of 2)" in warnings[1]


def test_a_signal_that_never_occurs_is_masked_not_unlearnt(tmp_path):
    masked, hidden = mask_empty_signals(list(read_labels(_jsonl(tmp_path, LATE, FINE)).examples))

    assert "privacy" in hidden
    assert "delay" not in hidden
    assert masked[0].signals[SIGNAL_NAMES.index("privacy")] == UNKNOWN
    assert masked[0].signals[DELAY] == 1
    assert count_positives(masked)["privacy"] == (0, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("note,sentiment\nhello,neutral\n", "columns are note, sentiment; a header with 'text'"),
        ("text,mood\nhello,neutral\n", "columns are text, mood"),
        ("text,sentiment\nhello, my friend,neutral\n", "row 1: has more cells than the header"),
        ("", "columns are missing"),
        ("text,sentiment\n", "holds no labelled text"),
    ],
)
def test_a_csv_of_another_form_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_labels(_csv(tmp_path, content))


def test_broken_json_names_its_line(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(FINE) + "\n{broken\n")

    with pytest.raises(InputError, match="row 2: is not JSON"):
        read_labels(path)


def test_another_encoding_is_refused(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_bytes('{"text": "caf\xe9"}'.encode("latin-1"))

    with pytest.raises(InputError, match="not UTF-8"):
        read_labels(path)


@given(st.lists(st.sampled_from(SIGNAL_NAMES), unique=True))
def test_signals_read_the_same_from_a_list_and_from_text(names):
    from training.labels_in import _example

    a = _example({"text": "some words", "signals": names}, "f", 1)
    b = _example({"text": "some words", "signals": " ".join(names)}, "f", 1)
    c = _example({"text": "some words", "signals": ", ".join(n.replace("_", " ").title() for n in names)},
                 "f", 1)  # fmt: skip

    assert a == b == c
    assert sum(a.signals) == len(names)
