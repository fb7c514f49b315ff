"""The labelled sets that a bundle is measured on, read from the data folder."""

import csv
import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voc.errors import InputError
from voc.taxonomy import SENTIMENTS, SIGNALS

NOT_NEGATIVE = len(SENTIMENTS)  # a behaviour test that neutral and positive both pass


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Texts with their truth. `binary` (n, 16) is frustration, then the signals; None where not judged."""

    name: str
    texts: list[str]
    sentiment: NDArray[np.int64]
    binary: NDArray[np.bool_] | None = None
    groups: list[str] | None = None  # capability of a behaviour test, or channel


def data_folder() -> Path:
    """VOC_DATA_DIR, or ../shared/data beside the project.

    Raises
    ------
    InputError
        It is not there.
    """
    folder = Path(os.environ.get("VOC_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "sentiment").is_dir():
        raise InputError("the data folder is not there", file=str(folder), remedy="set VOC_DATA_DIR")
    return folder


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a gzipped CSV."""
    csv.field_size_limit(1 << 30)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as handle:
        yield from csv.DictReader(handle)


def read_sentiment_test(folder: Path, name: str, *, round_name: str | None = None) -> LabelledSet:
    """The test split of a sentiment set; `round_name` picks one round of DynaSent."""
    rows = [r for r in read_rows(folder / "sentiment" / f"{name}.csv.gz") if r["split"] == "test"]
    if round_name:
        rows = [r for r in rows if json.loads(r["meta"])["round"] == round_name]
    groups = [json.loads(r["meta"]).get("capability", "") for r in rows]
    return LabelledSet(
        name + (f" {round_name}" if round_name else ""),
        [r["text"] for r in rows],
        np.array([(*SENTIMENTS, "not_negative").index(r["label"]) for r in rows]),
        groups=groups,
    )


def read_signals(folder: Path, name: str) -> LabelledSet:
    """`dev` or `dev_social` of the signal sets."""
    rows = [json.loads(line) for line in (folder / "signals" / f"{name}.jsonl").read_text().splitlines()]
    return LabelledSet(
        f"signals {name}",
        [r["text"] for r in rows],
        np.array([SENTIMENTS.index(r["sentiment"]) for r in rows]),
        np.array([[bool(r["frustration"]), *(s in r["signals"] for s in SIGNALS)] for r in rows]),
        [r["source"] for r in rows],
    )


def read_test_sets(folder: Path) -> list[LabelledSet]:
    """The visible sets of the accuracy table, in its order."""
    return [
        read_sentiment_test(folder, "tweeteval_sentiment"),
        read_sentiment_test(folder, "sst3_sentences"),
        read_sentiment_test(folder, "dynasent_r1r2", round_name="r1"),
        read_sentiment_test(folder, "dynasent_r1r2", round_name="r2"),
        read_sentiment_test(folder, "checklist_mft"),
        read_signals(folder, "dev"),
        read_signals(folder, "dev_social"),
    ]


def read_development_sets(folder: Path) -> list[LabelledSet]:
    """Sets to choose on; none of them is a test set. Of DynaSent's development split, the tenth (by hash
    of the text) that trains nothing."""
    sets = []
    for name, split in (("tweeteval_sentiment", "val"), ("sst3_sentences", "dev"), ("dynasent_r1r2", "dev")):
        rows = [r for r in read_rows(folder / "sentiment" / f"{name}.csv.gz") if r["split"] == split]
        if name == "dynasent_r1r2":
            rows = [r for r in rows if int(sha256(r["text"].encode()).hexdigest()[:16], 16) % 10 == 0]
        sets.append(
            LabelledSet(
                f"{name} {split}",
                [r["text"] for r in rows],
                np.array([SENTIMENTS.index(r["label"]) for r in rows]),
            )
        )
    return [*sets, read_signals(folder, "dev"), read_signals(folder, "dev_social")]
