"""The result of a run in words: a text for the terminal, a page for the browser."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--line:#8885;--mark:#2563eb;--soft:#8889}
body{font:15px/1.5 system-ui,sans-serif;max-width:84rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;display:block;overflow-x:auto;margin:1rem 0}
th,td{padding:.35rem .7rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child,.found :is(th,td):nth-child(-n+3){text-align:left}
.note{opacity:.8}
"""
_HEADER = (
    "outcome", "goes with", "at step", "odds ratio", "95 % interval", "q", "with", "without", "share", "owner",
)  # fmt: skip
_PLOT_WIDTH = 160


def as_text(result: Mapping[str, Any]) -> str:
    """The report for a terminal."""
    lines = [f"{result['name']}: {result['description']}".rstrip(": "), ""]
    for item in result["imports"]:
        lines.append(
            f"  {item['file']}: read {item['read']:,} = stored {item['stored']:,} + duplicates "
            f"{item['duplicates']:,} + quarantined {item['quarantined']:,}"
        )
    scores = result["scores"]
    lines.append(
        f"  scored by {scores['model']}: {scores['supported']:,} texts, {scores['unsupported']:,} not supported; "
        + ", ".join(f"{name} {n:,}" for name, n in scores["sentiment"].items())
    )
    if "themes" in result:
        lines += ["", *_theme_lines(result["themes"])]
    if "deviations" in result:
        lines += ["", *_deviation_lines(result)]
        lines += ["", *_association_lines(result)]
    if result.get("spikes"):
        lines += ["", *_spike_lines(result["spikes"])]
    lines += ["", f"  took {result['seconds']:.0f} s; report: {result['report']}"]
    return "\n".join(lines)


def _theme_lines(themes: Mapping[str, Any]) -> list[str]:
    lines = [
        f"  themes: {len(themes['themes'])} over {themes['texts']:,} texts, {themes['none']:,} with none; "
        f"largest: " + "; ".join(f"{t['name']} {t['n']:,}" for t in themes["themes"][:5])
    ]
    if themes["too_small"]:
        lines.append(f"  {themes['too_small']} themes have too few texts here to be tested")
    return lines


def _deviation_lines(result: Mapping[str, Any]) -> list[str]:
    found = result["deviations"]
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in found["by_kind"].items()) or "none"
    lines = [f"  deviations in {found['cases_with']:,} of {found['cases']:,} cases: {kinds}"]
    if left_out := found.get("cases_left_out"):
        lines.append(f"  {left_out:,} cases were left out: no map is for them, or several are")
    return lines


def _association_lines(result: Mapping[str, Any]) -> list[str]:
    test = result["associations"]
    lines = [
        f"  {test['tested']:,} pairs tested over {test['cases']:,} cases with feedback, strata: "
        f"{', '.join(test['strata']) or 'none'}; false discovery rate {test['fdr']:g}",
        f"  reported: {len(test['reported'])}",
        "",
    ]
    lines += text_table(_HEADER, [_row(a) for a in test["reported"]]) if test["reported"] else []
    if test["reported"]:
        lines += ["", "  'goes with' is an association within strata, not yet a cause."]
    control = test.get("control")
    if control:
        lines.append(
            f"  control: the same test with deviations shuffled among cases, {control['runs']} times: "
            f"{control['tested']:,} pairs tested, {control['reported']} reported "
            f"(mean {control['mean_reported']:.2f} a run)"
        )
    lines += [f"  note: {note}" for note in test["notes"]]
    if gaps := test.get("ownership_gaps"):
        lines.append(f"  nobody owns: {', '.join(gaps)}; name an owner in the process map")
    if not test.get("computed_again", True):
        lines.append("  nothing that is tested has changed since the last run: its findings stand")
    return lines


def _spike_lines(spikes: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [f"  spikes: {len(spikes)}"]
    for s in spikes:
        best = s["candidates"][0] if s["candidates"] else None
        after = (
            f"; {best['lag_h']:.0f} h after {best['change_id']} ({best['title']})"
            if best
            else "; no candidate change"
        )
        lines.append(
            f"    {s['series']}: {s['observed']:,} in place of {s['expected']:.0f} from {s['start'][:10]}{after}"
        )
    return lines


def _row(a: Mapping[str, Any]) -> list[str]:
    return [
        f"theme: {a['theme']}" if a.get("theme") else a["outcome"],
        a["kind"], a["step"] or "(whole case)", number(a["odds_ratio"]),
        f"{number(a['ci_low'])}-{number(a['ci_high'])}", f"{a['q_value']:.1g}",
        f"{a['n_exposed_outcome']:,}/{a['n_exposed']:,}", f"{a['n_unexposed_outcome']:,}/{a['n_unexposed']:,}",
        "" if a["attributable_fraction"] is None else f"{a['attributable_fraction']:.0%}", a.get("owner") or "nobody",
    ]  # fmt: skip


def number(value: float | None) -> str:
    """A ratio for reading; infinity and undefined are said so."""
    if value is None or math.isnan(value):
        return "-"
    return "inf" if math.isinf(value) else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of an aligned table."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [lines[0], "  " + "  ".join("-" * w for w in widths), *lines[1:]]


def as_html(result: Mapping[str, Any]) -> str:
    """The report as one self-contained page."""
    title = escape(f"{result['name']}: what goes with what")
    parts = [f"<h1>{title}</h1><p>{escape(result['description'])}</p>"]
    parts.append(_html_table(("file", "read", "stored", "duplicates", "quarantined"), (
        [i["file"], f"{i['read']:,}", f"{i['stored']:,}", f"{i['duplicates']:,}", f"{i['quarantined']:,}"]
        for i in result["imports"]
    )))  # fmt: skip
    if "themes" in result:
        parts += [f"<p>{escape(line.strip())}</p>" for line in _theme_lines(result["themes"])]
    if "associations" in result:
        test = result["associations"]
        parts += [f"<p>{escape(line.strip())}</p>" for line in _deviation_lines(result)]
        rows = [[*_row(a), _interval_plot(a)] for a in test["reported"]]
        parts.append(f"<h2>Reported: {len(rows)} of {test['tested']:,} pairs tested</h2>")
        parts.append(_html_table((*_HEADER, "odds ratio, log scale"), rows, raw_last=True))
        parts.append("<p class=note>An association within strata, not yet a cause. 'with' and 'without': "
                     "cases with the outcome among cases with and without the deviation.</p>")  # fmt: skip
        parts += [f"<p>{escape(note)}</p>" for note in test["notes"]]
        if control := test.get("control"):
            parts.append(f"<p>Control: with deviations shuffled among cases, {control['runs']} times, "
                         f"{control['reported']} of {control['tested']:,} tests were reported.</p>")  # fmt: skip
    parts += [f"<p>{escape(line.strip())}</p>" for line in _spike_lines(result.get("spikes") or [])]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style>{''.join(parts)}</html>\n"
    )


def _html_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, raw_last: bool = False) -> str:
    head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in header)
    body = []
    for row in rows:
        cells = [escape(cell) for cell in row]
        if raw_last:
            cells[-1] = row[-1]
        body.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table{' class=found' if raw_last else ''}><tr>{head}</tr>{''.join(body)}</table>"


def _interval_plot(a: Mapping[str, Any]) -> str:
    """Odds ratio and interval between 1/8 and 64 on a log scale, with a line at 1."""

    def x(value: float | None) -> float:
        v = 64.0 if value is None or math.isinf(value) else max(0.125, min(64.0, value))
        return (math.log2(v) + 3) / 9 * _PLOT_WIDTH

    return (
        f'<svg width="{_PLOT_WIDTH}" height="16" role="img" aria-label="odds ratio {number(a["odds_ratio"])}">'
        f'<line x1="{x(1):.0f}" x2="{x(1):.0f}" y1="0" y2="16" stroke="var(--soft)"/>'
        f'<line x1="{x(a["ci_low"]):.0f}" x2="{x(a["ci_high"]):.0f}" y1="8" y2="8" '
        'stroke="var(--mark)" stroke-width="2"/>'
        f'<circle cx="{x(a["odds_ratio"]):.0f}" cy="8" r="4" fill="var(--mark)"/></svg>'
    )
