"""Opening a bundle: what is sound opens, what was cut, changed or made for another taxonomy does not."""

import json

import pytest

from tests.fake_bundle import write_fake_bundle
from voc.classify.bundle import find_live_bundle, load_bundle
from voc.classify.model import Model
from voc.classify.scorer import Scorer
from voc.errors import BundleError, CalibrationError, UsageError
from voc.taxonomy import SENTIMENTS, SIGNALS


def test_a_sound_bundle_opens_and_bears_its_name(tmp_path):
    bundle = load_bundle(write_fake_bundle(tmp_path, "small/1.2.3"))

    assert bundle.id == "small/1.2.3"
    assert bundle.operating_point(None).name == "balanced"


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_one_changed_byte_is_refused(tmp_path, name):
    folder = write_fake_bundle(tmp_path)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])

    with pytest.raises(BundleError, match=rf"{name} is corrupt.*fetch the bundle again"):
        load_bundle(folder)


def test_a_missing_file_is_refused(tmp_path):
    folder = write_fake_bundle(tmp_path)
    (folder / "tokenizer.json").unlink()

    with pytest.raises(BundleError, match=r"tokenizer\.json cannot be read"):
        load_bundle(folder)


@pytest.mark.parametrize("key", ["labels", "calibration", "files", "max_tokens", "operating_points"])
def test_a_manifest_without_a_key_is_refused_by_its_name(tmp_path, key):
    with pytest.raises(BundleError, match=f"lacks {key}"):
        load_bundle(write_fake_bundle(tmp_path, **{key: None}))


@pytest.mark.parametrize(
    "labels",
    [
        {"sentiment": list(SENTIMENTS), "signals": list(SIGNALS)[::-1]},  # the same names, another order
        {"sentiment": list(SENTIMENTS), "signals": list(SIGNALS)[:-1]},
        {"sentiment": ["bad", "good"], "signals": list(SIGNALS)},
    ],
)
def test_a_bundle_of_another_taxonomy_is_refused(tmp_path, labels):
    with pytest.raises(BundleError, match="not this taxonomy's"):
        load_bundle(write_fake_bundle(tmp_path, labels=labels))


def test_an_operating_point_without_a_label_is_refused(tmp_path):
    points = {"balanced": {"thresholds": {"delay": 0.5}}}

    with pytest.raises(BundleError, match="operating point 'balanced' lacks"):
        load_bundle(write_fake_bundle(tmp_path, operating_points=points))


def test_a_schema_of_the_future_is_refused(tmp_path):
    with pytest.raises(BundleError, match="schema 99"):
        load_bundle(write_fake_bundle(tmp_path, schema=99))


def test_calibration_that_turns_probabilities_round_is_refused(tmp_path):
    folder = write_fake_bundle(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["calibration"]["slope"][0] = -1.0
    (folder / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(CalibrationError, match="above 0"):
        load_bundle(folder)


def test_a_manifest_that_is_no_json_is_refused(tmp_path):
    folder = write_fake_bundle(tmp_path)
    (folder / "manifest.json").write_text("{cut")

    with pytest.raises(BundleError, match=r"not JSON \(line 1\)"):
        load_bundle(folder)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="is this the folder of a bundle"):
        load_bundle(tmp_path)


def test_a_bundle_that_is_not_there_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="there is no such bundle"):
        load_bundle(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"calibration": {}}, "calibration is not of the right form"),
        ({"calibration": {"temperature": 1, "bias": [0], "slope": [1], "offset": [0], "window_penalty": 0}},
         "calibration is not"),
        ({"labels": {"sentiment": list(SENTIMENTS)}}, "labels is not"),
        ({"files": ["model.onnx"]}, "files is not"),
        ({"files": {}}, r"files lack model\.onnx, tokenizer\.json"),
        ({"max_tokens": "x"}, "max_tokens, overlap or embedding_dim is not"),
        ({"operating_points": {"balanced": {}}}, "operating_points is not"),
        ({"default_operating_point": "strict"}, "'strict' is none of balanced"),
        ({"default_operating_point": ["balanced"]}, "is none of balanced"),
    ],
)  # fmt: skip
def test_a_manifest_whose_values_make_no_sense_is_refused_by_key(tmp_path, change, words):
    with pytest.raises(BundleError, match=words):
        load_bundle(write_fake_bundle(tmp_path, **change))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfea", "not JSON in UTF-8"), (b"[" * 100_000, "not JSON"), (b"[1]", "no JSON object")],
)
def test_a_manifest_that_is_no_object_is_refused(tmp_path, content, words):
    (tmp_path / "manifest.json").write_bytes(content)

    with pytest.raises(BundleError, match=words):
        load_bundle(tmp_path)


def test_a_graph_that_is_none_is_refused_when_it_is_to_run(tmp_path):
    bundle = load_bundle(write_fake_bundle(tmp_path))

    with pytest.raises(BundleError, match=r"tokenizer\.json cannot be read|cannot be run"):
        Model(bundle)


def test_an_unknown_operating_point_names_those_there_are(tmp_path):
    with pytest.raises(UsageError, match="no operating point 'strict'; it has balanced"):
        Scorer(load_bundle(write_fake_bundle(tmp_path)), operating_point="strict")


def test_live_names_a_bundle_that_is_there(tmp_path):
    with pytest.raises(BundleError, match="LIVE cannot be read"):
        find_live_bundle(tmp_path)
    (tmp_path / "LIVE").write_text("fake/1.0.0\n")
    with pytest.raises(BundleError, match="no folder"):
        find_live_bundle(tmp_path)
    folder = write_fake_bundle(tmp_path)

    assert find_live_bundle(tmp_path) == folder
