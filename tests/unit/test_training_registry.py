"""The registry: what may go live, what is written down, what a rollback goes back to."""

import json
from datetime import UTC, datetime

import pytest

from tests.fake_bundle import metrics, write_fake_bundle
from training import registry
from voc.classify.bundle import find_live_bundle
from voc.errors import BundleError, UsageError


@pytest.fixture
def models(tmp_path):
    write_fake_bundle(tmp_path, "m/1", metrics=metrics(0.80, 0.70))
    write_fake_bundle(tmp_path, "m/2", metrics=metrics(0.82, 0.71))
    write_fake_bundle(tmp_path, "m/3", metrics=metrics(0.85, 0.60))
    return tmp_path


def test_a_promotion_names_the_live_bundle_and_is_written_down(models):
    change, _ = registry.promote(models, "m/1", reason="first", by="ana")

    assert find_live_bundle(models) == models / "m" / "1"
    (line,) = (models / "HISTORY.jsonl").read_text().splitlines()
    written = json.loads(line)
    assert (written["by"], written["before"], written["after"]) == ("ana", None, "m/1")
    assert written["reason"] == "first"
    assert change.gate["figures"][0]["value"] == 0.80


def test_a_better_bundle_follows_and_the_history_only_grows(models):
    registry.promote(models, "m/1")
    first = (models / "HISTORY.jsonl").read_bytes()

    _, figures = registry.promote(models, "m/2")

    assert (models / "HISTORY.jsonl").read_bytes().startswith(first)
    assert [round(f.value - f.live, 2) for f in figures] == [0.02, 0.01]
    assert registry.live_name(models) == "m/2"


def test_a_bundle_worse_in_one_figure_is_not_promoted(models):
    registry.promote(models, "m/2")

    with pytest.raises(BundleError, match=r"m/3 is not promoted.*signals micro-F1 0\.600, live 0\.710"):
        registry.promote(models, "m/3")

    assert registry.live_name(models) == "m/2"
    assert len(registry.read_history(models)) == 1


def test_force_needs_a_reason_and_leaves_a_mark(models):
    registry.promote(models, "m/2")

    with pytest.raises(UsageError, match="--reason"):
        registry.promote(models, "m/3", force=True, reason=" ")
    change, _ = registry.promote(models, "m/3", force=True, reason="sentiment matters more this month")

    assert change.forced
    assert "worse than m/2" in change.gate["objection"]


def test_force_that_was_not_needed_is_not_called_forced(models):
    registry.promote(models, "m/1")

    change, _ = registry.promote(models, "m/2", force=True, reason="to be sure")

    assert not change.forced


def test_a_corrupt_bundle_is_never_promoted(models):
    (models / "m" / "2" / "model.onnx").write_bytes(b"cut")

    with pytest.raises(BundleError, match="corrupt"):
        registry.promote(models, "m/2", force=True, reason="please")

    assert registry.live_name(models) is None
    assert not (models / "HISTORY.jsonl").exists()


def test_bundles_without_common_figures_need_a_gate_file(models):
    write_fake_bundle(models, "m/4", metrics=metrics(0.9, 0.9, where="own_held_out"))
    registry.promote(models, "m/1")

    with pytest.raises(BundleError, match="share no figures"):
        registry.promote(models, "m/4")


def test_a_rollback_takes_off_one_promotion_at_a_time(models):
    registry.promote(models, "m/1")
    registry.promote(models, "m/2")
    registry.promote(models, "m/3", force=True, reason="try")

    first = registry.rollback(models, reason="too many alerts")
    second = registry.rollback(models, reason="still")

    assert (first.after, second.after) == ("m/2", "m/1")
    assert registry.live_name(models) == "m/1"
    with pytest.raises(UsageError, match="no earlier bundle"):
        registry.rollback(models, reason="again")


def test_a_rollback_goes_back_to_a_live_bundle_that_was_there_before_the_history(models):
    (models / "LIVE").write_text("m/1\n")  # as it came with the clone
    registry.promote(models, "m/2")

    assert registry.rollback(models, reason="as before").after == "m/1"


def test_a_rollback_needs_a_reason_and_a_bundle_that_was_live(models):
    registry.promote(models, "m/1")
    registry.promote(models, "m/2")

    with pytest.raises(UsageError, match="--reason"):
        registry.rollback(models)
    with pytest.raises(UsageError, match="never live"):
        registry.rollback(models, to="m/3", reason="x")


def test_a_bundle_promoted_twice_is_found_where_it_was_last(models):
    changes = [
        registry.Change("2026-01-01T00:00:00+00:00", "a", "promote", None, name, "")
        for name in ("m/1", "m/2", "m/1", "m/3")
    ]

    assert registry.previous(changes) == "m/1"
    changes.append(registry.Change("2026-01-02T00:00:00+00:00", "a", "rollback", "m/3", "m/1", ""))
    assert registry.previous(changes) == "m/2"


def test_the_history_says_what_was_live_when():
    changes = [
        registry.Change("2026-01-01T00:00:00+00:00", "a", "promote", None, "m/1", ""),
        registry.Change("2026-03-01T00:00:00+00:00", "a", "promote", "m/1", "m/2", ""),
    ]

    def at(month):
        return registry.live_at(changes, datetime(2026, month, 1, 12, tzinfo=UTC))

    assert registry.live_at(changes, datetime(2025, 12, 31, tzinfo=UTC)) is None
    assert (at(1), at(2), at(3)) == ("m/1", "m/1", "m/2")


def test_the_list_shows_the_live_bundle_and_a_broken_one(models):
    registry.promote(models, "m/1")
    (models / "m" / "3" / "tokenizer.json").unlink()

    rows = {row["bundle"]: row for row in registry.list_bundles(models)}

    assert [name for name, row in rows.items() if row["live"]] == ["m/1"]
    assert "cannot be read" in rows["m/3"]["state"]
    assert rows["m/1"]["figures"]["signals_dev sentiment macro-F1"] == 0.8


@pytest.mark.parametrize("name", ["m", "m/../1", "../x/1", ""])
def test_a_name_that_is_not_a_bundle_is_refused(models, name):
    with pytest.raises(UsageError, match="name/version"):
        registry.promote(models, name)


def test_a_folder_that_bears_another_name_is_refused(models):
    (models / "m" / "1").rename(models / "m" / "9")

    with pytest.raises(BundleError, match="must bear its name"):
        registry.promote(models, "m/9")


def test_a_hand_edited_live_is_told(models, capsys):
    registry.promote(models, "m/1")
    (models / "LIVE").write_text("m/2\n")

    registry._print_list(models)

    assert "by hand" in capsys.readouterr().err
