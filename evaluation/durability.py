"""Does 202 hold? The service and its database are killed at random moments under load, again and again.

    python -m evaluation.durability --rounds 20

Each round starts the service on the same data, sends feedback from several clients, and kills the service
or the database (SIGKILL) somewhere between. In the end the database is asked: everything that was
acknowledged must be there once, whatever was not may be there once or not at all, and all that is there must
be scored. Exits 1 if anything is lost or doubled.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import text

from evaluation.page import print_table
from voc.client import ApiError, Client, Retries
from voc.store.engine import connect, transaction

_SAID: Final = "Parcel {n} came late and nobody told me why."
_AT: Final = "2026-03-02T10:00:00Z"
_BATCH: Final = 5
_START_S: Final = 180


@dataclass(slots=True)
class Outcome:
    """What was promised, and what is there."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    acknowledged: set[str] = field(default_factory=set)
    found: Counter[str] = field(default_factory=Counter)
    unscored: int = 0

    @property
    def lost(self) -> int:
        """Acknowledged and not there."""
        return len(self.acknowledged - self.found.keys())

    @property
    def doubled(self) -> int:
        """There more than once."""
        return sum(n > 1 for n in self.found.values())


def run(*, rounds: int, seconds: float, n_clients: int, seed: int, bundle: Path | None = None) -> Outcome:
    """Kill and restart `rounds` times, each at most `seconds` after the service began to answer."""
    rng = random.Random(seed)
    home = Path(tempfile.mkdtemp(prefix="voc-durability-"))
    home.chmod(0o711)
    outcome = Outcome()
    try:
        for n in range(rounds):
            victim = rng.choice(("service", "database", "both"))
            _round(home, bundle, outcome, n, victim, rng.uniform(0.05, seconds), n_clients)
            outcome.rounds += 1
            outcome.kills[victim] += 1
        _count(home, bundle, outcome)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return outcome


def _round(
    home: Path, bundle: Path | None, outcome: Outcome, n: int, victim: str, after_s: float, n_clients: int
) -> None:
    process, url = _serve(home, bundle)
    stop = threading.Event()
    clients = [
        threading.Thread(target=_send, args=(url, f"r{n}-c{c}", outcome, stop)) for c in range(n_clients)
    ]
    for client in clients:
        client.start()
    time.sleep(after_s)
    if victim in ("database", "both"):
        os.kill(_postmaster(home), signal.SIGKILL)
    if victim in ("service", "both"):
        process.kill()
    else:
        time.sleep(0.3)  # it goes on for a moment without its database
    stop.set()
    for client in clients:
        client.join()
    process.kill()
    process.wait()


def _send(url: str, prefix: str, outcome: Outcome, stop: threading.Event) -> None:
    n = 0
    with Client(url, retries=Retries(tries=1), timeout_s=10) as client:
        while not stop.is_set():
            ids = [f"{prefix}-{n}-{i}" for i in range(_BATCH)]
            n += 1
            outcome.sent += len(ids)
            try:
                taken = client.send_feedback(_items(ids), key=f"{prefix}-{n}")
            except ApiError:
                time.sleep(0.02)
                continue
            if taken["stored"] + taken["duplicates"] == len(ids):
                outcome.acknowledged.update(ids)


def _items(ids: list[str]) -> list[dict[str, str]]:
    return [
        {"source": "durability", "kind": "survey", "external_id": name, "text": _SAID.format(n=name),
         "occurred_at": _AT} for name in ids
    ]  # fmt: skip


def _serve(home: Path, bundle: Path | None) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"VOC_HOME": str(home), "VOC_DATABASE_URL": "", "VOC_PORT": str(port)}
    if bundle is not None:
        environment["VOC_BUNDLE"] = str(bundle)
    process = subprocess.Popen(
        [sys.executable, "-m", "api"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + _START_S
    with Client(url, retries=Retries(tries=1), timeout_s=5) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.models()
                return process, url
            except ApiError:
                time.sleep(0.1)
    process.kill()
    raise RuntimeError("the service did not start again")


def _postmaster(home: Path) -> int:
    return int((home / "pg" / "data" / "postmaster.pid").read_text().splitlines()[0])


def _count(home: Path, bundle: Path | None, outcome: Outcome) -> None:
    """Start once more, let what waits be scored, and look."""
    process, _ = _serve(home, bundle)
    engine = connect(None, home / "pg")
    try:
        deadline = time.monotonic() + _START_S
        while True:
            with transaction(engine) as conn:
                outcome.unscored = conn.execute(text(
                    "SELECT count(*) FROM feedback f WHERE NOT EXISTS "
                    "(SELECT 1 FROM score s WHERE s.feedback_id = f.id)"
                )).scalar_one()  # fmt: skip
            if not outcome.unscored or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        with transaction(engine) as conn:
            rows = conn.execute(text("SELECT external_id FROM feedback")).scalars()
            outcome.found = Counter(rows)
    finally:
        process.terminate()
        process.wait()
        engine.dispose()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0, help="longest time before the kill")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    found = run(rounds=args.rounds, seconds=args.seconds, n_clients=args.clients, seed=args.seed)
    killed = ", ".join(f"{name} {n}" for name, n in sorted(found.kills.items()))
    print_table(
        ["", ""],
        [["kills (SIGKILL)", killed], ["sent", found.sent], ["acknowledged", len(found.acknowledged)],
         ["in the database", len(found.found)], ["acknowledged and lost", found.lost],
         ["there twice", found.doubled], ["not scored", found.unscored]],
    )  # fmt: skip
    sys.exit(1 if found.lost or found.doubled or found.unscored else 0)


if __name__ == "__main__":
    main()
