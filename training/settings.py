"""Settings of a training run: one frozen dataclass, filled from TOML, overridden by flags."""

import dataclasses
import json
import os
import tomllib
from pathlib import Path
from typing import Any

from voc.errors import InputError


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What a run needs; an unknown key in the file is an error."""

    encoder: str = ""  # folder or hub name of a BERT-shaped encoder
    init_bundle: str = ""  # instead of an encoder: a bundle to go on from; models/LIVE is the live one
    shared_data: bool = True  # train on the data folder's judged texts and measure on its sets
    sentiment: list[dict[str, Any]] = dataclasses.field(
        default_factory=list
    )  # set, splits, cap, weight, labels
    own_labels: str = "training/labels/labels.csv"  # keyed by hash; "" leaves them out
    extra_labels: str = ""  # own labels: CSV, JSON Lines, Label Studio or Argilla export
    init: str = ""  # folder of an earlier run to start from
    frozen: int = 0  # lower layers that never train
    epochs: int = 2
    lr: float = 6e-5
    head_lr: float = 1e-3
    weight_decay: float = 0.01
    token_budget: int = 1536  # padded tokens a step
    max_tokens: int = 192
    token_dropout: float = 0.05
    label_smoothing: float = 0.05
    judged_weight: float = 1.0  # of texts judged on everything
    signal_weight: float = 1.0
    embedding_weight: float = 0.3
    teacher_every: int = 8  # every n-th other text pulls the embedding towards the untouched encoder's
    checkpoint_every: int = 300  # steps
    precision: str = "fp32"  # or "bf16"; "auto" takes bf16 where the processor is much faster at it
    dropout: float = 0.0  # after attention and feed-forward of the trained layers
    threads: int = 2
    seed: int = 1


def read_settings(path: Path, overrides: list[str]) -> Settings:
    """Read settings from TOML; `overrides` are `key=value` with a JSON or bare value."""
    values = tomllib.loads(path.read_text())
    for item in overrides:
        key, _, raw = item.partition("=")
        try:
            values[key] = json.loads(raw)
        except json.JSONDecodeError:
            values[key] = raw
    known = {field.name for field in dataclasses.fields(Settings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"unknown setting {unknown}", file=str(path), remedy=f"use any of {', '.join(sorted(known))}"
        )
    settings = Settings(**values)
    if bool(settings.encoder) == bool(settings.init_bundle):
        raise InputError(
            "give either 'encoder' or 'init_bundle'", file=str(path), remedy="one of them says where to start"
        )
    if not settings.shared_data and not settings.extra_labels:
        raise InputError(
            "there is nothing to train on", file=str(path), field="extra_labels",
            remedy="name a file of own labels (--set extra_labels=own.csv)",
        )  # fmt: skip
    if not settings.shared_data and settings.sentiment:
        raise InputError(
            "asks for sets of the data folder but leaves it out", file=str(path), field="sentiment",
            remedy="drop 'sentiment' or set shared_data = true",
        )  # fmt: skip
    return settings


def data_folder() -> Path:
    """The folder of data sets: VOC_DATA_DIR, or ../shared/data beside the project.

    Raises
    ------
    InputError
        The folder is not there.
    """
    folder = find_data_folder()
    if folder is None:
        raise InputError(
            "the data folder is not there", file=str(_data_path()),
            remedy="set VOC_DATA_DIR, or train on own labels alone (training/configs/own.toml)",
        )  # fmt: skip
    return folder


def find_data_folder() -> Path | None:
    """The folder of data sets, or None where it is not there."""
    folder = _data_path()
    return folder if (folder / "sentiment").is_dir() else None


def _data_path() -> Path:
    return Path(os.environ.get("VOC_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
