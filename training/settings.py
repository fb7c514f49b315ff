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

    encoder: str  # folder or hub name of a BERT-shaped encoder
    sentiment: list[dict[str, Any]] = dataclasses.field(
        default_factory=list
    )  # set, splits, cap, weight, labels
    own_labels: str = "training/labels/labels.csv"  # keyed by hash; "" leaves them out
    extra_labels: str = ""  # JSON Lines with text, sentiment, frustration, signals
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
    return Settings(**values)


def data_folder() -> Path:
    """The folder of data sets: VOC_DATA_DIR, or ../shared/data beside the project.

    Raises
    ------
    InputError
        The folder is not there.
    """
    folder = Path(os.environ.get("VOC_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "sentiment").is_dir():
        raise InputError("the data folder is not there", file=str(folder), remedy="set VOC_DATA_DIR")
    return folder
