"""Exports of labelling tools to plain rows: Label Studio (JSON, JSON-MIN) and Argilla (1 and 2).

The questions must be named `sentiment`, `frustration` and `signals`, the text field `text`. A
question that is asked anywhere in an export was put for every text of it: where nothing was ticked,
a signal is absent and nobody is frustrated (the tools leave an empty choice out of the file).
"""

from collections.abc import Iterable, Iterator
from typing import Any

Row = dict[str, Any]
QUESTIONS = ("sentiment", "frustration", "signals")
_NOTHING_TICKED: Row = {"frustration": False, "signals": []}


def plain_rows(records: Iterable[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
    """(number, record) of any known form to (number, row); several answers give several rows.

    A record that nobody answered (skipped, draft, discarded) gives no row. A record that is already
    plain is passed on as it is.
    """
    answers: list[tuple[int, Row]] = []
    for number, record in records:
        if is_label_studio(record):
            answers += [(number, row) for row in _label_studio(record)]
        elif is_argilla(record):
            answers += [(number, row) for row in _argilla(record)]
        else:
            yield number, {key: _choices(value) for key, value in record.items()}
    asked = {key for _, row in answers for key in row}
    for number, row in answers:
        yield number, {k: v for k, v in _NOTHING_TICKED.items() if k in asked} | row


def is_label_studio(record: Row) -> bool:
    """Does the record look like a task of Label Studio?"""
    return isinstance(record.get("annotations"), list) and isinstance(record.get("data"), dict)


def is_argilla(record: Row) -> bool:
    """Does the record look like one of Argilla, nested or flat?"""
    return isinstance(record.get("fields"), dict) or any(f"{q}.responses" in record for q in QUESTIONS)


def _label_studio(task: Row) -> Iterator[Row]:
    """One row an annotation that was submitted.

    Source: the task format in Label Studio's guide (annotations, result, from_name, value).
    """
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):
            continue
        row: Row = {"text": task["data"].get("text")}
        for part in annotation.get("result", []):
            if part.get("from_name") in QUESTIONS:
                row[part["from_name"]] = _choices(part.get("value"))
        if len(row) > 1:
            yield row


def _choices(value: Any) -> Any:
    """What was chosen: JSON-MIN wraps several choices in an object and leaves a single one bare."""
    return value["choices"] if isinstance(value, dict) and "choices" in value else value


def _argilla(record: Row) -> Iterator[Row]:
    """One row a user who submitted."""
    by_user: dict[str, Row] = {}
    for question, value, user in _argilla_answers(record):
        if question in QUESTIONS:
            by_user.setdefault(user, {})[question] = value
    text = record["fields"].get("text") if "fields" in record else record.get("text")
    for row in by_user.values():
        yield {"text": text, **row}


def _argilla_answers(record: Row) -> Iterator[tuple[str, Any, str]]:
    """(question, value, user) of the answers that were submitted.

    Argilla 1 lists responses, each with the values of one user; Argilla 2 keeps a list a question;
    its flat form (data sets, `to_list(flatten=True)`) has parallel columns.
    """
    responses = record.get("responses")
    if isinstance(responses, list):
        for n, response in enumerate(responses):
            if response.get("status", "submitted") == "submitted":
                for question, answer in (response.get("values") or {}).items():
                    yield question, answer.get("value"), str(response.get("user_id", n))
    elif isinstance(responses, dict):
        for question, each in responses.items():
            for n, answer in enumerate(each or []):
                if (answer.get("status") or "submitted") == "submitted":
                    yield question, answer.get("value"), str(answer.get("user_id", n))
    else:
        for question in QUESTIONS:
            values = record.get(f"{question}.responses") or []
            users = record.get(f"{question}.responses.users") or range(len(values))
            states = record.get(f"{question}.responses.status") or ["submitted"] * len(values)
            for value, user, state in zip(values, users, states, strict=False):
                if (state or "submitted") == "submitted":
                    yield question, value, str(user)
