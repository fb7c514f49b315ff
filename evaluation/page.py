"""Self-contained HTML pages: headings, tables and line plots as inline SVG, readable in the dark."""

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--mark:#2563eb;--soft:#8888}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}
th,td{padding:.3rem .7rem;border-bottom:1px solid var(--line);text-align:right}
td{font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left} caption{text-align:left;font-weight:600;padding:.4rem 0}
svg{max-width:100%;height:auto} .plots{display:flex;flex-wrap:wrap;gap:1rem}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def heading(text: str) -> str:
    """A second-level heading."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph."""
    return f"<p>{escape(text)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> str:
    """A table; numbers are printed as given."""
    head = "".join(f"<th scope=col>{escape(str(cell))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{body}</table>"


def reliability_plot(name: str, stated: Sequence[float], observed: Sequence[float]) -> str:
    """Observed rate against stated probability; the diagonal is perfect."""
    size = 220
    x = lambda v: 30 + v * (size - 40)  # noqa: E731
    y = lambda v: size - 30 - v * (size - 40)  # noqa: E731
    points = " ".join(f"{x(s):.1f},{y(o):.1f}" for s, o in zip(stated, observed, strict=True))
    dots = "".join(
        f'<circle cx="{x(s):.1f}" cy="{y(o):.1f}" r="3" fill="var(--mark)"/>'
        for s, o in zip(stated, observed, strict=True)
    )
    return (
        f'<svg width="{size}" height="{size}" role="img" aria-label="reliability of {escape(name)}">'
        f'<rect x="30" y="10" width="{size - 40}" height="{size - 40}" fill="none" stroke="var(--line)"/>'
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="var(--soft)" stroke-dasharray="4"/>'
        f'<polyline points="{points}" fill="none" stroke="var(--mark)" stroke-width="2"/>{dots}'
        f'<text x="32" y="{size - 8}" font-size="12" fill="currentColor">{escape(name)}</text></svg>'
    )


def scatter_plot(
    name: str, points: Sequence[tuple[str, float, float]], *, x_name: str, size: tuple[int, int] = (420, 280)
) -> str:
    """Named points (name, x, y); axes start a tenth outside the points."""
    width, height = size
    xs, ys = [p[1] for p in points], [p[2] for p in points]
    x_span, y_span = (max(xs) - min(xs)) or max(xs) or 1, (max(ys) - min(ys)) or max(ys) or 1
    x0, y0 = min(xs) - 0.15 * x_span, min(ys) - 0.15 * y_span
    x = lambda v: 55 + (v - x0) / (1.5 * x_span) * (width - 65)  # noqa: E731
    y = lambda v: height - 40 - (v - y0) / (1.3 * y_span) * (height - 50)  # noqa: E731
    marks = "".join(
        f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="4" fill="var(--mark)"/>'
        # To the left of a point in the right half, so that no name runs out of the picture.
        f'<text x="{x(a) + (7 if x(a) < width / 2 else -7):.1f}" y="{y(b) + 4:.1f}" font-size="12" '
        f'text-anchor="{"start" if x(a) < width / 2 else "end"}" fill="currentColor">{escape(n)}</text>'
        for n, a, b in points
    )
    ticks = "".join(
        f'<text x="{x(v):.1f}" y="{height - 22}" font-size="11" text-anchor="middle" fill="currentColor">{v:g}</text>'
        for v in sorted({min(xs), max(xs)})
    ) + "".join(
        f'<text x="50" y="{y(v) + 4:.1f}" font-size="11" text-anchor="end" fill="currentColor">{v:.3f}</text>'
        for v in sorted({min(ys), max(ys)})
    )
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="{escape(name)} against {escape(x_name)}">'
        f'<rect x="55" y="10" width="{width - 65}" height="{height - 50}" fill="none" stroke="var(--line)"/>'
        f'{ticks}{marks}<text x="57" y="{height - 5}" font-size="12" fill="currentColor">'
        f"{escape(name)}, against {escape(x_name)}</text></svg>"
    )


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """The same table as text on stdout."""
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for n, row in enumerate(cells):
        print(
            "  ".join(
                c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
            )
        )
        if n == 0:
            print("  ".join("-" * w for w in widths))
