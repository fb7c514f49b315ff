"""The frontier: development sets alone, every bundle on the page."""

import json
import sys

import pytest

from evaluation import frontier
from evaluation.sets import read_development_sets, read_test_sets
from tests.tiny_bundle import build_tiny_bundle


@pytest.mark.data
def test_development_and_test_sets_share_no_text_where_a_test_split_exists(data_dir):
    development = {t for s in read_development_sets(data_dir)[:3] for t in s.texts}
    tests = {t for s in read_test_sets(data_dir)[:5] for t in s.texts}

    assert len(development) > 2000
    assert not development & tests


@pytest.mark.slow
@pytest.mark.data
def test_the_page_shows_accuracy_and_speed_of_each_bundle(tmp_path, data_dir, monkeypatch, capsys):
    monkeypatch.setenv("VOC_DATA_DIR", str(data_dir))
    build_tiny_bundle(tmp_path)
    page = tmp_path / "frontier.html"
    monkeypatch.setattr(
        sys, "argv", ["frontier", str(tmp_path / "tiny" / "0.1.0"), "--passes", "1", "--output", str(page)]
    )

    frontier.main()

    (row,) = json.loads(page.with_suffix(".json").read_text())
    assert row["bundle"] == "tiny/0.1.0"
    assert row["texts/s"] > 0
    assert 0 <= row["signals dev signals micro-F1"] <= 1
    assert "tiny/0.1.0" in page.read_text()
    assert "texts/s" in capsys.readouterr().out
