"""Are deviations right and fast? Injected truth, PM4Py beside, a log's own columns, a million events.

    python -m evaluation.deviations --output deviations.html
    python -m evaluation.deviations --parts truth,simulated

Reads the data folder that VOC_DATA_DIR names. The parts that compare with PM4Py need it installed (AGPL:
it never ships) and are left out with a message where it is not.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from evaluation.deviations_injected import REAL_LOGS, score_real
from evaluation.deviations_peers import compare_figures, compare_incidents, compare_speed
from evaluation.deviations_scale import measure_growth
from evaluation.deviations_simulated import score_simulated
from evaluation.deviations_truth import LOGS, NOTE, score_log
from evaluation.planted_html import Table, write_page
from voc.errors import VocError

GROWTH = (
    f"{os.cpu_count()} processors. Without a map, repeated cases vouch for one another: what one case did is "
    "rare, what four did is a way of its own."
)
SIMULATED = ((1_000, 0.1), (3_000, 0.05), (2_000, 0.3), (2_000, 0.0))


def truth(data: Path) -> list[Table]:
    """Precision, recall and F1 of cases on the logs with injected deviations."""
    scores = [
        score_log(data / "deviations", name, drafted=drafted) for drafted in (False, True) for name in LOGS
    ]
    return [
        Table("Cases with an injected deviation", [r for s in scores for r in s["overall"]], NOTE),
        Table("By kind", [r for s in scores for r in s["kinds"]], "An insertion counts where it was found."),
        Table("By what was injected: share of cases flagged", [r for s in scores for r in s["injected"]]),
    ]


def simulated(data: Path) -> list[Table]:
    """The same on made-up processes, and how many cases of clean logs are flagged."""
    rows = [
        score_simulated(n_cases=n, rate=rate, parallel=parallel, loops=loops, seeds=6)
        for parallel, loops in ((False, False), (True, False), (False, True), (True, True))
        for n, rate in SIMULATED
    ]
    return [Table("Made-up processes, six each, learned without a map", rows)]


def injected(data: Path) -> list[Table]:
    """The same slips in real logs, whose own rare ways look much like slips."""
    rows = [score_real(data / "eventlogs", name) for name in REAL_LOGS]
    return [Table("Slips injected into real logs, two draws each, learned without a map", rows)]


def figures(data: Path) -> list[Table]:
    """Plain figures beside PM4Py's."""
    return [Table("Figures beside PM4Py", compare_figures(data / "eventlogs"))]


def incidents(data: Path) -> list[Table]:
    """Deviations of incidents beside the log's own columns."""
    rows = compare_incidents(data / "eventlogs" / "uci_servicenow_incidents.csv.gz")
    return [Table("Incidents: found, and by the log's own columns", rows)]


def speed(data: Path) -> list[Table]:
    """Seconds beside PM4Py's, in this run on this machine."""
    rows = compare_speed(data / "eventlogs" / "bpic2012_loan.csv.gz")
    return [Table("Speed on bpic2012_loan, from the file, one run", rows)]


def scale(data: Path) -> list[Table]:
    """Time and memory as a log grows to a million events."""
    rows = measure_growth(data / "eventlogs" / "bpic2012_loan.csv.gz")
    return [Table("bpic2012_loan repeated with new case ids", rows, GROWTH)]


PARTS: dict[str, Callable[[Path], list[Table]]] = {
    part.__name__: part for part in (truth, simulated, injected, figures, incidents, speed, scale)
}


def main() -> int:
    """Run the parts asked for, print their tables and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("VOC_DATA_DIR", "../shared/data")))
    parser.add_argument("--output", type=Path, help="where to write the page")
    args = parser.parse_args()
    names = [name for name in args.parts.split(",") if name]
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"unknown part '{unknown[0]}'; use {', '.join(PARTS)}")
    if not (args.data / "README.md").exists():
        parser.error(f"{args.data}: no data there; set VOC_DATA_DIR or --data")
    tables: list[Table] = []
    for name in names:
        try:
            found = PARTS[name](args.data)
        except VocError as error:
            print(f"evaluation.deviations: {name} left out: {error}", file=sys.stderr)
            continue
        for table in found:
            print(table.text(), flush=True)
        tables += found
    if args.output is not None:
        write_page(args.output, "Deviations", (__doc__ or "").split("\n")[0], tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
