"""Which bundle is live, and which was when: list, promote, roll back, look back.

    python -m training.registry list
    python -m training.registry promote voc-small/1.1.0 --gate own_gate.csv --reason "own labels of May"
    python -m training.registry rollback --reason "false alerts on refunds"
    python -m training.registry history --at 2026-05-03T12:00

`models/LIVE` names the live bundle; `models/HISTORY.jsonl` keeps every change (who, when, from, to,
reason, gate figures) and is only ever added to. A bundle that is worse on the gate (a labelled file,
else the figures in both manifests) is promoted only with --force and a --reason; one whose files do
not match their checksums, never.
"""

import argparse
import fcntl
import getpass
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.gate import Figure, measure, stored
from voc.classify.bundle import Bundle, load_bundle
from voc.errors import BundleError, InputError, UsageError, VocError

ACTIONS = ("promote", "rollback")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history: the live bundle went from `before` to `after`."""

    at: str  # ISO 8601, UTC
    by: str
    action: str  # one of ACTIONS
    before: str | None  # "name/version"
    after: str
    reason: str
    forced: bool = False
    gate: dict[str, Any] = field(default_factory=dict)  # what was compared, and the figures


def live_name(models: Path) -> str | None:
    """What `LIVE` names; None before the first promotion."""
    try:
        return (models / "LIVE").read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def read_history(models: Path) -> list[Change]:
    """All changes, oldest first.

    Raises
    ------
    InputError
        A line is not a change: the file was edited by hand.
    """
    path = models / "HISTORY.jsonl"
    if not path.exists():
        return []
    changes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            changes.append(Change(**json.loads(line)))
        except (json.JSONDecodeError, TypeError) as error:
            raise InputError("is not a change", file=str(path), row=number,
                             remedy="restore the file; nothing but this program writes it") from error  # fmt: skip
    return changes


def live_at(changes: list[Change], moment: datetime) -> str | None:
    """Which bundle was live at a moment; None before the first promotion."""
    past = [change.after for change in changes if datetime.fromisoformat(change.at) <= moment]
    return past[-1] if past else None


def previous(changes: list[Change]) -> str | None:
    """What a rollback goes back to: promotions pile up, each rollback takes the uppermost off."""
    pile: list[str] = [changes[0].before] if changes and changes[0].before else []
    for change in changes:
        below = [i for i, name in enumerate(pile[:-1]) if name == change.after]
        if change.action == "rollback" and below:
            del pile[below[-1] + 1 :]
        else:
            pile.append(change.after)
    return pile[-2] if len(pile) > 1 else None


def promote(
    models: Path, name: str, *, gate: Path | None = None, force: bool = False, reason: str = "",
    by: str | None = None,
) -> tuple[Change, list[Figure]]:  # fmt: skip
    """Make `name` ("name/version") the live bundle.

    Raises
    ------
    BundleError
        The bundle is missing or corrupt (no flag helps), or worse on the gate, or not comparable.
    UsageError
        It is live already, or `force` comes without a reason.
    """
    if force and not reason.strip():
        raise UsageError("--force needs a --reason: it is what the next reader of the history asks for")
    with _locked(models):
        candidate = _bundle(models, name)
        before = live_name(models)
        if before == candidate.id:
            raise UsageError(f"{name} is live already")
        figures, compared, objection = _judge(models, candidate, before, gate)
        if objection and not force:
            raise BundleError(f"{name} is not promoted: {objection}; --force with a --reason overrides")
        about = {"compared_on": compared, "objection": objection, "figures": [asdict(f) for f in figures]}
        change = _change("promote", before, candidate.id, reason, by, forced=bool(objection), gate=about)
        _record(models, change)
    return change, figures


def rollback(models: Path, *, to: str | None = None, reason: str = "", by: str | None = None) -> Change:
    """Go back to the bundle that was live before, or to `to` if it once was.

    Raises
    ------
    UsageError
        No reason is given, there is nothing to go back to, or `to` was never live.
    BundleError
        The bundle is gone or corrupt.
    """
    if not reason.strip():
        raise UsageError("a rollback needs a --reason")
    with _locked(models):
        changes = read_history(models)
        target = to or previous(changes)
        if target is None:
            raise UsageError("there is no earlier bundle to go back to")
        if target not in {name for change in changes for name in (change.before, change.after)}:
            raise UsageError(f"{target} was never live; promote it instead")
        before = live_name(models)
        if target == before:
            raise UsageError(f"{target} is live already")
        change = _change("rollback", before, _bundle(models, target).id, reason, by)
        _record(models, change)
    return change


def _judge(
    models: Path, candidate: Bundle, before: str | None, gate: Path | None
) -> tuple[list[Figure], str, str | None]:
    """(figures, what was compared on, what speaks against the promotion)."""
    live, broken = None, None
    if before:
        try:
            live = _bundle(models, before)
        except BundleError as error:
            broken = f"the live bundle cannot be compared with ({error})"
    figures = measure(candidate, live, gate) if gate else stored(candidate, live)
    compared = gate.name if gate else "figures in the manifests"
    worse = [figure.as_text() for figure in figures if figure.worse]
    if broken:
        return figures, compared, broken
    if worse:
        return figures, compared, f"it is worse than {before} ({'; '.join(worse)})"
    if live and not figures:
        return figures, compared, f"its manifest and that of {before} share no figures (give --gate FILE)"
    return figures, compared, None


def _bundle(models: Path, name: str) -> Bundle:
    """Open a bundle of the registry; its folder must be the one its manifest names."""
    parts = name.strip("/").split("/")
    if len(parts) != 2 or ".." in parts:
        raise UsageError(f"'{name}' is not name/version, such as voc-small/1.0.0")
    bundle = load_bundle(models / parts[0] / parts[1])
    if bundle.id != "/".join(parts):
        raise BundleError(f"{bundle.folder} holds {bundle.id}; a bundle's folder must bear its name")
    return bundle


def _change(
    action: str, before: str | None, after: str, reason: str, by: str | None, *, forced: bool = False,
    gate: dict[str, Any] | None = None,
) -> Change:  # fmt: skip
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Change(now, by or getpass.getuser(), action, before, after, reason.strip(), forced, gate or {})


def _record(models: Path, change: Change) -> None:
    """History first: a crash between the two leaves a line too many, which `list` tells, never one too few."""
    with (models / "HISTORY.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(asdict(change)) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    part = models / "LIVE.part"
    part.write_text(change.after + "\n", encoding="utf-8")
    part.replace(models / "LIVE")


@contextmanager
def _locked(models: Path) -> Iterator[None]:
    """One change at a time, also between processes."""
    if not models.is_dir():
        raise BundleError(f"{models} is no folder; give --models")
    handle = os.open(models, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def list_bundles(models: Path) -> list[dict[str, Any]]:
    """Every bundle: its name, age, gate figures, whether it is live, whether its files are sound."""
    live = live_name(models)
    rows = []
    for manifest in sorted(models.glob("*/*/manifest.json")):
        name = f"{manifest.parent.parent.name}/{manifest.parent.name}"
        row: dict[str, Any] = {"bundle": name, "live": name == live, "state": "sound"}
        try:
            bundle = _bundle(models, name)
        except VocError as error:
            row["state"] = str(error)
        else:
            row["created_at"] = bundle.manifest.get("created_at", "")
            row["operating_points"] = list(bundle.operating_points)
            row["figures"] = {f.name: round(f.value, 4) for f in stored(bundle, None)}
        rows.append(row)
    return rows


def _print_list(models: Path) -> None:
    rows = list_bundles(models)
    if not rows:
        print(f"no bundle in {models}", file=sys.stderr)
    for row in rows:
        mark = "*" if row["live"] else " "
        figures = ", ".join(f"{k} {v:.3f}" for k, v in row.get("figures", {}).items())
        print(f"{mark} {row['bundle']:24} {row.get('created_at', '')[:19]:20} {row['state']}  {figures}")
    live = live_name(models)
    changes = read_history(models)
    if live and not changes:
        print(f"LIVE names {live}, but no promotion is on record", file=sys.stderr)
    if changes and changes[-1].after != live:
        print(f"LIVE names {live}, but the history ends with {changes[-1].after}: somebody changed LIVE by "
              "hand, or a promotion was cut off; promote again", file=sys.stderr)  # fmt: skip


def _print_history(models: Path, at: str | None) -> None:
    changes = read_history(models)
    if at:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError as error:
            raise UsageError(f"'{at}' is no ISO 8601 time, such as 2026-05-03T12:00") from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        print(live_at(changes, moment) or "none")
        return
    for change in changes:
        forced = " (forced)" if change.forced else ""
        print(f"{change.at}  {change.action:8}  {change.before or '-'} -> {change.after}{forced}  "
              f"{change.by}  {change.reason}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every bundle; the live one is starred")
    command = commands.add_parser("promote", help="make a bundle the live one")
    command.add_argument("bundle", help="name/version")
    command.add_argument("--gate", type=Path, help="labelled file to compare both bundles on")
    command.add_argument("--force", action="store_true", help="promote although it is worse")
    command.add_argument("--reason", default="")
    command.add_argument("--by", help="who decides; the user of the machine if left out")
    command = commands.add_parser("rollback", help="go back to the bundle that was live before")
    command.add_argument("--to", help="name/version that was live once")
    command.add_argument("--reason", default="", help="needed: why")
    command.add_argument("--by")
    command = commands.add_parser("history", help="which bundle was live when")
    command.add_argument("--at", help="a time (ISO 8601; UTC unless it says otherwise)")
    args = parser.parse_args()
    try:
        _dispatch(args)
    except UsageError as error:
        print(f"registry: {error}", file=sys.stderr)
        sys.exit(2)
    except VocError as error:
        sys.exit(f"registry: {error}")


def _dispatch(args: argparse.Namespace) -> None:
    if args.command == "list":
        _print_list(args.models)
    elif args.command == "history":
        _print_history(args.models, args.at)
    elif args.command == "rollback":
        change = rollback(args.models, to=args.to, reason=args.reason, by=args.by)
        print(f"live: {change.after} (was {change.before})")
    else:
        change, figures = promote(
            args.models, args.bundle, gate=args.gate, force=args.force, reason=args.reason, by=args.by
        )
        if "calibrated_on" not in _bundle(args.models, change.after).manifest:
            print(f"{change.after} was never calibrated: its probabilities are raw and its thresholds one "
                  "half (python -m training.calibrate)", file=sys.stderr)  # fmt: skip
        for figure in figures:
            print(figure.as_text())
        print(f"live: {change.after} (was {change.before or 'none'})")


if __name__ == "__main__":
    main()
