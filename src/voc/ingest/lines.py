"""A stream of bytes to lines of text, none longer than a limit, so that memory stays bounded."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from voc.ingest.encoding import decode_line
from voc.ingest.quarantine import BadRow

MAX_LINE = 32 * 2**20  # bytes; also the characters of one CSV record, which may span lines
_KEPT = 1_000  # characters of an over-long line kept to recognise it by


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line over the limit; the rest of it is in the file alone."""

    n_bytes: int
    start: str

    def as_bad_row(self) -> BadRow:
        """The line for quarantine: named, not cut and kept as if whole."""
        return BadRow(
            {"_line_start": self.start.replace("\0", "\u2400")},
            f"line is {self.n_bytes:,} bytes; the limit is {MAX_LINE:,}",
            "check that the file's lines end; split the row and replay it",
        )


def read_lines(stream: io.BufferedReader, encoding: str) -> Iterator[tuple[str | LongLine, bool]]:
    """Give each line, with its end, and whether it was decoded as the encoding says."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig"):
        yield from _lines_of_bytes(stream)
        return
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="\n")
    try:
        first = True
        while line := text.readline(MAX_LINE):
            if first:
                line, first = line.removeprefix("\ufeff"), False
            if len(line) >= MAX_LINE and not line.endswith("\n"):
                n_chars = len(line)
                while (more := text.readline(MAX_LINE)) and not more.endswith("\n"):
                    n_chars += len(more)
                yield LongLine(n_chars + len(more), line[:_KEPT]), True
            else:
                yield line, True
    finally:
        text.detach()  # whoever opened the stream closes it


def _lines_of_bytes(stream: io.BufferedReader) -> Iterator[tuple[str | LongLine, bool]]:
    first = True
    while line := stream.readline(MAX_LINE):
        if first:
            line, first = line.removeprefix(b"\xef\xbb\xbf"), False
        if len(line) >= MAX_LINE and not line.endswith(b"\n"):
            n_bytes = len(line)
            while (more := stream.readline(MAX_LINE)) and not more.endswith(b"\n"):
                n_bytes += len(more)
            yield LongLine(n_bytes + len(more), decode_line(line[:_KEPT])[0]), True
            continue
        yield decode_line(line)
