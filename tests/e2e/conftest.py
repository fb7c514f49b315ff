"""Commands as a user runs them, on a store of their own that is gone afterwards."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def voc_home() -> Iterator[Path]:
    """A folder for the embedded server that root's PostgreSQL can reach too."""
    folder = Path(tempfile.mkdtemp(prefix="voc-e2e-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def voc(voc_home: Path) -> Run:
    """Run `voc` with arguments; text in and out, never raises for an exit code."""

    def run(
        *arguments: str | Path, stdin: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "voc.cli.main", *map(str, arguments)],
            input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=600,
            env={**os.environ, "VOC_HOME": str(voc_home), **environment},
        )  # fmt: skip

    return run
