"""`voc deviations` and `voc process` from files to files, and on real logs where they are present."""

import csv
import io
import json

import polars as pl
import pytest
from typer.testing import CliRunner

from voc.cli.main import app
from voc.errors import UsageError

ROWS = """case_id,activity,timestamp
1,register,2026-03-02T09:00:00Z
1,pay,2026-03-02T10:00:00Z
1,assess,2026-03-02T11:00:00Z
2,register,2026-03-02T09:00:00Z
2,assess,2026-03-02T10:00:00Z
2,pay,2026-03-02T12:30:00Z
"""
MAP = """name: claims
steps: [register, {name: assess, owner: Experts}, {name: pay, service_level: 2h}]
rules: [{precedence: [assess, pay]}]
"""
HEADER = ["case_id", "kind", "step", "from_step", "timestamp", "magnitude_s", "event_index"]


def run(*arguments, stdin=None, code=0):
    result = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)
    assert result.exit_code == code, result.output
    if code == 0 and result.exception:
        raise result.exception
    return result


@pytest.fixture
def files(tmp_path):
    (tmp_path / "log.csv").write_text(ROWS)
    (tmp_path / "map.yaml").write_text(MAP)
    return tmp_path


def test_deviations_are_csv_rows_with_the_fixed_columns(files):
    result = run("deviations", files / "log.csv", "--map", files / "map.yaml")
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert rows == [
        HEADER,
        ["1", "wrong_order", "pay", "assess", "2026-03-02T10:00:00.000000Z", "", "[1]"],
        ["2", "sla_breach", "pay", "assess", "2026-03-02T12:30:00.000000Z", "1800.0", "[1, 2]"],
    ]
    assert "2 deviations in 2 of 2 cases" in result.stderr


def test_details_add_who_says_so_and_who_owns_the_step(files):
    result = run("deviations", files / "log.csv", "--map", files / "map.yaml", "--details")
    assert result.stdout.splitlines()[0] == ",".join([*HEADER, "basis", "owner", "process"])
    assert result.stdout.splitlines()[1].endswith("map,,claims@1")


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_the_name_of_the_output_tells_its_format(files, name):
    run("deviations", files / "log.csv", "--map", files / "map.yaml", "--output", files / name)
    data = (files / name).read_bytes()
    if name.endswith(".parquet"):
        steps = pl.read_parquet(files / name)["step"].to_list()
    elif name.endswith(".jsonl"):
        rows = [json.loads(line) for line in data.splitlines()]
        assert rows[1]["event_index"] == [1, 2]
        steps = [row["step"] for row in rows]
    else:
        steps = [row["step"] for row in csv.DictReader(io.StringIO(data.decode()))]
    assert steps == ["pay", "pay"]


def test_a_log_comes_from_stdin_and_json_goes_to_stdout(files):
    result = run("deviations", "-", "--map", files / "map.yaml", "--json", stdin=ROWS)
    assert [json.loads(line)["case_id"] for line in result.stdout.splitlines()] == ["1", "2"]


def test_a_log_without_deviations_gives_a_header_alone(files):
    result = run("deviations", "-", stdin="case_id,activity\n1,a\n2,a\n")
    assert result.stdout == ",".join(HEADER) + "\n"
    assert "the log has no times" in result.stderr


def test_open_cases_are_judged_as_of_the_time_given(files):
    (files / "map.yaml").write_text("name: m\nend: pay\nstalled_limit: 1d\nsteps: [register, pay]\n")
    log = "case_id,activity,timestamp\n1,register,2026-03-02T09:00:00Z\n"
    early = run("deviations", "-", "--map", files / "map.yaml", "--now", "2026-03-03", stdin=log)
    late = run(
        "deviations", "-", "--map", files / "map.yaml", "--now", "2026-03-05T09:00:00+00:00", stdin=log
    )
    assert len(early.stdout.splitlines()) == 1
    assert late.stdout.splitlines()[1].startswith("1,stalled,register,")
    run("deviations", "-", "--now", "soon", stdin=log, code=2)


def test_a_bad_log_fails_with_its_row_and_writes_nothing(files):
    (files / "bad.csv").write_text("case_id,activity,timestamp\n1,a,yesterday\n")
    result = CliRunner().invoke(app, ["deviations", str(files / "bad.csv"), "--output", str(files / "o.csv")])
    assert "row 1, field 'timestamp'" in str(result.exception)
    assert not (files / "o.csv").exists()


def test_a_drafted_map_checks_and_holds_for_the_log_it_came_from(files):
    log = "case_id,activity\n" + "".join(f"{case},{step}\n" for case in range(40) for step in "abcd")
    (files / "clean.csv").write_text(log)
    run("process", "discover", files / "clean.csv", "--output", files / "draft.yaml")
    assert "clean@1: 4 steps (4 mandatory" in run("process", "check", files / "draft.yaml").stdout
    checked = run("deviations", files / "clean.csv", "--map", files / "draft.yaml")
    assert len(checked.stdout.splitlines()) == 1


def test_flows_are_imported_as_maps_that_check(files):
    flow = {"greet": {"graph": {"hello": "ask_name", "ask_name": "query", "query": "inform"}}}
    (files / "flows.json").write_text(json.dumps(flow))
    run("process", "import", files / "flows.json", "--output", files / "maps", "--end", "bye")
    assert "greet@1: 4 steps (1 mandatory" in run("process", "check", files / "maps").stdout


@pytest.mark.data
@pytest.mark.parametrize(("name", "floor"), [("receipt", 0.6), ("p2p_syn", 0.95), ("small_syn", 0.95)])
def test_injected_deviations_of_order_are_found_without_a_map(data_dir, tmp_path, name, floor):
    run("deviations", data_dir / "deviations" / f"{name}.csv.gz", "--output", tmp_path / "found.csv")
    found = pl.read_csv(tmp_path / "found.csv").filter(
        pl.col("kind").is_in(["rework_loop", "skipped_step", "wrong_order"])
    )
    truth = pl.read_csv(data_dir / "deviations" / f"{name}_truth.csv.gz").filter(
        pl.col("label") != "Attribute"
    )
    flagged = truth["case_id"].is_in(found["case_id"].unique().to_list())
    deviates = truth["label"] != "normal"
    hits = int((flagged & deviates).sum())
    assert 2 * hits / (int(flagged.sum()) + int(deviates.sum())) >= floor


@pytest.mark.data
def test_the_reference_flows_of_dialogues_import_and_apply(data_dir, tmp_path):
    folder = data_dir / "transcripts"
    run(
        "process",
        "import",
        folder / "star_reference.json",
        "--output",
        tmp_path,
        "--end",
        "dialogue_complete",
    )
    log = folder / "log_star_dialogues.csv.gz"
    result = run("deviations", log, "--map", tmp_path, "--output", tmp_path / "found.csv", "--details")
    assert "of 4659 cases" in result.stderr
    found = pl.read_csv(tmp_path / "found.csv")
    assert found["process"].n_unique() >= 15
    assert set(found["basis"]) == {"map"}


def test_a_step_that_the_map_does_not_know_is_told(files):
    rows = ROWS + "2,phone call,2026-03-02T13:00:00Z\n"
    result = run("deviations", "-", "--map", files / "map.yaml", stdin=rows)
    assert "1 events are of activities that no step lists ('phone call')" in result.stderr
    assert "phone call" not in result.stdout


def test_a_few_cases_are_said_to_be_too_few_to_learn_from():
    rows = "case_id,activity\n" + "".join(f"{case},{step}\n" for case in range(5) for step in "abc")
    assert "5 cases are too few to learn what is usual from" in run("deviations", "-", stdin=rows).stderr


def test_a_parquet_output_keeps_a_link_and_refuses_a_folder(files):
    (files / "link.parquet").symlink_to(files / "real.parquet")
    (files / "folder.parquet").mkdir()

    run("deviations", files / "log.csv", "--output", files / "link.parquet")
    assert (files / "link.parquet").is_symlink()
    assert pl.read_parquet(files / "real.parquet").columns == HEADER

    refused = CliRunner().invoke(
        app, ["deviations", str(files / "log.csv"), "--output", str(files / "folder.parquet")]
    )
    assert isinstance(refused.exception, UsageError)
