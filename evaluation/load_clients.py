"""Clients that send requests one after another, many at a time, and time each answer.

Plain sockets: a client library would take more of the two cores than the service it measures.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from evaluation.load_servers import Server

_PATIENCE_S = 0.05  # after a refusal; far less than asked for, so that overload stays overload


@dataclass(slots=True)
class Measured:
    """Latencies (seconds) of answered requests, how the others ended, and how long it took."""

    latency_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    retry_after: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Answered requests a second."""
        return len(self.latency_s) / self.took_s

    def percentile_ms(self, q: float) -> float:
        """A percentile of the latency."""
        return float(np.percentile(self.latency_s, q)) * 1000 if self.latency_s else float("nan")


async def send_for(
    server: Server, texts: Sequence[str], *, n_clients: int, seconds: float, per_request: int = 1
) -> Measured:
    """Keep `n_clients` requests of `per_request` texts in flight for a time."""
    found = Measured()
    began = time.perf_counter()
    await asyncio.gather(*(
        _client(server, lambda n, c=c: _pick(texts, c * 7919 + n * per_request, per_request), began + seconds, found)
        for c in range(n_clients)
    ))  # fmt: skip
    found.took_s = time.perf_counter() - began
    return found


def _pick(texts: Sequence[str], start: int, n: int) -> list[str]:
    return [texts[(start + i) % len(texts)] for i in range(n)]


async def _client(server: Server, pick: Callable[[int], list[str]], until: float, found: Measured) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    n = 0
    while time.perf_counter() < until:
        body = server.body(pick(n))
        n += 1
        head = f"POST {server.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        began = time.perf_counter()
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, headers, _ = await _read_answer(reader)
        found.statuses[status] += 1
        if status == 200:
            found.latency_s.append(time.perf_counter() - began)
        else:
            if "retry-after" in headers:
                found.retry_after[headers["retry-after"]] += 1
            await asyncio.sleep(_PATIENCE_S)
    writer.close()
    await writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            body += await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    return int(head[0].split()[1]), headers, body
