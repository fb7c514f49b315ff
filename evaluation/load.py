"""How many texts a second the service scores, and how long a caller waits, beside what it could be.

    python -m evaluation.load --seconds 10 --rounds 3

Single-text requests from 1, 8 and 32 clients against this service and a naive FastAPI app (one request, one
call of the model), beside the bare engine on texts batched beforehand; in one run, in turns. Then
more than the service can take: live requests and bulk together. Trust the ratios: the machine's other work is
in every figure.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from evaluation.load_clients import Measured, send_for
from evaluation.load_servers import Server, naive_service, our_service
from evaluation.page import print_table
from evaluation.sets import data_folder, read_rows
from voc.classify.bundle import load_bundle
from voc.classify.scorer import Scorer
from voc.cli.score import default_bundle
from voc.errors import VocError

CLIENTS = (1, 8, 32)
N_TEXTS = 600
SETS = ("texts/xci_complaints", "texts/banking77", "texts/multidogo")
BATCH_TOKENS = 512


def customer_texts(folder: Path) -> list[str]:
    """Different English texts of several sets, in turns."""
    columns = [
        list(dict.fromkeys(row["text"] for row in read_rows(folder / f"{name}.csv.gz")))[
            : N_TEXTS // len(SETS)
        ]
        for name in SETS
    ]
    return [text for texts in zip(*columns, strict=False) for text in texts]


class BareEngine:
    """The engine alone on windows that were cut and batched beforehand: what can be reached."""

    def __init__(self, scorer: Scorer, texts: list[str]) -> None:
        self.engine = scorer.model.engine
        self.engine.token_budget = BATCH_TOKENS
        self.windows = scorer.model.windows(texts)
        self.n_texts = len(texts)
        self.rates: list[float] = []
        self.batch_ms = 0.0

    def measure(self) -> None:
        """Once through all texts; keeps texts/s and the time of a batch."""
        began = time.perf_counter()
        self.engine.run(self.windows)
        took = time.perf_counter() - began
        self.rates.append(self.n_texts / took)
        n_batches = max(1, sum(len(w.ids) for w in self.windows) // BATCH_TOKENS)
        self.batch_ms = 1000 * took / n_batches


def measure(servers: list[Server], bare: BareEngine, texts: list[str], args: argparse.Namespace) -> Any:
    """Throughput and latency of each server at each number of clients; all in turns."""
    found: dict[tuple[str, int], list[Measured]] = {}
    for _ in range(args.rounds):
        bare.measure()
        for n_clients in CLIENTS:
            for server in servers:
                asyncio.run(send_for(server, texts, n_clients=n_clients, seconds=1))  # warm
                one = asyncio.run(send_for(server, texts, n_clients=n_clients, seconds=args.seconds))
                found.setdefault((server.name, n_clients), []).append(one)
                print(f"{server.name}, {n_clients} clients: {one.per_second:,.0f}/s", file=sys.stderr)
    return found


def rows_of(found: dict[tuple[str, int], list[Measured]], bare: BareEngine) -> list[dict[str, Any]]:
    """One row a server and number of clients: median rate, latency over all rounds."""
    top = statistics.median(bare.rates)
    rows = []
    for (name, n_clients), rounds in found.items():
        together = Measured(latency_s=[x for one in rounds for x in one.latency_s], took_s=1.0)
        rate = statistics.median(one.per_second for one in rounds)
        rows.append({
            "server": name, "clients": n_clients, "per_second": rate, "of_bare": rate / top,
            "p50_ms": together.percentile_ms(50), "p99_ms": together.percentile_ms(99),
            "refused": sum(n for one in rounds for s, n in one.statuses.items() if s != 200),
        })  # fmt: skip
    return rows


async def overload(server: Server, texts: list[str], seconds: float) -> dict[str, Any]:
    """Live requests of far more clients than can be served, with bulk uploads beside them."""
    calm = await send_for(server, texts, n_clients=32, seconds=seconds)
    memory_before = server.memory_mb()
    live, bulk = await asyncio.gather(
        send_for(server, texts, n_clients=256, seconds=seconds),
        send_for(server, texts, n_clients=32, seconds=seconds, per_request=1000),
    )
    return {
        "p99_ms at 32 clients": round(calm.percentile_ms(99)),
        "p99_ms admitted, overloaded": round(live.percentile_ms(99)),
        "times": round(live.percentile_ms(99) / calm.percentile_ms(99), 2),
        "live answered": live.statuses[200],
        "live refused (429)": live.statuses[429],
        "live per second": round(live.per_second),
        "bulk batches answered": bulk.statuses[200],
        "bulk batches refused (429)": bulk.statuses[429],
        "Retry-After seen": dict((live.retry_after + bulk.retry_after).most_common(4)),
        "memory before, MB": round(memory_before),
        "memory after, MB": round(server.memory_mb()),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="else VOC_BUNDLE, else the one models/LIVE names")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="through all servers in turns")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    try:
        bundle = (args.bundle or default_bundle()).resolve()
        texts = customer_texts(data_folder())
        bare = BareEngine(Scorer(load_bundle(bundle)), texts)
        with ExitStack() as stack:
            ours = stack.enter_context(our_service(bundle))
            servers = [ours, stack.enter_context(naive_service(bundle))]
            rows = rows_of(measure(servers, bare, texts, args), bare)
            # The others would share the cores.
            load = asyncio.run(overload(ours, texts, args.seconds))
    except VocError as error:
        print(f"load: {error}", file=sys.stderr)
        sys.exit(1)
    report(rows, bare, load, bundle, as_json=args.json)


def report(
    rows: list[dict[str, Any]], bare: BareEngine, load: dict[str, Any], bundle: Path, *, as_json: bool
) -> None:
    """Print all of it, with the machine."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load average {os.getloadavg()[0]:.1f}"
    top = statistics.median(bare.rates)
    if as_json:
        print(json.dumps({"machine": machine, "bare_per_second": top, "bare_batch_ms": bare.batch_ms,
                          "rows": rows, "overload": load}, indent=1))  # fmt: skip
        return
    print(f"{bundle.parent.name}/{bundle.name}; {machine}")
    print(f"bare engine, batched beforehand: {top:,.0f} texts/s, {bare.batch_ms:.0f} ms a batch\n")
    print_table(
        ["server", "clients", "texts/s", "of bare", "p50 ms", "p99 ms", "refused"],
        [[r["server"], r["clients"], f"{r['per_second']:,.0f}", f"{r['of_bare']:.2f}", f"{r['p50_ms']:.0f}",
          f"{r['p99_ms']:.0f}", r["refused"]] for r in rows],
    )  # fmt: skip
    print("\noverload: 256 live clients and 32 with a thousand texts a request")
    print_table(["", ""], [[name, value] for name, value in load.items()])


if __name__ == "__main__":
    main()
