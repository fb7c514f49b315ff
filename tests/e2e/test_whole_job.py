"""The whole job through the commands: simulated company, own files, and the real run in small."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_finds_what_was_planted_and_not_what_was_meant_to_mislead(voc_home):
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--no-serve", "--orders", "3000"],
        cwd=ROOT, capture_output=True, text=True, timeout=600, env={**os.environ, "VOC_HOME": str(voc_home / "demo")},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    comparison = json.loads((ROOT / "var" / "demo" / "comparison.json").read_text())
    associations = comparison["result"]["associations"]
    reported = {(a["kind"], a["step"], a["outcome"]) for a in associations["reported"]}
    planted = {(p["kind"], p["step"], p["outcome"]) for p in comparison["truth"]["planted"]}
    assert planted <= reported
    misleading = comparison["truth"]["misleading"]
    assert (misleading["kind"], misleading["step"], misleading["outcome"]) not in reported
    control = associations["control"]
    assert control["runs_with_any"] / control["runs"] <= 0.25
    assert "not reported, rightly" in done.stdout


def test_own_survey_from_file_to_root_causes(voc, tmp_path):
    survey = tmp_path / "survey.csv"
    survey.write_text(
        "response_id,submitted_at,nps,comment\n"
        "1,2026-03-01T10:00:00Z,2,The parcel never came\n"
        "2,2026-03-01T11:00:00Z,9,Quick and friendly\n"
        "3,2199-03-01T11:00:00Z,9,From the future\n"
        "4,2026-03-01T12:00:00Z,77,Wrong score\n"
    )
    mapping = ROOT / "examples" / "mappings" / "survey.yaml"

    first = json.loads(voc("ingest", survey, "--mapping", mapping, "--json").stdout)
    again = json.loads(voc("ingest", survey, "--mapping", mapping, "--json").stdout)

    assert (first["read"], first["stored"], first["quarantined"]) == (4, 2, 2)
    assert (again["stored"], again["duplicates"], again["already_there"]) == (0, 2, 2)
    raw = tmp_path / "bad.jsonl"
    assert voc("quarantine", "list", "--raw", "--output", raw).returncode == 0
    rows = [json.loads(line) for line in raw.read_text().splitlines()]
    assert {r["field"] for r in rows} == {"submitted_at", "nps"}
    for row in rows:
        row["raw"] |= {"submitted_at": "2026-03-01T13:00:00Z", "nps": "7"}
    raw.write_text("\n".join(json.dumps(r) for r in rows))
    replayed = voc("quarantine", "replay", "--mapping", mapping, "--rows", raw)
    assert "replayed 2" in replayed.stdout, replayed.stderr
    assert "quarantine is empty" in voc("quarantine", "list").stdout
    assert "scored 4" in voc("rescore").stdout
    assert "no root causes yet" in voc("root-causes").stdout


def test_a_run_with_an_unknown_key_or_a_missing_file_is_refused(voc, tmp_path):
    run = tmp_path / "run.yaml"
    run.write_text("name: x\nfeedbak: []\noutput: out\n")
    unknown = voc("run", run)
    run.write_text("name: x\nfeedback: [{path: a.csv, mapping: b.yaml}]\noutput: out\n")
    missing = voc("run", run)

    assert unknown.returncode == 1
    assert "run.yaml" in unknown.stderr
    assert missing.returncode == 1
    assert "a.csv is not there" in missing.stderr


def test_a_database_that_is_down_is_said_so(voc):
    done = voc("db", "status", VOC_DATABASE_URL="postgresql://nobody:secret@127.0.0.1:1/voc")

    assert done.returncode == 1
    assert "127.0.0.1" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.data
def test_the_real_run_in_small(voc, tmp_path, data_dir):
    """300 of the dialogues through the same specification as examples/star.yaml."""
    with gzip.open(data_dir / "transcripts" / "star.jsonl.gz", "rt", encoding="utf-8") as source:
        lines = [next(source) for _ in range(300)]
    (tmp_path / "star.jsonl").write_text("".join(lines), encoding="utf-8")
    spec = yaml.safe_load((ROOT / "examples" / "star.yaml").read_text())
    spec["feedback"][0] = {"path": "star.jsonl", "mapping": str(ROOT / "examples" / "mappings" / "star.yaml")}
    spec["process"] |= {
        "log": str(data_dir / "transcripts" / "log_star_dialogues.csv.gz"),
        "flows": str(data_dir / "transcripts" / "star_reference.json"),
    }
    spec["output"] = "out"
    (tmp_path / "star.yaml").write_text(yaml.safe_dump(spec))

    done = voc("run", tmp_path / "star.yaml", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    counts = result["imports"][0]
    assert counts["read"] == counts["stored"] + counts["duplicates"] + counts["quarantined"]
    assert result["deviations"]["maps"] == 20
    assert result["scores"]["units"] > 250
    assert result["associations"]["tested"] >= 0
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
