"""The loop of a data scientist on a tiny bundle: back to weights, on with own labels, out again."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from tests.tiny_bundle import build_tiny_bundle, made_up_rows, write_jsonl
from training import calibrate, export, finetune, gate
from training.from_bundle import MIN_COSINE, compare_with_graph, read_model
from training.model import load_encoder
from training.progress import Progress
from training.seen import key_of, read_seen
from training.settings import Settings
from voc.classify.bundle import file_digest, load_bundle
from voc.classify.model import Model
from voc.errors import BundleError, InputError

ROWS = made_up_rows()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    build_tiny_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(models):
    return models / "tiny" / "0.1.0"


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.setenv("VOC_DATA_DIR", "nowhere")


@pytest.fixture
def settings(tiny, tmp_path):
    labels = write_jsonl(tmp_path / "own.jsonl", ROWS[:160])
    return Settings(
        init_bundle=str(tiny), shared_data=False, own_labels="", extra_labels=str(labels), frozen=1,
        epochs=2, lr=3e-3, head_lr=3e-2, token_budget=512, checkpoint_every=3, threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A run that has learnt something, and its own labels."""
    folder = tmp_path_factory.mktemp("run")
    labels = write_jsonl(folder / "own.jsonl", ROWS[:320])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOC_DATA_DIR", "nowhere")
        report = finetune.run(
            Settings(
                init_bundle=str(tiny), shared_data=False, own_labels="", extra_labels=str(labels), frozen=1,
                epochs=6, lr=3e-3, head_lr=3e-2, token_budget=512, threads=1,
            ),
            folder / "run", resume=False,
        )  # fmt: skip
    return folder, report


def test_the_weights_of_a_bundle_come_back_out_of_its_graph(models, tiny):
    model, tokenizer, _ = read_model(tiny)

    before = torch.load(models / ".run-0.1.0" / "model.pt", weights_only=True)
    after = model.state_dict()
    assert before.keys() == after.keys()
    for name, weight in before.items():
        # An int8 step is the largest weight of a channel, or of a table, over 127 or less.
        assert (after[name] - weight).abs().max() <= weight.abs().max() / 100 + 1e-6, name
    cosine, difference = compare_with_graph(model, tiny / "model.onnx", tokenizer)
    assert cosine > MIN_COSINE
    assert difference < 0.01


def test_an_architecture_that_does_not_fit_the_graph_is_refused(tiny, tmp_path):
    copy = shutil.copytree(tiny, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["architecture"]["num_hidden_layers"] = 3
    (copy / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(BundleError, match=r"lacks \d+ weights .*layer\.2"):
        read_model(copy)


def test_more_frozen_layers_than_there_are_is_refused(tiny):
    with pytest.raises(BundleError, match="2 layers, 5 cannot be frozen"):
        read_model(tiny, frozen=5)


def test_a_base_model_of_another_architecture_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "distilbert"}))

    with pytest.raises(BundleError, match="'distilbert' is not supported"):
        load_encoder(tmp_path)


def test_own_labels_teach_the_bundle_something(finished, tiny):
    folder, report = finished
    record = json.loads((folder / "run" / "run.json").read_text())

    assert report["own_held_out"]["macro_f1"] > 0.8
    assert record["init_bundle"]["id"] == "tiny/0.1.0"
    assert record["data"]["counts"]["own"] + report["own_held_out"]["n_texts"] == 320


def test_the_same_seed_gives_the_same_weights_to_the_digit(settings, tmp_path):
    for name in ("a", "b"):
        finetune.run(settings, tmp_path / name, resume=False)

    a, b = (torch.load(tmp_path / n / "model.pt", weights_only=True) for n in ("a", "b"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(settings, tmp_path, monkeypatch):
    finetune.run(settings, tmp_path / "whole", resume=False)
    advance = Progress.advance

    def cut(self, n, *, note=""):
        advance(self, n, note=note)
        if self.name == "training" and self.done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", cut)
    with pytest.raises(KeyboardInterrupt):
        finetune.run(settings, tmp_path / "cut", resume=False)
    monkeypatch.undo()
    monkeypatch.setenv("VOC_DATA_DIR", "nowhere")
    assert (tmp_path / "cut" / "checkpoint.pt").exists()
    finetune.run(settings, tmp_path / "cut", resume=True)

    a, b = (torch.load(tmp_path / n / "model.pt", weights_only=True) for n in ("whole", "cut"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_own_labels_without_a_sentiment_are_refused_before_anything_is_written(settings, tmp_path):
    rows = [row for row in ROWS[:100] if row["sentiment"] != "positive"]
    labels = write_jsonl(tmp_path / "thin.jsonl", rows)

    with pytest.raises(InputError, match="texts is positive"):
        finetune.run(dataclasses.replace(settings, extra_labels=str(labels)), tmp_path / "run", resume=False)

    assert not (tmp_path / "run").exists()


def test_a_bundle_remembers_which_texts_trained_it(finished, models):
    folder, _ = finished
    target = export.export_bundle(folder / "run", name="tiny", version="0.2.0", output=models)

    seen = read_seen(target)

    assert 0 < len(seen) < 320
    assert sum(key_of(row["text"].upper()) in seen for row in ROWS[:320]) == len(seen)
    assert not any(key_of(row["text"]) in seen for row in ROWS[320:])
    manifest = load_bundle(target).manifest
    assert manifest["base"] == {"model": "random", "licence": "Apache-2.0"}
    assert manifest["training"]["init_bundle"]["id"] == "tiny/0.1.0"


def test_calibrating_on_what_trained_is_refused_and_on_the_rest_is_not(finished, models, tmp_path):
    folder, _ = finished
    target = export.export_bundle(folder / "run", name="leak", version="1", output=tmp_path)
    bundle = load_bundle(target)

    with pytest.raises(InputError, match=r"of 320 texts trained leak/1.*--unseen-only"):
        calibrate.own_examples(bundle, folder / "own.jsonl", unseen_only=False)
    unseen = calibrate.own_examples(bundle, folder / "own.jsonl", unseen_only=True)
    with pytest.raises(InputError, match="texts trained leak/1"):
        gate.measure(bundle, None, folder / "own.jsonl")

    seen = read_seen(target)
    assert unseen
    assert not any(key_of(e.text) in seen for e in unseen)


def test_calibration_lowers_the_loss_on_new_texts_and_keeps_unknown_labels(finished, tmp_path):
    folder, _ = finished
    bundle = load_bundle(export.export_bundle(folder / "run", name="cal", version="1", output=tmp_path))
    fit = calibrate.own_examples(
        bundle, write_jsonl(tmp_path / "fit.jsonl", ROWS[320:480]), unseen_only=False
    )
    test = calibrate.own_examples(bundle, write_jsonl(tmp_path / "new.jsonl", ROWS[480:]), unseen_only=False)

    found = calibrate.calibrate(bundle, fit)

    fitted = found.calibration
    assert found.proba.shape == found.y_true.shape == (160, 16)
    assert (fitted.slope[11], fitted.offset[11]) == (1.0, 0.0)  # privacy: never in these labels
    assert 0 < found.error["sentiment"] < 0.2
    assert _loss(dataclasses.replace(bundle, calibration=fitted), test) < _loss(bundle, test)


def _loss(bundle, examples):
    model = Model(bundle)
    sentiment, _ = model.proba(model.logits([e.text for e in examples]))
    return -np.log(sentiment[np.arange(len(examples)), [e.sentiment for e in examples]]).mean()


def test_an_export_beyond_the_tolerance_leaves_nothing_behind(finished, tmp_path, monkeypatch):
    folder, _ = finished
    monkeypatch.setattr(export, "MAX_MEAN_DIFFERENCE", 0.0)

    with pytest.raises(BundleError, match=r"beyond the tolerance.*nothing was exported"):
        export.export_bundle(folder / "run", name="x", version="1", output=tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []


def test_a_version_that_exists_is_not_overwritten(finished, models, tiny):
    folder, _ = finished
    before = file_digest(tiny / "manifest.json")

    with pytest.raises(BundleError, match="exists; give another --version"):
        export.export_bundle(folder / "run", name="tiny", version="0.1.0", output=models)

    assert file_digest(tiny / "manifest.json") == before


def test_the_gate_compares_two_bundles_on_the_same_texts(finished, tiny, tmp_path):
    folder, _ = finished
    better = load_bundle(export.export_bundle(folder / "run", name="new", version="1", output=tmp_path))

    figures = gate.measure(better, load_bundle(tiny), write_jsonl(tmp_path / "gate.jsonl", ROWS[480:]))

    sentiment, signals = figures
    assert sentiment.value > sentiment.live
    assert sentiment.low > 0  # the interval of the difference is above none
    assert not sentiment.worse
    assert signals.n_texts == 120
