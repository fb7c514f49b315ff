"""`voc pilot`, `voc effort`, `voc changes` and the work on root causes, from files to the database."""

import json

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from tests.integration.test_store_rootcauses import cause, save
from voc.cli.main import app
from voc.store.engine import open_engine, transaction

PLAN = """id: refund-fix
metric: complained
share: 0.5
planned_units: 400
margin: 0.1
guardrails: {escalated: 0.01}
"""


def run(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def database(store_url, monkeypatch):
    monkeypatch.setenv("VOC_DATABASE_URL", store_url)
    engine = open_engine(make_url(store_url).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


@pytest.fixture
def pilot(tmp_path):
    """A plan, units, and what the units did: all treated ones escalate, no one complains."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    units = tmp_path / "units.csv"
    units.write_text("unit\n" + "".join(f"u{no}\n" for no in range(600)))
    arms = lines(run("pilot", "assign", plan, units))
    values = tmp_path / "values.csv"
    values.write_text(
        "unit,complained,escalated\n"
        + "".join(f"{row['unit']},0,{int(row['arm'] == 'treated')}\n" for row in arms)
    )
    return plan, units, values, arms


def test_units_are_assigned_in_their_order_and_always_alike(pilot):
    plan, units, _, arms = pilot
    assert [row["unit"] for row in arms] == [f"u{no}" for no in range(600)]
    assert 240 < sum(row["arm"] == "treated" for row in arms) < 360
    assert lines(run("pilot", "assign", plan, units)) == arms


def test_a_look_needs_no_database_and_tells_of_a_broken_guardrail(pilot):
    plan, _, values, _ = pilot
    result = run("pilot", "look", plan, values)
    (row,) = lines(result)
    assert list(row) == ["pilot", "at", "metric", "verdict", "effect", "guardrails", "rollback", "notes"]
    assert row["verdict"] == "no effect that matters"
    assert row["rollback"][0]["event"] == "rollback"
    assert row["rollback"][0]["rose_by_at_least"] > 0.01
    assert "ROLL BACK 'refund-fix': escalated" in result.stderr


def test_a_plan_on_record_cannot_be_changed_and_keeps_its_looks(pilot, database):
    plan, _, values, _ = pilot
    with transaction(database) as conn:
        save(conn, cause())
    plan.write_text(PLAN + "root_cause: 1\n")
    run("pilot", "record", plan)
    run("pilot", "look", plan, values, "--record")
    assert [row["verdict"] for row in lines(run("pilot", "history", "refund-fix"))] == [
        "no effect that matters"
    ]
    history = json.loads(run("root-causes", "--show", 1, "--json").stdout)["history"]
    assert [entry["action"] for entry in history] == ["found", "pilot", "rollback"]
    plan.write_text(PLAN.replace("0.1", "0.2") + "root_cause: 1\n")
    assert "planned otherwise" in str(run("pilot", "look", plan, values, "--record", code=1).exception)


def test_comments_due_days_and_gaps_at_the_terminal(database):
    with transaction(database) as conn:
        save(conn, cause(owner=None))
    listed = run("root-causes")
    assert "nobody owns step 'check' of refund (1 root causes)" in listed.stderr
    shown = run("root-causes", "--show", 1, "--comment", "asked", "--due", "2026-05-01", "--owner", "Ann")
    assert "asked" in shown.stdout
    (row,) = json.loads(run("root-causes", "--json").stdout)
    assert (row["due_on"], row["owner"]) == ("2026-05-01", "Ann")
    assert "nobody" not in run("root-causes").stderr
    run("root-causes", "--show", 1, "--due", "soon", code=2)
    run("root-causes", "--comment", "to whom?", code=2)


def test_a_change_is_marked_external_and_taken_back(database, tmp_path):
    file = tmp_path / "changes.csv"
    file.write_text("id,timestamp,title\nOUT-1,2026-03-01T12:00:00Z,carrier down\n")
    run("changes", "--add", file)
    run("changes", "--mark", "OUT-1", "--external", "--note", "not ours")
    run("changes", "--add", file)
    (kept,) = json.loads(run("changes", "--json").stdout)
    assert kept["external"]
    run("changes", "--mark", "OUT-1", "--not-external")
    (back,) = json.loads(run("changes", "--json").stdout)
    assert not back["external"]
    assert [(m["before"], m["after"], m["note"]) for m in back["marks"]] == [
        (False, True, "not ours"),
        (True, False, None),
    ]
    run("changes", "--mark", "OUT-1", code=2)
    run("changes", "--mark", "OUT-9", "--external", code=1)


def test_effort_of_contacts_and_turns(tmp_path):
    contacts = tmp_path / "contacts.jsonl"
    contacts.write_text(
        "\n".join(
            json.dumps(
                {"contact_id": name, "customer_ref": "ann", "timestamp": f"2026-03-{day}", "signals": s}
            )
            for name, day, s in [("1", "01", ["delay"]), ("2", "03", ["delay", "privacy"]), ("3", "30", [])]
        )
    )
    turns = tmp_path / "turns.csv"
    turns.write_text(
        "conversation_id,turn_index,speaker,agent,text\n"
        "c,0,customer,,order 12345\nc,1,agent,ann,wait\nc,2,agent,bob,number?\nc,3,customer,,12345\n"
    )
    rows = lines(run("effort", contacts, "--turns", turns))
    assert [(r["topic"], r["n_issues"], r["contacts_per_issue"]) for r in rows[:2]] == [
        ("delay", 1, 2.0),
        ("privacy", 1, 1.0),
    ]
    assert (rows[2]["n_handoffs"], rows[2]["share_repeated"]) == (1, 1.0)
    (chain, _) = lines(run("effort", contacts, "--chains"))
    assert (chain["contacts"], chain["end"]) == (["1", "2"], "2026-03-03T00:00:00Z")
    run("effort", code=2)
    assert run("effort", turns, code=1).stdout == ""
