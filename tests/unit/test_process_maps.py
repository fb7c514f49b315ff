"""Process maps: read, refused with the key that is wrong, written back to the same map."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voc.errors import MapError
from voc.process.map_files import parse_maps, read_maps
from voc.process.map_writer import write_map
from voc.process.maps import AppliesTo, ProcessMap, Rule, Step, Tolerance

SMALL = "name: m\nsteps: [a, b, c]\n"


def test_a_short_map_needs_no_more_than_a_name_and_steps():
    (one,) = parse_maps(SMALL)
    assert [step.name for step in one.steps] == ["a", "b", "c"]
    assert one.process == "m@1"


def test_defaults_hold_for_steps_that_do_not_say_otherwise():
    text = (
        "name: m\ndefaults: {mandatory: true, repeatable: false}\nsteps: [a, {name: b, mandatory: false}]\n"
    )
    (one,) = parse_maps(text)
    assert [(step.mandatory, step.max_repeats) for step in one.steps] == [(True, 0), (False, 0)]


def test_times_are_seconds_or_carry_a_unit():
    (one,) = parse_maps(SMALL + "service_level: 90m\nhandoff_limit: 30\ntolerance: 0.2\n")
    assert (one.service_level_s, one.handoff_limit_s, one.tolerance) == (5400.0, 30.0, Tolerance(share=0.2))


def test_an_activity_may_stand_for_its_step_at_start_and_end():
    (one,) = parse_maps("name: m\nend: shut\nsteps: [{name: close, activities: [shut, cancel]}]\n")
    assert one.end == ("close",)


def test_a_folder_of_maps_is_read_in_order_of_names(tmp_path):
    (tmp_path / "b.yaml").write_text("name: b\nsteps: [x]\n")
    (tmp_path / "a.yml").write_text("name: a\nsteps: [x]\n---\nname: c\nsteps: [x]\n")
    assert [one.name for one in read_maps(tmp_path)] == ["a", "c", "b"]
    (tmp_path / "d.yaml").write_text("name: a\nsteps: [x]\n")
    with pytest.raises(MapError, match="'a@1' is given twice"):
        read_maps(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("name: [", "is not valid YAML at line"),
        ("- a\n", "is not a set of keys and values"),
        ("steps: [a]\n", "field 'name': is missing"),
        ("name: m\n", "field 'steps': is missing"),
        (SMALL + "colour: red\n", "field 'colour': unknown key in the map; use one of name, version"),
        ("name: m\nsteps: [{name: a, sla: 3}]\n", "field 'sla': unknown key in steps, entry 1"),
        ("name: m\nsteps: [a, a]\n", "field 'steps': step 'a' is listed twice"),
        ("name: m\nsteps: [a, {name: b, activities: [a]}]\n", "activity 'a' of step 'b' is also in step 'a'"),
        (SMALL + "rules: [{precedence: [a, z]}]\n", "field 'rules: precedence': names the unknown step 'z'"),
        (SMALL + "rules: [{precedence: a}]\n", "field 'rules: precedence': needs two steps"),
        (SMALL + "rules: [{precedence: [a, a]}]\n", "sets 'a' against itself"),
        (SMALL + "rules: [{before: [a, b]}]\n", "field 'before': unknown key in rules"),
        (
            SMALL + "rules: [{precedence: [a, b]}, {precedence: [b, c]}, {succession: [c, a]}]\n",
            "the rules go in a circle (a -> b -> c -> a), so no case could ever begin",
        ),
        (SMALL + "rules: [{response: [a, b]}, {response: [b, a]}]\n", "so no case could ever end"),
        (SMALL + "rules: [{existence: a}, {absence: a}]\n", "'a' must happen and must not"),
        (SMALL + "start: z\n", "field 'start': names the unknown step 'z'"),
        (SMALL + "flow: {a: [z]}\n", "field 'flow': names the unknown step 'z'"),
        (
            SMALL + "service_level: soon\n",
            "field 'service_level': is 'soon'; write seconds, or a number with",
        ),
        (SMALL + "max_ping_pong: 0\n", "field 'max_ping_pong': is 0; write a whole number of at least 1"),
        (SMALL + "stalled_limit: 3d\n", "field 'stalled_limit': needs the steps that finish a case"),
        (SMALL + "unlisted: maybe\n", "field 'unlisted': is 'maybe'"),
        (SMALL + "applies_to: {value: x}\n", "field 'applies_to': is not complete"),
        ("name: m\nsteps: [{name: a, mandatory: maybe}]\n", "field 'mandatory': is 'maybe'"),
    ],
)
def test_a_map_that_is_wrong_is_refused_with_its_key(text, message):
    with pytest.raises(MapError) as error:
        parse_maps(text, file="m.yaml")
    assert message in str(error.value)


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12).filter(
    lambda text: text.strip() == text
)
times = st.none() | st.integers(1, 10**7).map(float) | st.just(0.25)


@st.composite
def maps(draw):
    titles = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    steps = tuple(
        Step(
            title,
            (title,),
            owner=draw(st.none() | names),
            mandatory=draw(st.booleans()),
            max_repeats=draw(st.none() | st.integers(0, 5)),
            service_level_s=draw(times),
            handoff_limit_s=draw(times),
        )
        for title in titles
    )
    return ProcessMap(
        name=draw(names),
        version=draw(st.sampled_from(["1", "2026-03", "1.10"])),
        steps=steps,
        owner=draw(st.none() | names),
        start=tuple(titles[:1]),
        end=tuple(titles[-1:]),
        rules=(Rule("precedence", titles[0], titles[1]), Rule("absence", titles[0], times=3)),
        flow={titles[0]: tuple(titles[1:]), titles[-1]: ()},
        unlisted_deviate=draw(st.booleans()),
        applies_to=draw(st.none() | st.builds(AppliesTo, names, names)),
        service_level_s=draw(times),
        stalled_s=draw(times),
        max_ping_pong=draw(st.none() | st.integers(1, 9)),
        tolerance=draw(st.sampled_from([Tolerance(), Tolerance(0.1, 60.0)])),
    )


@settings(max_examples=60, deadline=None)
@given(maps())
def test_a_written_map_is_read_back_as_it_was(process_map):
    assert parse_maps(write_map(process_map, {process_map.steps[0].name: "a note"})) == [process_map]


def test_a_map_that_is_not_utf_8_is_to_be_saved_as_such(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_bytes("name: caf\xe9\n".encode("latin-1"))

    with pytest.raises(MapError, match="is not UTF-8; save it as UTF-8"):
        read_maps(path)


def test_raci_names_who_is_accountable_and_survives_writing():
    text = (
        "name: m\nsteps:\n"
        "  - {name: a, raci: {responsible: [Clerks, Temps], accountable: Ann, informed: Legal}}\n"
        "  - {name: b, owner: Bob, raci: {consulted: [Legal]}}\n"
        "  - {name: c, raci: {responsible: Clerks}}\n"
    )
    (one,) = parse_maps(text)
    a, b, c = one.steps
    assert (a.owner, a.responsible, a.informed) == ("Ann", ("Clerks", "Temps"), ("Legal",))
    assert (b.owner, b.consulted) == ("Bob", ("Legal",))
    assert c.owner is None  # who does the work does not answer for it: a gap
    assert parse_maps(write_map(one)) == [one]


@pytest.mark.parametrize(
    ("step", "match"),
    [
        ("{name: a, raci: {accountable: [Ann, Bob]}}", "several accountable"),
        ("{name: a, owner: Ann, raci: {accountable: Bob}}", "another than 'owner'"),
        ("{name: a, raci: {boss: Ann}}", "'boss'"),
    ],
)
def test_raci_that_cannot_be_is_refused(step, match):
    with pytest.raises(MapError, match=match):
        parse_maps(f"name: m\nsteps: [{step}]\n")
