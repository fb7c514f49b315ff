"""The retraining guide: its commands run as printed, from own labels to a promoted bundle and back."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats

from tests.tiny_bundle import build_tiny_bundle, made_up_rows
from training.registry import live_name, promote, read_history

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
NEEDS_DATA = "<!-- needs the data folder -->\n"


def _commands(*, needs_data: bool) -> list[str]:
    blocks = re.findall(rf"({NEEDS_DATA})?```sh\n(.*?)```", (GUIDES / "retrain.md").read_text(), re.S)
    return [command for mark, command in blocks if bool(mark) == needs_data]


def _write_csv(path: Path, rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        out = csv.writer(handle)
        out.writerow(["text", "sentiment", "frustration", "signals"])
        for row in rows:
            frustration = "yes" if row["frustration"] else "no"
            out.writerow([row["text"], row["sentiment"], frustration, " ".join(row["signals"])])


@pytest.fixture
def clone(tmp_path):
    """What a newcomer has after step 1: the project, a live bundle (here a tiny one), two files of labels."""
    build_tiny_bundle(tmp_path / "models")
    promote(tmp_path / "models", "tiny/0.1.0", reason="shipped")
    rows = made_up_rows()
    _write_csv(tmp_path / "own.csv", rows[:400])
    _write_csv(tmp_path / "own_gate.csv", rows[400:])
    config = (ROOT / "training" / "configs" / "own.toml").read_text()
    # A random encoder has everything to learn, a shipped one little.
    for key, value in {"frozen": "1", "lr": "3e-3", "head_lr": "3e-2", "epochs": "6"}.items():
        config = re.sub(rf"^{key} = \S+", f"{key} = {value}", config, flags=re.M)
    (tmp_path / "training" / "configs").mkdir(parents=True)
    (tmp_path / "training" / "configs" / "own.toml").write_text(config + "threads = 1\ntoken_budget = 512\n")
    return tmp_path


def _run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # Run from the newcomer's folder, with the programs of the project under test.
    program = command.strip().replace(".venv/bin/python -m", f"{sys.executable} -P -m")
    return subprocess.run(
        program, shell=True, cwd=folder, text=True, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


@pytest.mark.slow
def test_the_commands_of_the_guide_run_as_printed(clone):
    commands = _commands(needs_data=False)
    assert len(commands) == 7

    for command in commands:
        done = _run(command, clone, VOC_DATA_DIR="nowhere")
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    (report,) = _commands(needs_data=True)
    without_data = _run(report, clone, VOC_DATA_DIR="nowhere")
    assert without_data.stderr.startswith("report: nowhere: the data folder is not there")
    changes = read_history(clone / "models")
    assert [(c.action, c.after) for c in changes] == [
        ("promote", "tiny/0.1.0"), ("promote", "own/1.0.1"), ("rollback", "tiny/0.1.0"),
    ]  # fmt: skip
    promoted = changes[1]
    assert not promoted.forced
    assert all(f["value"] > f["live"] for f in promoted.gate["figures"])
    assert live_name(clone / "models") == "tiny/0.1.0"


def test_a_wrong_label_stops_the_newcomer_with_the_remedy(clone):
    own = clone / "own.csv"
    own.write_text(own.read_text().replace(",delay", ",delayed"))

    done = _run(_commands(needs_data=False)[1], clone, VOC_DATA_DIR="nowhere")

    assert done.returncode == 1
    assert "did you mean 'delay'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_table_of_labels_needed_is_right():
    text = (GUIDES / "thresholds.md").read_text()
    rows = re.findall(r"^\| (0\.\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M)

    assert len(rows) == 6
    for limit, *cells in rows:
        for errors, cell in zip((0, 1, 3, 10), cells, strict=True):
            n = int(cell)
            assert stats.binom.cdf(errors, n, float(limit)) <= 0.05
            assert stats.binom.cdf(errors, n - 1, float(limit)) > 0.05
