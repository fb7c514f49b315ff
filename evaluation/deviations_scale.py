"""One log, from file to deviations, in a process of its own: seconds and peak memory as JSON.

python -m evaluation.deviations_scale log.csv --map map.yaml
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from voc.errors import VocError
from voc.process.deviations import find_deviations
from voc.process.discover import discover_map
from voc.process.logs import read_log
from voc.process.map_files import read_maps
from voc.process.map_writer import write_map


def measure(log: str, process_map: str | None) -> dict[str, float]:
    """Read and check a log; `peak_mib` is of this process, all libraries in."""
    start = time.perf_counter()
    events = read_log(log).events
    read_s = time.perf_counter() - start
    maps = None if process_map is None else read_maps(process_map)
    found = find_deviations(events, maps)
    return {
        "events": events.height,
        "deviations": found.height,
        "read_s": read_s,
        "total_s": time.perf_counter() - start,
        "peak_mib": _peak_kib() / 1024,
    }


def _peak_kib() -> int:
    """Peak resident memory of this program alone.

    Not `ru_maxrss`: that one starts from the size of the process which started this one.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise VocError("this system does not tell a process its peak memory; run this part on Linux")


def measure_growth(path: Path, copies: tuple[int, ...] = (1, 2, 4)) -> list[dict[str, object]]:
    """Rows for the log repeated with new case ids: by the map drafted from it, and without a map."""
    table = pl.read_csv(path, infer_schema=False)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        drafted = Path(folder, "map.yaml")
        drafted.write_text(write_map(discover_map(read_log(path).events, "drafted")[0]), encoding="utf-8")
        for n in copies:
            log = Path(folder, "log.csv")
            pl.concat(table.with_columns(pl.col("case_id") + f"-{copy}") for copy in range(n)).write_csv(log)
            for title, process_map in (("drafted map", str(drafted)), ("no map", None)):
                said = _in_own_process(str(log), process_map)
                rows.append(
                    {
                        "checked by": title,
                        "events": int(said["events"]),
                        "deviations": int(said["deviations"]),
                        "read s": said["read_s"],
                        "read and check s": said["total_s"],
                        "peak MiB": round(said["peak_mib"]),
                    }
                )
    return rows


def _in_own_process(log: str, process_map: str | None) -> dict[str, float]:
    command = [sys.executable, "-m", "evaluation.deviations_scale", log]
    if process_map is not None:
        command += ["--map", process_map]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said: dict[str, float] = json.loads(done.stdout)
    return said


def main() -> None:
    """Measure one log."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log")
    parser.add_argument("--map")
    args = parser.parse_args()
    print(json.dumps(measure(args.log, args.map)))


if __name__ == "__main__":
    main()
