"""How well the language check tells English from what the model was not made for.

    python -m evaluation.language

English texts that are refused are customers nobody hears; foreign texts that slip through get a guess
for a score. Reads no test split.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from evaluation.page import print_table
from evaluation.sets import data_folder, read_rows
from voc.errors import VocError
from voc.language import LanguageDetector

ENGLISH = (
    "texts/xci_complaints", "texts/multidogo", "texts/hint3", "texts/banking77", "texts/sage_privacy",
    "sentiment/tweeteval_sentiment", "sentiment/sst3_sentences", "sentiment/oats_sentences",
)  # fmt: skip
FOREIGN = "sentiment/umsab_tweets_7lang"
LANGUAGES = ("french", "german", "italian", "portuguese", "spanish")
TWEETEVAL_SPLITS = ("val",)  # its train split is SemEval again


def english_texts(folder: Path, cap: int) -> dict[str, list[str]]:
    """Up to `cap` texts a set, in the file's order, each text once, no test split."""
    found = {}
    for name in ENGLISH:
        splits = TWEETEVAL_SPLITS if "tweeteval" in name else None
        texts = [
            row["text"] for row in read_rows(folder / f"{name}.csv.gz")
            if row["split"] != "test" and (splits is None or row["split"] in splits)
        ]  # fmt: skip
        found[name.split("/")[1]] = _thinned(list(dict.fromkeys(texts)), cap)
    return found


def foreign_texts(folder: Path, cap: int) -> dict[str, list[str]]:
    """Up to `cap` tweets a language, no test split."""
    found: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for row in read_rows(folder / f"{FOREIGN}.csv.gz"):
        language = _language_of(row)
        if language in found and row["split"] != "test":
            found[language].append(row["text"])
    return {language: _thinned(list(dict.fromkeys(texts)), cap) for language, texts in found.items()}


def _language_of(row: dict[str, str]) -> str:
    meta: dict[str, Any] = json.loads(row["meta"] or "{}")
    return str(meta.get("language") or meta.get("lang") or "").lower()


def _thinned(texts: list[str], cap: int) -> list[str]:
    """Every k-th text, so that a set is seen from end to end."""
    step = max(1, len(texts) // cap)
    return texts[::step][:cap]


def rate(texts: list[str], detector: LanguageDetector) -> tuple[float, Counter[str]]:
    """Share of texts said not to be English, and what they were said to be."""
    codes = [detector.detect(text).code for text in texts]
    foreign = Counter(code or "none" for code in codes if code != "en")
    return sum(foreign.values()) / max(1, len(texts)), foreign


def measure(folder: Path, cap: int) -> list[dict[str, Any]]:
    """One row a set, and one for all English and all foreign texts."""
    detector = LanguageDetector()
    rows: list[dict[str, Any]] = []
    for kind, sets in (("English", english_texts(folder, cap)), ("foreign", foreign_texts(folder, cap))):
        for name, texts in [*sets.items(), (f"all {kind}", [t for each in sets.values() for t in each])]:
            share, taken = rate(texts, detector)
            rows.append({
                "set": name, "truth": kind, "n": len(texts), "not_english": share,
                "taken_for": dict(taken.most_common(4)),
            })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cap", type=int, default=1500, help="texts of a set at most")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    args = parser.parse_args()
    try:
        rows = measure(data_folder(), args.cap)
    except VocError as error:
        sys.exit(f"language: {error}")
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    cells = [
        [r["set"], r["truth"], r["n"],
         f"{'refused' if r['truth'] == 'English' else 'caught'} {r['not_english']:.2%}",
         ", ".join(f"{code} {n}" for code, n in r["taken_for"].items())]
        for r in rows
    ]  # fmt: skip
    print_table(["set", "truth", "texts", "said not to be English", "taken for"], cells)


if __name__ == "__main__":
    main()
