"""The main job on a simulated company, from nothing to a served result: `make demo`.

python -m examples.demo                 simulate, run, compare with what was planted, serve
python -m examples.demo --no-serve      the same without serving
python -m examples.demo --stop          stop what an earlier demo serves
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from examples.simulator import write_company
from voc.cli.database import home_folder, open_store
from voc.cli.ingest import file_progress
from voc.cli.score import open_scorer
from voc.errors import VocError
from voc.pipeline.run import run
from voc.pipeline.spec import read_spec
from voc.pipeline.summary import as_text, text_table

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "demo"
PID_FILE = FOLDER / "api.pid"


def compare(result: dict[str, Any], truth: dict[str, Any]) -> list[str]:
    """Lines that hold what was found against what was planted."""
    reported = {(a["kind"], a["step"], a["outcome"]): a for a in result["associations"]["reported"]}
    planted = {(p["kind"], p["step"], p["outcome"]) for p in truth["planted"]}
    rows = []
    for kind, step, outcome in sorted(planted):
        hit = reported.get((kind, step, outcome))
        found = (
            f"yes, odds ratio {hit['odds_ratio']:.1f} ({hit['ci_low']:.1f}-{hit['ci_high']:.1f})"
            if hit
            else "no"
        )
        rows.append([outcome, kind, step, found])
    lines = ["", "Planted, and found?", *text_table(("outcome", "goes with", "at step", "found"), rows)]
    trap = tuple(truth["misleading"][name] for name in ("kind", "step", "outcome"))
    lines.append(f"  planted to mislead ({trap[2]} with {trap[0]}, both of business customers): "
                 + ("reported, wrongly" if trap in reported else "not reported, rightly"))  # fmt: skip
    others = [key for key in reported if key not in planted and key != trap]
    if others:
        n_mood = sum(outcome in ("negative", "frustration") for _, _, outcome in others)
        n_themes = sum(outcome.startswith("theme:") for _, _, outcome in others)
        lines.append(f"  found beside: {len(others)}, of them {n_mood} negative or frustrated and {n_themes} themes; "
                     "the rest are complaints that come in one text with a planted one, or that the model takes "
                     "for it")  # fmt: skip
    spikes = [s for s in result.get("spikes", []) if "outage_defect" in s["series"]]
    named = spikes and spikes[0]["candidates"] and spikes[0]["candidates"][0]["change_id"]
    lines.append(f"  bad release {truth['bad_release']}: "
                 + (f"spike found, first candidate {named or 'none'}" if spikes else "no spike found"))  # fmt: skip
    return lines


def serve() -> tuple[str, int]:
    """Start the API in the background; returns its address and process id once it is ready."""
    stop()
    port = _free_port(8080)
    log = (FOLDER / "api.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "api"], cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
        env={**os.environ, "VOC_PORT": str(port)},
    )  # fmt: skip
    PID_FILE.write_text(str(process.pid))
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{address}/readyz", timeout=2).close()  # noqa: S310 - http, this machine
            return address, process.pid
        time.sleep(0.2)
    raise VocError(f"the API did not come up; see {FOLDER / 'api.log'}")


def stop() -> bool:
    """Stop what an earlier demo serves; True if there was something."""
    if not PID_FILE.exists():
        return False
    pid = int(PID_FILE.read_text())
    PID_FILE.unlink()
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes() if Path("/proc").exists() else b"api"
        if b"api" not in command:
            return False  # the number went to another process since
        os.kill(pid, signal.SIGTERM)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return True


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise VocError("no free port on this machine")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-serve", action="store_true")
    parser.add_argument("--stop", action="store_true")
    args = parser.parse_args()
    if args.stop:
        print("stopped" if stop() else "nothing was running")
        return
    try:
        _demo(args)
    except VocError as error:
        sys.exit(f"demo: {error}")


def _demo(args: argparse.Namespace) -> None:
    # A store of its own: the demo never mixes with what the user keeps.
    os.environ.setdefault("VOC_HOME", str(home_folder() / "demo"))
    print(f"simulating {args.orders:,} orders of a small company (seed {args.seed}) ...", file=sys.stderr)
    truth = write_company(FOLDER / "data", orders=args.orders, seed=args.seed)
    shutil.rmtree(FOLDER / "themes", ignore_errors=True)  # of an earlier demo, perhaps of another bundle
    engine = open_store()
    result = run(
        engine, open_scorer(None, None), read_spec(ROOT / "examples" / "demo.yaml"),
        say=lambda line: print(line, file=sys.stderr, flush=True), progress=file_progress,
    )  # fmt: skip
    engine.dispose()
    print(as_text(result))
    print("\n".join(compare(result, truth)))
    (FOLDER / "comparison.json").write_text(json.dumps({"truth": truth, "result": result}, indent=1) + "\n")
    print(f"\n  report: {FOLDER / 'run' / 'report.html'}")
    if not args.no_serve:
        address, _ = serve()
        print(f"  API: {address}/v1/root-causes   docs: {address}/docs   (stop it: make demo-stop)")
    data = Path(os.environ.get("VOC_DATA_DIR", ROOT.parent / "shared" / "data"))
    if (data / "transcripts" / "star.jsonl.gz").exists():
        print("  the real run, on 4,659 service dialogues: .venv/bin/voc run examples/star.yaml")


if __name__ == "__main__":
    main()
