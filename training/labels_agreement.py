"""How far two independent readers agree: `python -m training.labels_agreement`."""

from collections import Counter
from pathlib import Path

from training.data import read_rows
from voc.taxonomy import SIGNALS

FOLDER = Path(__file__).parent / "labels"


def kappa(first: list[str], second: list[str]) -> float:
    """Cohen's kappa of two readers' labels, paired."""
    n = len(first)
    seen = sum(a == b for a, b in zip(first, second, strict=True)) / n
    a, b = Counter(first), Counter(second)
    chance = sum(a[label] * b[label] for label in a) / n**2
    return (seen - chance) / (1 - chance)


def main() -> None:
    one = {row["hash"]: row for row in read_rows(FOLDER / "labels.csv")}
    two = list(read_rows(FOLDER / "second_reading.csv"))
    pairs = [(one[row["hash"]], row) for row in two]
    kept = [(a, b) for a, b in pairs if "skip" not in (a["sentiment"], b["sentiment"])]
    print(f"{len(pairs)} texts read twice, {len(kept)} that both readers judged")
    for field in ("sentiment", "frustration"):
        print(f"{field}: kappa {kappa([a[field] for a, _ in kept], [b[field] for _, b in kept]):.2f}")
    hits = total = 0
    for name in SIGNALS:
        first = [name in a["signals"].split() for a, _ in kept]
        second = [name in b["signals"].split() for _, b in kept]
        both, either = sum(x and y for x, y in zip(first, second, strict=True)), sum(first) + sum(second)
        hits, total = hits + both, total + either
        print(f"{name}: {sum(first)} and {sum(second)}, F1 {2 * both / max(1, either):.2f}")
    print(f"signals: micro-F1 {2 * hits / max(1, total):.2f}")


if __name__ == "__main__":
    main()
