"""Folders that open as bundles but hold no network: for tests of what reads manifests only."""

import hashlib
import json
from pathlib import Path
from typing import Any

from voc.classify.bundle import BINARY_LABELS, SCHEMA
from voc.taxonomy import SENTIMENTS, SIGNALS


def write_fake_bundle(models: Path, name: str = "fake/1.0.0", **changes: Any) -> Path:
    """Write `models/name`; `changes` replace entries of the manifest, None takes one out."""
    folder = models / name
    folder.mkdir(parents=True)
    files = {"model.onnx": name.encode(), "tokenizer.json": b"{}"}
    for file, content in files.items():
        (folder / file).write_bytes(content)
    family, version = name.split("/")
    n = len(BINARY_LABELS)
    manifest: dict[str, Any] = {
        "schema": SCHEMA, "name": family, "version": version, "created_at": "2026-01-01T00:00:00+00:00",
        "labels": {"sentiment": list(SENTIMENTS), "signals": list(SIGNALS)},
        "max_tokens": 64, "overlap": 8, "embedding_dim": 8,
        "calibration": {"temperature": 1.0, "bias": [0.0] * 3, "slope": [1.0] * n, "offset": [0.0] * n,
                        "window_penalty": 0.0},
        "operating_points": {"balanced": {"thresholds": dict.fromkeys(BINARY_LABELS, 0.5), "about": {}}},
        "default_operating_point": "balanced",
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
    } | changes  # fmt: skip
    manifest = {key: value for key, value in manifest.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def metrics(macro_f1: float, micro_f1: float, where: str = "signals_dev") -> dict[str, Any]:
    """The manifest's entry of figures on one set."""
    return {"development_fp32": {where: {"macro_f1": macro_f1, "signals": {"micro_f1": micro_f1}}}}
