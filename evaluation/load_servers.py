"""The services that `evaluation.load` measures, each a process of its own on a free port."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

START_S: Final = 180


@dataclass(frozen=True, slots=True)
class Server:
    """A running service: where to send a text, and in which form."""

    name: str
    port: int
    path: str
    body: Callable[[list[str]], bytes]
    pid: int

    def memory_mb(self) -> float:
        """Resident memory of its process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@contextmanager
def our_service(bundle: Path, **settings: str) -> Iterator[Server]:
    """`python -m api` with an embedded database of its own."""
    home = Path(tempfile.mkdtemp(prefix="voc-load-"))
    home.chmod(0o711)
    port = _free_port()
    environment = {"VOC_HOME": str(home), "VOC_BUNDLE": str(bundle), "VOC_PORT": str(port), **settings}
    environment["VOC_DATABASE_URL"] = ""
    with _process([sys.executable, "-m", "api"], environment, f"http://127.0.0.1:{port}/readyz") as pid:
        yield Server("voc", port, "/v1/score", _items, pid)
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def naive_service(bundle: Path) -> Iterator[Server]:
    """One request, one call."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "evaluation.naive_app:app", "--port", str(port)]
    command += ["--log-level", "warning"]
    with _process(command, {"VOC_BUNDLE": str(bundle)}, f"http://127.0.0.1:{port}/openapi.json") as pid:
        yield Server("naive FastAPI", port, "/score", lambda texts: _json({"text": texts[0]}), pid)


@contextmanager
def _process(command: list[str], environment: dict[str, str], ready: str) -> Iterator[int]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=said, stderr=said)
        try:
            _wait(process, ready, said)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, said: object) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.2)
    said.seek(0)  # type: ignore[attr-defined]
    tail = said.read().decode(errors="replace")[-2000:]  # type: ignore[attr-defined]
    raise RuntimeError(f"{Path(str(process.args[0])).name} did not start:\n{tail}")  # type: ignore[index]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _items(texts: list[str]) -> bytes:
    return _json({"items": [{"text": text} for text in texts]})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
