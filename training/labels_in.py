"""Own labels: CSV, JSON Lines, exports of Label Studio and Argilla, read with clear refusals.

    python -m training.labels_in own.csv

A row has `text` and any of `sentiment` (negative, neutral, positive), `frustration` (yes, no) and
`signals` (names; a list, or text separated by blanks or commas; empty: none of them). What a row
leaves out was not judged. `split` (train, calibration, test) fixes what a text is for; without it
one text in eight calibrates, by the hash of its text.
"""

import argparse
import csv
import difflib
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.data import SIGNAL_NAMES, UNKNOWN, Example, normal_form, split_calibration
from training.label_exports import QUESTIONS, plain_rows
from voc.errors import InputError, VocError
from voc.taxonomy import SENTIMENTS

BINARY_NAMES = ("frustration", *SIGNAL_NAMES)
FEW = 20  # positives; below it a label's threshold and slope rest on luck
SHORT_WORDS = 4  # such texts ("thank you so much") meet in any two collections by chance
SPLITS = ("train", "calibration", "test")
_YES_NO = {"yes": 1, "true": 1, "1": 1, "frustrated": 1, "frustration": 1, "no": 0, "false": 0, "0": 0}


@dataclass(frozen=True, slots=True)
class OwnLabels:
    """What a file of own labels holds, one example a text; `rows` and `splits` go with `examples`."""

    file: str
    examples: tuple[Example, ...]
    rows: tuple[int, ...]  # where each text stood first
    splits: tuple[str | None, ...]
    n_repeated: int  # rows that said again what an earlier one said

    def fit_and_calibration(self) -> tuple[list[Example], list[Example]]:
        """What trains and what calibrates: as `split` says, else by the hash that all programs share."""
        fit, calibration = split_calibration(
            [e for e, s in zip(self.examples, self.splits, strict=True) if s is None]
        )
        for example, split in zip(self.examples, self.splits, strict=True):
            if split == "train":
                fit.append(example)
            elif split == "calibration":
                calibration.append(example)
        return fit, calibration


def read_labels(path: Path) -> OwnLabels:
    """Read a file of own labels; its form is told by its content.

    Raises
    ------
    InputError
        A label does not exist (row and nearest name are given), a text is empty or judged on
        nothing, two rows contradict each other, or one text is in two splits.
    """
    file = str(path)
    read: list[tuple[int, Example, str | None]] = []
    for number, row in plain_rows(_records(path)):
        read.append((number, _example(row, file, number), _split(row, file, number)))
    if not read:
        raise InputError("holds no labelled text", file=file, remedy="label some texts first")
    return _merged(read, file)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row, record) of a CSV, JSON or JSON Lines file; rows count from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", file=str(path), remedy="save it as UTF-8") from error
    if path.suffix.lower() == ".csv":
        yield from _csv_records(text, str(path))
        return
    if text.lstrip().startswith("["):
        records = enumerate(_json(text, str(path), None), start=1)
    else:
        # Not splitlines(): JSON allows U+2028 and its like inside a string.
        lines = ((n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip())
        records = ((n, _json(line, str(path), n)) for n, line in lines)  # type: ignore[assignment]
    for number, record in records:
        if not isinstance(record, dict):
            raise InputError("is no JSON object", file=str(path), row=number, remedy="one object a text")
        yield number, record


def _csv_records(text: str, file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(1 << 30)
    rows = csv.DictReader(io.StringIO(text, newline=""))
    columns = [c for c in rows.fieldnames or [] if c]
    if "text" not in columns or not set(columns) & set(QUESTIONS):
        raise InputError(
            f"columns are {', '.join(columns) or 'missing'}", file=file,
            remedy=f"a header with 'text' and any of {', '.join(QUESTIONS)}",
        )  # fmt: skip
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise InputError("has more cells than the header", file=file, row=number,
                             remedy="put texts with commas in double quotes")  # fmt: skip
        # An empty cell of `signals` means none of them; elsewhere it means not judged.
        yield number, {k: v for k, v in row.items() if k == "signals" or v not in ("", None)}


def _json(text: str, file: str, row: int | None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not JSON ({error.msg}, line {error.lineno})", file=file, row=row, remedy="mend the line"
        ) from error


def _example(row: dict[str, Any], file: str, number: int) -> Example:
    text = row.get("text")
    if not isinstance(text, str) or not normal_form(text):
        raise InputError("is missing or holds no word", file=file, row=number, field="text",
                         remedy="give each row the text that was judged")  # fmt: skip
    sentiment = frustration = UNKNOWN
    signals = (UNKNOWN,) * len(SIGNAL_NAMES)
    if row.get("sentiment") is not None:
        named = _names(row["sentiment"], SENTIMENTS, "sentiment", file, number)
        if len(named) != 1:
            raise InputError(f"{len(named)} sentiments", file=file, row=number, field="sentiment",
                             remedy="give one")  # fmt: skip
        sentiment = SENTIMENTS.index(named[0])
    if row.get("frustration") is not None:
        frustration = _yes_no(row["frustration"], file, number)
    if row.get("signals") is not None:
        named = _names(row["signals"], SIGNAL_NAMES, "signals", file, number)
        signals = tuple(int(name in named) for name in SIGNAL_NAMES)
    if sentiment == frustration == UNKNOWN and signals[0] == UNKNOWN:
        raise InputError("nothing is judged", file=file, row=number,
                         remedy=f"give any of {', '.join(QUESTIONS)}, or leave the row out")  # fmt: skip
    return Example(text, str(row.get("source") or "own"), sentiment, frustration, signals)


def _names(value: Any, known: Sequence[str], field: str, file: str, number: int) -> list[str]:
    parts = value if isinstance(value, list) else _parts(str(value), known)
    found = []
    for part in parts:
        name = re.sub(r"[\s-]+", "_", str(part).strip().lower())
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise InputError(
                f"{_shown(part)} does not exist", file=file, row=number, field=field,
                remedy=f"did you mean '{near}'? There are {', '.join(known)}",
            )  # fmt: skip
        found.append(name)
    return found


def _parts(value: str, known: Sequence[str]) -> list[str]:
    """A whole name with blanks in it ("billing error") is one name; else blanks separate."""
    parts = [part.strip() for part in re.split(r"[,;|]", value) if part.strip()]
    whole = all(re.sub(r"[\s-]+", "_", part.lower()) in known for part in parts)
    return parts if whole else [word for part in parts for word in part.split()]


def _shown(value: Any) -> str:
    """The value for a message; what may be a customer's words (a cell in the wrong column) is not shown."""
    text = str(value)
    return f"'{text}'" if len(text) <= 40 and len(text.split()) <= 3 else "the value (a long text)"


def _yes_no(value: Any, file: str, number: int) -> int:
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else ("no" if not value else "several answers")
    answer = _YES_NO.get(str(value).strip().lower())
    if answer is None:
        raise InputError(f"{_shown(value)} is neither yes nor no", file=file, row=number,
                         field="frustration", remedy="use yes or no (or true, false, 1, 0)")  # fmt: skip
    return answer


def _split(row: dict[str, Any], file: str, number: int) -> str | None:
    split = row.get("split")
    if split in (None, ""):
        return None
    if split not in SPLITS:
        near = difflib.get_close_matches(str(split), SPLITS, n=1, cutoff=0.0)[0]
        raise InputError(f"{_shown(split)} is no split", file=file, row=number, field="split",
                         remedy=f"did you mean '{near}'? There are {', '.join(SPLITS)}")  # fmt: skip
    return str(split)


def _merged(read: list[tuple[int, Example, str | None]], file: str) -> OwnLabels:
    """One example a text; what one row left open another may fill."""
    kept: dict[str, tuple[int, Example, str | None]] = {}
    clashes: list[tuple[int, int, str]] = []
    leaks: list[tuple[int, int, str, str]] = []
    for number, example, split in read:
        key = normal_form(example.text)
        if key not in kept:
            kept[key] = (number, example, split)
            continue
        first, earlier, earlier_split = kept[key]
        differs = _differs(earlier, example)
        if differs:
            clashes.append((first, number, differs))
        if split != earlier_split:
            leaks.append((first, number, str(earlier_split), str(split)))
        kept[key] = (first, _filled(earlier, example), earlier_split)
    if clashes:
        a, b, name = clashes[0]
        raise InputError(
            f"contradicts row {a}: the same text, another {name}"
            + (f" (and {len(clashes) - 1} more such pairs)" if len(clashes) > 1 else ""),
            file=file, row=b, remedy="agree on one answer and keep that row",
        )  # fmt: skip
    if leaks:
        a, b, one, other = leaks[0]
        raise InputError(
            f"holds the text of row {a} in another split ({one}, {other}; {len(leaks)} such pairs)",
            file=file, row=b, field="split", remedy="a text may be in one split only",
        )  # fmt: skip
    numbers, examples, splits = zip(*kept.values(), strict=True)
    return OwnLabels(file, examples, numbers, splits, len(read) - len(kept))


def _differs(a: Example, b: Example) -> str | None:
    pairs = [("sentiment", a.sentiment, b.sentiment), ("frustration", a.frustration, b.frustration)]
    pairs += list(zip(SIGNAL_NAMES, a.signals, b.signals, strict=True))
    return next((name for name, x, y in pairs if x != y and UNKNOWN not in (x, y)), None)


def _filled(a: Example, b: Example) -> Example:
    return replace(
        a,
        sentiment=b.sentiment if a.sentiment == UNKNOWN else a.sentiment,
        frustration=b.frustration if a.frustration == UNKNOWN else a.frustration,
        signals=b.signals if a.signals[0] == UNKNOWN else a.signals,
    )


def refuse_held_out(own: OwnLabels, held_out: set[str]) -> OwnLabels:
    """Own labels without texts of held-out sets: long ones are refused, short ones are left out.

    Raises
    ------
    InputError
        A text of five words or more is in a development or test set: figures on it would be worthless.
    """
    hits = [i for i, e in enumerate(own.examples) if normal_form(e.text) in held_out]
    long = [i for i in hits if len(normal_form(own.examples[i].text).split()) > SHORT_WORDS]
    if long:
        rows = ", ".join(str(own.rows[i]) for i in long[:5]) + (", ..." if len(long) > 5 else "")
        raise InputError(
            f"{len(long)} texts are in a development or test set (rows {rows})", file=own.file,
            remedy="take them out: a model may not train on what it is measured on",
        )  # fmt: skip
    keep = [i for i in range(len(own.examples)) if i not in set(hits)]
    return OwnLabels(
        own.file, tuple(own.examples[i] for i in keep), tuple(own.rows[i] for i in keep),
        tuple(own.splits[i] for i in keep), own.n_repeated,
    )  # fmt: skip


def refuse_empty_sentiment(examples: Iterable[Example], file: str) -> None:
    """Refuse labels that judge sentiment but leave a class empty.

    Raises
    ------
    InputError
        A model taught or calibrated on them would never say that class again.
    """
    counts = Counter(e.sentiment for e in examples if e.sentiment != UNKNOWN)
    empty = [name for i, name in enumerate(SENTIMENTS) if not counts[i]]
    if counts and empty:
        raise InputError(
            f"none of {sum(counts.values())} texts is {' or '.join(empty)}", file=file, field="sentiment",
            remedy="add texts of that sentiment, or leave the sentiment out",
        )  # fmt: skip


def mask_empty_signals(examples: list[Example]) -> tuple[list[Example], list[str]]:
    """Hide labels without one positive, so that training does not unlearn them; returns their names."""
    counts = count_positives(examples)
    empty = [name for name in BINARY_NAMES if counts[name] == (0, counts[name][1]) and counts[name][1]]
    masked = [
        replace(
            e,
            frustration=UNKNOWN if "frustration" in empty else e.frustration,
            signals=tuple(
                UNKNOWN if name in empty else s for name, s in zip(SIGNAL_NAMES, e.signals, strict=True)
            ),
        )
        for e in examples
    ]
    return masked, empty


def count_positives(examples: Iterable[Example]) -> dict[str, tuple[int, int]]:
    """Of each sentiment and binary label: (positives, texts judged on it)."""
    counts = {name: [0, 0] for name in (*SENTIMENTS, *BINARY_NAMES)}
    for e in examples:
        truths = [(name, e.sentiment == i, e.sentiment) for i, name in enumerate(SENTIMENTS)]
        truths += [("frustration", e.frustration == 1, e.frustration)]
        truths += [(n, s == 1, s) for n, s in zip(SIGNAL_NAMES, e.signals, strict=True)]
        for name, positive, value in truths:
            counts[name][0] += positive
            counts[name][1] += value != UNKNOWN
    return {name: (positive, judged) for name, (positive, judged) in counts.items()}


def warnings_of(examples: Iterable[Example]) -> list[str]:
    """What is thin: labels with no positive, and with fewer than `FEW`, with their numbers."""
    counts = count_positives(examples)
    few = [(name, n, judged) for name, (n, judged) in counts.items() if judged and n < FEW]
    thin = ", ".join(f"{name} {n} of {judged}" for name, n, judged in few if n)
    none = ", ".join(f"{name} (of {judged})" for name, n, judged in few if not n)
    return [
        *([f"fewer than {FEW} positives, hardly learnt or calibrated: {thin}"] if thin else []),
        *([f"no positive at all: {none}"] if none else []),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", type=Path, help="CSV, JSON Lines, Label Studio or Argilla export")
    args = parser.parse_args()
    try:
        own = read_labels(args.labels)
    except VocError as error:
        sys.exit(f"labels: {error}")
    fit, calibration = own.fit_and_calibration()
    for name, (positive, judged) in count_positives(own.examples).items():
        print(f"{name:20} {positive:6,} of {judged:6,}")
    for warning in warnings_of(own.examples):
        print(warning, file=sys.stderr)
    print(
        f"{len(own.examples):,} texts ({own.n_repeated:,} rows repeat one): {len(fit):,} train, "
        f"{len(calibration):,} calibrate"
    )


if __name__ == "__main__":
    main()
