"""Process id files that outlived their server."""

import subprocess
from pathlib import Path


def drop_stale_pid_file(path: Path) -> None:
    """Remove what a killed server left, where its process id now belongs to some other program.

    PostgreSQL refuses to start then: it cannot tell. Common where containers restart.
    """
    try:
        pid = int(path.read_text().split("\n", 1)[0])
        name = program_of(pid)
    except (OSError, ValueError):
        return
    if name.strip() and "postgres" not in name:
        path.unlink(missing_ok=True)


def program_of(pid: int) -> str:
    """The name of a running program, empty where none runs; Linux tells it without `ps`, which slim images lack."""
    if Path("/proc/self/comm").exists():
        comm = Path(f"/proc/{pid}/comm")
        return comm.read_text() if comm.exists() else ""
    return subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
