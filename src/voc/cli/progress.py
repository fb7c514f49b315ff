"""A progress bar on stderr that appears only when work takes more than a moment."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
_PATIENCE_S = 2.0


def track(items: Iterable[T], name: str, *, total: int | None = None) -> Iterator[T]:
    """Pass items through; after two seconds show how far they are (a terminal: a bar, else lines)."""
    began = time.monotonic()
    if not sys.stderr.isatty():
        yield from _lines(items, name, began, total)
        return
    progress: Progress | None = None
    n = 0
    try:
        for n, item in enumerate(items, start=1):
            yield item
            if progress is None and time.monotonic() - began > _PATIENCE_S:
                progress = _bar()
                task = progress.add_task(name, total=total)
                progress.start()
            if progress is not None:
                progress.update(task, completed=n)
    finally:
        if progress is not None:
            progress.stop()


def _lines(items: Iterable[T], name: str, began: float, total: int | None) -> Iterator[T]:
    said = began
    for n, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said > 10:
            said = now
            of = f" of {total:,}" if total else ""
            print(f"{name}: {n:,}{of}, {n / (now - began):,.0f}/s", file=sys.stderr)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
