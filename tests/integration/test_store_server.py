"""The embedded server: shared, surviving, stopped by the last, and clear about what is wrong."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from voc.errors import StoreError
from voc.store import embedded
from voc.store.engine import connect, transaction

# Attaches, says so, and leaves when told.
HOLDER = """
import sys
from pathlib import Path
from sqlalchemy import text
from voc.store.engine import connect
engine = connect(None, Path(sys.argv[1]))
with engine.begin() as conn:
    conn.execute(text("CREATE TABLE IF NOT EXISTS visit (pid int)"))
    conn.execute(text("INSERT INTO visit SELECT pg_backend_pid()"))
print("in", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def own_folder() -> Iterator[Path]:
    """A folder for a server that these tests may stop and kill."""
    parent = Path(tempfile.mkdtemp(prefix="voc-"))
    parent.chmod(0o711)
    yield parent / "pg"
    shutil.rmtree(parent)


@pytest.fixture
def folder(own_folder: Path) -> Iterator[Path]:
    """That folder, its server stopped however the test ends."""
    yield own_folder
    embedded.start(own_folder).release()  # attach to what a killed process left, and be the last


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=120)
    assert process.returncode == 0


def postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


def answers(folder: Path) -> bool:
    conninfo = f"host={folder / 'data'} port={embedded.PORT} dbname=voc user=voc"
    return psycopg.pq.PGconn.ping(conninfo.encode()) == psycopg.pq.Ping.OK


def test_two_processes_share_one_server_and_the_last_stops_it(folder):
    first = hold(folder)
    server = postmaster(folder)
    second = hold(folder)

    assert postmaster(folder) == server
    leave(first)
    assert answers(folder)
    leave(second)
    assert not answers(folder)


def test_what_was_written_survives_a_restart(folder):
    leave(hold(folder))
    assert not answers(folder)
    engine = connect(None, folder)

    with transaction(engine) as conn:
        assert conn.execute(text("SELECT count(*) FROM visit")).scalar_one() >= 1
    engine.dispose()
    assert not answers(folder)


def test_a_killed_process_does_not_keep_the_server_for_ever(folder):
    killed = hold(folder)
    killed.kill()
    killed.communicate()

    assert answers(folder)
    leave(hold(folder))
    assert not answers(folder)


def test_a_killed_server_is_started_again_by_the_next_process(folder):
    first = hold(folder)
    os.kill(postmaster(folder), signal.SIGKILL)
    second = hold(folder)

    assert answers(folder)
    leave(first)
    leave(second)


def test_the_program_of_a_process_is_told_and_none_where_it_is_gone():
    sleeper = subprocess.Popen(["sleep", "600"])
    running = embedded._program_of(sleeper.pid)
    sleeper.kill()
    sleeper.wait()

    assert "sleep" in running
    assert embedded._program_of(sleeper.pid).strip() == ""


def test_a_process_id_that_now_is_another_program_does_not_stop_the_start(folder):
    leave(hold(folder))
    sleeper = subprocess.Popen(["sleep", "600"])
    stale = folder / "data" / "postmaster.pid"
    stale.write_text(
        f"{sleeper.pid}\n{folder / 'data'}\n1\n{embedded.PORT}\n{folder / 'data'}\n\n1 1\nready\n"
    )

    leave(hold(folder))
    sleeper.kill()
    sleeper.wait()


def test_the_server_listens_on_no_network_address_and_its_folder_is_closed(server):
    assert (server.folder / "data").stat().st_mode & 0o077 == 0
    with psycopg.connect(host=str(server.socket_dir), user=embedded.OWNER, dbname=embedded.DATABASE) as conn:
        assert conn.execute("SHOW listen_addresses").fetchone() == ("",)
        assert conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (
            False,
        )


def test_what_customers_wrote_does_not_reach_the_servers_log(server, store):
    with pytest.raises(StoreError), transaction(store) as conn:
        conn.execute(text("INSERT INTO source (name, kind) VALUES ('canary-7341', 'parrot')"))
    with pytest.raises(StoreError), transaction(store) as conn:
        conn.execute(text("SELECT CAST(:words AS integer)"), {"words": "canary-7341"})

    log = server.folder / "data" / "server.log"
    assert "ready to accept connections" in log.read_text()
    assert "canary" not in log.read_text()


def test_an_error_names_the_constraint_and_no_value(store):
    with pytest.raises(StoreError) as caught, transaction(store) as conn:
        conn.execute(text("INSERT INTO source (name, kind) VALUES ('canary-7341', 'parrot')"))

    assert "source_kind_check of source" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_folder_that_cannot_be_used_gives_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"cannot use this folder .* VOC_HOME"):
        connect(None, tmp_path / "file" / "pg")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs under another account")
def test_a_folder_closed_to_roots_server_names_what_is_closed(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(StoreError, match=r"may not enter .* VOC_HOME .* chmod"):
        connect(None, closed / "pg")


def test_a_database_that_does_not_exist_is_named(server):
    with pytest.raises(StoreError, match=r'/nowhere .*database "nowhere" does not exist'):
        connect(server.url("nowhere").render_as_string())


def test_a_database_that_stops_midway_gives_a_clear_error(store):
    def work() -> None:
        with transaction(store) as conn:
            pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with store.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            conn.execute(text("SELECT 1"))

    with pytest.raises(StoreError, match="the database was stopped"):
        work()
