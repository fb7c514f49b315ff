"""A run in MLflow's own store, read back with MLflow's own client."""

import json

import pytest

from training.tracking import track
from voc.errors import InputError

RECORD = {
    "settings": {"epochs": 2, "lr": 1e-4, "sentiment": [{"set": "a"}]},
    "data": {"sha256": "abc"},
    "history": [{"step": 300, "loss": 0.9}, {"step": 600, "loss": 0.7}],
    "development": {"signals_dev": {"macro_f1": 0.8, "signals": {"micro_f1": 0.7, "macro_f1": None}}},
    "seconds": 12,
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MLflow puts artefacts beside the working folder
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps(RECORD))
    return tmp_path / "run"


@pytest.mark.slow
def test_settings_losses_figures_and_the_record_are_there(run, tmp_path):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlruns.db"
    run_id = track(uri, run, RECORD)

    client = MlflowClient(uri)
    found = client.get_run(run_id)
    assert found.data.params == {"epochs": "2", "lr": "0.0001"}
    assert found.data.metrics == {
        "loss": 0.7, "signals_dev.macro_f1": 0.8, "signals_dev.signals.micro_f1": 0.7,
    }  # fmt: skip
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "loss")] == [(300, 0.9), (600, 0.7)]
    assert [a.path for a in client.list_artifacts(run_id)] == ["run.json"]


def test_an_address_that_is_none_is_refused_with_a_remedy(run):
    with pytest.raises(InputError, match="the run itself is complete"):
        track("nowhere://x", run, RECORD)
