"""Training data: the shared sets, our own labels (by hash), one form, no leaks into held-out sets."""

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voc.errors import InputError
from voc.taxonomy import SENTIMENTS, SIGNALS

UNKNOWN = -1
SIGNAL_NAMES: tuple[str, ...] = tuple(SIGNALS)
_SENTIMENT_ID = {name: i for i, name in enumerate(SENTIMENTS)}
_GOEMOTIONS = {
    "negative": {"anger", "annoyance", "disappointment", "disapproval", "disgust", "sadness", "remorse",
                 "grief", "fear", "nervousness", "embarrassment"},
    "neutral": {"neutral"},
    "positive": {"admiration", "amusement", "approval", "caring", "excitement", "gratitude", "joy",
                 "love", "optimism", "pride", "relief"},
}  # fmt: skip
_XED = {"negative": {"anger", "disgust", "fear", "sadness"}, "positive": {"joy", "trust"}}


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text; `UNKNOWN` marks what nobody judged (it is masked in the loss)."""

    text: str
    source: str
    sentiment: int = UNKNOWN
    frustration: int = UNKNOWN
    signals: tuple[int, ...] = (UNKNOWN,) * len(SIGNAL_NAMES)
    weight: float = 1.0


def text_key(text: str) -> str:
    """The key of a text in `training/labels/`: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def normal_form(text: str) -> str:
    """Letters and digits alone, lower case: two texts that agree in it count as the same."""
    return re.sub(r"\W+", " ", text.lower()).strip()


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV, gzipped or not."""
    csv.field_size_limit(1 << 30)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as handle:
        yield from csv.DictReader(handle)


def read_signals(path: Path) -> list[Example]:
    """Fully judged texts: JSON Lines with text, sentiment, frustration, signals.

    Raises
    ------
    InputError
        A line is no JSON, or names a label that does not exist.
    """
    examples = []
    with path.open(encoding="utf-8") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError("is not JSON", file=str(path), row=number, remedy="mend the line") from error
            examples.append(_judged(row, file=str(path), number=number))
    return examples


def _judged(row: dict[str, Any], *, file: str, number: int | None = None) -> Example:
    if row["sentiment"] not in _SENTIMENT_ID:
        raise InputError(f"'{row['sentiment']}' is no sentiment", file=file, row=number, field="sentiment",
                         remedy=f"use one of {', '.join(SENTIMENTS)}")  # fmt: skip
    wrong = set(row["signals"]) - set(SIGNAL_NAMES)
    if wrong:
        raise InputError(f"{sorted(wrong)} are no signals", file=file, row=number, field="signals",
                         remedy=f"use any of {', '.join(SIGNAL_NAMES)}")  # fmt: skip
    return Example(
        text=row["text"],
        source=row.get("source", "own"),
        sentiment=_SENTIMENT_ID[row["sentiment"]],
        frustration=int(row["frustration"]),
        signals=tuple(int(name in row["signals"]) for name in SIGNAL_NAMES),
    )


def read_own_labels(labels: Path, pool: Iterable[tuple[str, str]]) -> list[Example]:
    """Join committed labels (`hash,source,sentiment,frustration,signals`) with the texts they judge.

    Parameters
    ----------
    labels : CSV; signals are separated by blanks
    pool : (source, text) of texts that may have been labelled

    Labels whose text is not in the pool are left out: the texts are data and not part of the project.
    """
    wanted = {row["hash"]: row for row in read_rows(labels)}
    found = []
    for _, text in pool:
        row = wanted.pop(text_key(text), None)
        if row is None or row["sentiment"] == "skip":
            continue
        found.append(_judged({**row, "text": text, "signals": row["signals"].split()}, file=str(labels)))
    return found


def label_pool(data: Path) -> Iterator[tuple[str, str]]:
    """Every text that own labels may refer to."""
    for name in ("texts/cfpb", "texts/cfpb_product_only", "texts/xci_complaints", "texts/multidogo",
                 "texts/banking77", "texts/sage_privacy", "texts/hint3", "sentiment/complaint_tweets",
                 "sentiment/skytrax_lounge_seat", "sentiment/hotel_opener_en_sentences",
                 "sentiment/oats_sentences", "sentiment/apple_tweets", "sentiment/alexa_reviews",
                 "sentiment/uss_user_satisfaction_turns", "sentiment/semeval2017_tweets",
                 "changes/app_reviews"):  # fmt: skip
        for row in read_rows(data / f"{name}.csv.gz"):
            yield name, row["text"]


def read_sentiment(data: Path, name: str, *, splits: tuple[str, ...], weight: float) -> list[Example]:
    """One sentiment set, its labels mapped to three classes; rows that map to none are left out."""
    examples = []
    for row in read_rows(data / "sentiment" / f"{name}.csv.gz"):
        label = _three_way(name, row["label"])
        if label is not None and row["split"] in splits and row["text"].strip():
            examples.append(Example(row["text"], name, sentiment=_SENTIMENT_ID[label], weight=weight))
    return examples


def _three_way(name: str, label: str) -> str | None:
    if label in _SENTIMENT_ID:
        return label
    groups = _GOEMOTIONS if name == "goemotions" else _XED if name == "xed_en_emotion" else {}
    parts = {part.strip() for part in re.split(r"[,|;]", label) if part.strip()}
    hits = [target for target, words in groups.items() if parts and parts <= words]
    return hits[0] if len(hits) == 1 else None


def held_out(data: Path) -> set[str]:
    """Normal forms of every text that may never train: development and test sets."""
    keys = set()
    for name in ("dev", "dev_social"):
        keys |= {normal_form(e.text) for e in read_signals(data / "signals" / f"{name}.jsonl")}
    for path in sorted((data / "sentiment").glob("*.csv.gz")):
        name = path.name.removesuffix(".csv.gz")
        for row in read_rows(path):
            if row["split"] == "test" or (row["split"] in ("val", "dev") and name != "dynasent_r1r2"):
                keys.add(normal_form(row["text"]))
    for path in sorted((data / "texts").glob("*.csv.gz")):
        keys |= {normal_form(row["text"]) for row in read_rows(path) if row["split"] == "test"}
    return keys


def without(examples: Iterable[Example], keys: set[str]) -> list[Example]:
    """Leave out what is held out, and a text's second appearance under the same source."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for example in examples:
        key = normal_form(example.text)
        if key and key not in keys and (example.source, key) not in seen:
            seen.add((example.source, key))
            kept.append(example)
    return kept


def fingerprint(examples: Iterable[Example]) -> str:
    """SHA-256 over texts and labels in order: says whether two runs saw the same data."""
    digest = hashlib.sha256()
    out = io.StringIO()
    for e in examples:
        out.write(f"{text_key(e.text)} {e.sentiment} {e.frustration} {e.signals} {e.weight}\n")
    digest.update(out.getvalue().encode())
    return digest.hexdigest()


def is_dynasent_development(text: str) -> bool:
    """A tenth of DynaSent's dev split is kept out of training, by hash, to choose on."""
    return int(text_key(text), 16) % 10 == 0


def split_calibration(examples: list[Example]) -> tuple[list[Example], list[Example]]:
    """Fully judged texts to (fit, calibration): one in eight calibrates, by hash of its normal form."""
    fit, calibration = [], []
    for example in examples:
        key = int(text_key(normal_form(example.text)), 16)
        (calibration if key % 8 == 0 else fit).append(example)
    return fit, calibration


def development_sets(data: Path) -> dict[str, list[Example]]:
    """Sets to choose on: never trained on, never the test sets."""
    dynasent = read_sentiment(data, "dynasent_r1r2", splits=("dev",), weight=1.0)
    return {
        "tweeteval_val": read_sentiment(data, "tweeteval_sentiment", splits=("val",), weight=1.0),
        "sst3_dev": read_sentiment(data, "sst3_sentences", splits=("dev",), weight=1.0),
        "dynasent_dev_tenth": [e for e in dynasent if is_dynasent_development(e.text)],
        "signals_dev": read_signals(data / "signals" / "dev.jsonl"),
        "signals_dev_social": read_signals(data / "signals" / "dev_social.jsonl"),
    }


def judged_examples(data: Path, own_labels: Path) -> list[Example]:
    """The shared judged texts and our own, none of them held out."""
    judged = read_signals(data / "signals" / "train.jsonl")
    if own_labels.exists():
        judged += read_own_labels(own_labels, label_pool(data))
    return without(judged, held_out(data))


def calibration_examples(data: Path) -> list[Example]:
    """The eighth of the judged texts that never trains."""
    own = Path(__file__).parent / "labels" / "labels.csv"
    return split_calibration(judged_examples(data, own))[1]
