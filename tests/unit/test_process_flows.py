"""Reference flow graphs become maps: questions may be left out, look-ups may not."""

import json

import pytest

from voc.errors import MapError
from voc.process.flows import read_flows
from voc.process.order import MapOrder

FLOW = {
    "hello": "ask_name",
    "ask_name": "book_ask_day",
    "book_ask_day": "query_check",
    "available": "book_offer",
    "unavailable": "book_refuse",
    "no": "book_ask_day",
    "yes": "query_book",
    "query_book": "book_done",
    "book_done": "anything_else",
}


@pytest.fixture
def flow_map(tmp_path):
    path = tmp_path / "flows.json"
    path.write_text(json.dumps({"book": {"graph": FLOW, "replies": {}}}))
    (one,) = read_flows(path, end="finished")
    return one


def found(flow_map, *activities):
    return [(one.kind, one.step) for one in MapOrder(flow_map).check([*activities, "finished"])]


CHECK, BOOK = "query:book:Check", "query:book:Book"


def test_a_flow_names_its_cases_its_end_and_its_mandatory_look_ups(flow_map):
    assert (flow_map.applies_to.attribute, flow_map.applies_to.value) == ("tasks", "book")
    assert flow_map.end == ("finished",)
    assert [step.name for step in flow_map.steps if step.mandatory] == [CHECK]


def test_the_whole_way_and_one_with_volunteered_answers_are_both_fine(flow_map):
    assert found(flow_map, "hello", "ask_name", "book_ask_day", CHECK, "book_offer", BOOK, "book_done") == []
    assert found(flow_map, "book_ask_day", CHECK, "book_offer", BOOK, "book_done") == []


def test_a_branch_that_leads_back_may_repeat_steps(flow_map):
    steps = ("ask_name", "book_ask_day", CHECK, "book_refuse", "book_ask_day", CHECK, "book_offer")
    assert found(flow_map, *steps) == []


def test_asking_again_for_what_no_branch_leads_back_to_is_rework(flow_map):
    steps = ("ask_name", "book_ask_day", CHECK, "ask_name", "book_offer")
    assert ("rework_loop", "ask_name") in found(flow_map, *steps)


def test_telling_an_outcome_that_was_never_looked_up_is_a_skipped_step(flow_map):
    assert ("skipped_step", BOOK) in found(flow_map, "ask_name", CHECK, "book_offer", "book_done")


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1]", "holds no flows"), ("{", "cannot be read as JSON"), ('{"f": {"graph": {}}}', "has no graph")],
)
def test_a_file_that_is_not_of_flows_is_refused(tmp_path, text, message):
    path = tmp_path / "flows.json"
    path.write_text(text)
    with pytest.raises(MapError, match=message):
        read_flows(path)
