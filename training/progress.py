"""One line of progress on stderr, at most one a second, with the time left."""

import sys
import time


class Progress:
    """Counts work done; rewrites its line on a terminal, else prints one every half minute."""

    def __init__(self, name: str, *, total: int, unit: str, start: int = 0) -> None:
        self.name, self.total, self.unit, self.done, self.start = name, total, unit, start, start
        self.began = self.said = time.monotonic()
        self.every = 1.0 if sys.stderr.isatty() else 30.0

    def advance(self, n: int, *, note: str = "") -> None:
        self.done += n
        now = time.monotonic()
        if now - self.said >= self.every:
            self.said = now
            self._say(note, now)

    def _say(self, note: str, now: float) -> None:
        rate = (self.done - self.start) / max(1e-9, now - self.began)
        left = (self.total - self.done) / max(1e-9, rate)
        end = "\r" if sys.stderr.isatty() else "\n"
        print(
            f"{self.name}: {self.done:,}/{self.total:,} {self.unit}, {rate:,.1f}/s, "
            f"{left / 60:.1f} min left {note}",
            end=end, file=sys.stderr, flush=True,
        )  # fmt: skip

    def close(self) -> None:
        took = time.monotonic() - self.began
        print(f"{self.name}: {self.done:,} {self.unit} in {took:,.0f} s", file=sys.stderr, flush=True)
