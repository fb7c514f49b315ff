"""A page of tables without scripts or outside files, for the programs that measure."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.3rem .7rem;border-bottom:1px solid #ddd;"
    "text-align:right}th:first-child,td:first-child{text-align:left}th{background:#f4f4f4}"
    "caption{text-align:left;font-weight:600;padding:.4rem 0}svg{display:block;margin:1rem 0}"
)


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table; the rows share their keys, which head the columns."""

    title: str
    rows: Sequence[Mapping[str, object]]
    note: str = ""

    def text(self) -> str:
        """The table for a terminal."""
        if not self.rows:
            return f"{self.title}\n  (none)\n"
        head = list(self.rows[0])
        cells = [head, *([_cell(row[k]) for k in head] for row in self.rows)]
        width = [max(len(row[i]) for row in cells) for i in range(len(head))]
        lines = [
            "  "
            + "  ".join(
                x.ljust(w) if i == 0 else x.rjust(w) for i, (x, w) in enumerate(zip(row, width, strict=True))
            )
            for row in cells
        ]
        return "\n".join([self.title, *lines, *([f"  {self.note}"] if self.note else []), ""])

    def markup(self) -> str:
        """The table for a page."""
        head = list(self.rows[0]) if self.rows else []
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_cell(row[k]))}</td>" for k in head) + "</tr>"
            for row in self.rows
        )
        names = "".join(f"<th>{html.escape(k)}</th>" for k in head)
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return f"<table><caption>{html.escape(self.title)}</caption><tr>{names}</tr>{body}</table>{note}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "yes" if value is True else "no" if value is False else str(value)


def write_page(path: Path, title: str, intro: str, parts: Sequence[Table | str]) -> None:
    """Write the tables, and ready-made markup between them, as one page."""
    body = "".join(part.markup() if isinstance(part, Table) else part for part in parts)
    path.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(intro)}</p>{body}</html>\n",
        encoding="utf-8",
    )
