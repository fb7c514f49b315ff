"""`voc themes`: find the recurring topics of texts, assign texts to them, name and merge them, see new ones."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import tee
from pathlib import Path
from typing import Annotated, Any

import typer

from voc.cli.progress import track
from voc.cli.score import open_scorer
from voc.errors import InputError, UsageError
from voc.files import open_output, stream_rows, write_json_lines
from voc.pipeline.themes import Embedded, Finder, embed, find_emerging_themes, must_have_texts, place
from voc.pipeline.themes import fit as fit_embedded
from voc.records import Theme
from voc.themes.assign import NONE
from voc.themes.edit import merge, rename, set_owner
from voc.themes.emerging import LEAST_STREAM
from voc.themes.fit import FitSettings, Fitted, fit_themes
from voc.themes.fits import load_fit, save_fit

ASSIGNMENTS = "assignments.jsonl"
Text = Annotated[str, typer.Option(help="field that holds the text")]
Id = Annotated[str, typer.Option("--id", help="field that names the row; without it rows are counted from 1")]
Bundle = Annotated[Path | None, typer.Option(help="folder of a bundle; else VOC_BUNDLE, else models/LIVE")]
Folder = Annotated[Path, typer.Argument(metavar="FIT", help="folder of a theme fit")]
_DEFAULT = FitSettings()


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Themes: fit, assign, show, edit, emerging.")
    for command in (fit, assign, show, edit, emerging):
        group.command(command.__name__)(command)
    app.add_typer(group, name="themes")


def fit(
    source: Annotated[str, typer.Argument(metavar="TEXTS", help="CSV, JSON Lines or Parquet; - for stdin")],
    output: Annotated[Path, typer.Option(help="folder for the fit")],
    previous: Annotated[Path | None, typer.Option(help="the fit to go on from: its ids live on")] = None,
    afresh: Annotated[bool, typer.Option(help="find themes anew, then match them to --previous")] = False,
    text: Text = "text",
    id_field: Id = "id",
    granularity: Annotated[
        float, typer.Option(help="more gives more and finer themes")
    ] = _DEFAULT.granularity,
    n_themes: Annotated[
        int | None, typer.Option("--themes", help="a number of themes, in place of granularity")
    ] = None,
    min_size: Annotated[int, typer.Option(help="texts that make a theme")] = _DEFAULT.min_size,
    none_share: Annotated[
        float, typer.Option(help="share of unseen texts like these that shall have no theme")
    ] = _DEFAULT.none_share,
    seed: Annotated[
        int, typer.Option(help="the order texts are taken in; the result is the same")
    ] = _DEFAULT.seed,
    bundle: Bundle = None,
) -> None:
    """Find the themes of texts: centroids to assign with, names, quotes, hierarchy, lineage.

    Needs no database and no training library. With --previous, themes keep their ids, names and
    owners; births, deaths, merges and splits are listed.

        voc themes fit reviews.csv --text body --output themes/2026-01

        voc themes fit reviews.csv --text body --previous themes/2026-01 --output themes/2026-02
    """
    settings = FitSettings(granularity, n_themes, min_size, none_share, seed)
    fit_to_folder(
        source, output, previous=previous, afresh=afresh, text=text, id_field=id_field,
        settings=settings, bundle=bundle, finder=fit_themes,
    )  # fmt: skip


def fit_to_folder(
    source: str, output: Path, *, previous: Path | None, afresh: bool, text: str, id_field: str,
    settings: FitSettings, bundle: Path | None, finder: Finder,
) -> Fitted:  # fmt: skip
    """Read, embed, fit, write, and say what came out."""
    if afresh and previous is None:
        raise UsageError("--afresh says how to go on from a fit; name it with --previous")
    scorer = open_scorer(bundle, None)
    old = load_fit(previous) if previous else None
    recorded = _recorded(previous / ASSIGNMENTS) if previous else None
    rows = _named(stream_rows(source, required=(text,)), text, id_field)
    embedded = embed(scorer, track(rows, "reading texts"))
    must_have_texts(embedded, source)
    fitted = fit_embedded(
        embedded, scorer.bundle.id, settings, previous=old, recorded=recorded, afresh=afresh, finder=finder
    )
    saved = save_fit(fitted.fit, output)
    write_json_lines(_assignments(fitted, embedded), str(output / ASSIGNMENTS))
    _report(replace(fitted, fit=saved), embedded, output)
    return fitted


def assign(
    folder: Folder,
    source: Annotated[str, typer.Argument(metavar="INPUT", help="CSV, JSON Lines or Parquet; - for stdin")],
    text: Text = "text",
    id_field: Id = "id",
    bundle: Bundle = None,
    output: Annotated[str | None, typer.Option(help="file to write (.gz compresses); else stdout")] = None,
) -> None:
    """Say which theme each text belongs to, or none.

    One JSON line comes out for each row that goes in, in the same order.

        voc themes assign themes/2026-01 reviews.csv --text body --output themes.jsonl
    """
    fitted = load_fit(folder)
    scorer = open_scorer(bundle, None)
    rows, again = tee(_named(stream_rows(source, required=(text,)), text, id_field))
    placed = place(scorer, fitted, (said for _, said in rows))
    n_rows = n_placed = 0
    with open_output(output) as out:
        for (name, _), one in zip(again, track(placed, "assigning"), strict=True):
            n_rows += 1
            n_placed += one.theme is not None
            line = {
                "id": name,
                "theme": one.theme.id if one.theme else None,
                "name": one.theme.name if one.theme else None,
                "similarity": None if one.similarity is None else round(one.similarity, 6),
                "reason": one.reason,
                "fit": fitted.digest[:12],
                "model": fitted.bundle,
            }
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{n_rows:,} texts, {n_placed:,} with a theme", file=sys.stderr)


def show(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line a theme")] = False,
) -> None:
    """List the themes of a fit with size, name, owner and a quote."""
    fitted = load_fit(folder)
    if as_json:
        write_json_lines((asdict(theme) for theme in fitted.themes), None)
        return
    print("\n".join(_lines(fitted.themes)))


def edit(
    folder: Folder,
    theme: Annotated[str, typer.Argument(help="id of a theme")],
    by: Annotated[str, typer.Option(help="who says so: it is kept with the change")],
    name: Annotated[str | None, typer.Option(help="a name of yours, which refits keep")] = None,
    owner: Annotated[str | None, typer.Option(help="who looks after it, which refits keep")] = None,
    merge_into: Annotated[str | None, typer.Option(help="id of the theme that takes it in")] = None,
) -> None:
    """Name a theme, give it an owner, or merge it into another; refits keep all three.

    voc themes edit themes/2026-01 t1a2b3c4d --name "Refund is late" --owner "Billing Ops" --by anna
    """
    fitted = load_fit(folder)
    if name is None and owner is None and merge_into is None:
        raise UsageError("nothing to change; give --name, --owner or --merge-into")
    if name is not None:
        fitted = rename(fitted, theme, name, by=by)
    if owner is not None:
        fitted = set_owner(fitted, theme, owner, by=by)
    if merge_into is not None:
        fitted = merge(fitted, theme, merge_into)
    save_fit(fitted, folder)
    print("\n".join(_lines((fitted.themes[fitted.index(theme)],))))


def emerging(
    folder: Folder,
    source: Annotated[str, typer.Argument(metavar="FILE", help="CSV, JSON Lines or Parquet; - for stdin")],
    text: Text = "text",
    id_field: Id = "id",
    time: Annotated[
        str, typer.Option(help="field with the time of a text (ISO 8601; no zone: UTC)")
    ] = "time",
    bundle: Bundle = None,
    output: Annotated[str | None, typer.Option(help="file to write (.gz compresses); else stdout")] = None,
) -> None:
    """Say which matters are new among texts: hardly there before, and now too frequent for chance.

    Rows are put in order of time. One JSON line comes out for each matter, with quotes; no line where
    nothing emerged. The fit gives the measure of how alike texts of one matter are.

        voc themes emerging themes/2026-01 reviews.csv --text body --time posted_at
    """
    fitted = load_fit(folder)
    rows = _timed(stream_rows(source, required=(text, time)), source, text, id_field, time)
    found, n_read = find_emerging_themes(open_scorer(bundle, None), fitted, track(rows, "reading texts"))
    write_json_lines(
        (
            {
                "flagged_at": one.at.isoformat(), "after_texts": one.position + 1, "n_recent": one.n_recent,
                "of_recent": one.window, "n_before": one.n_before, "of_before": one.of_before,
                "p_value": one.p_value, "quotes": [asdict(quote) for quote in one.quotes],
                "fit": fitted.digest[:12], "model": fitted.bundle,
            }
            for one in found
        ),
        output,
    )  # fmt: skip
    print(f"{n_read:,} texts, {len(found)} new matters", file=sys.stderr)
    if n_read < LEAST_STREAM:
        print(
            f"nothing can be new before {LEAST_STREAM:,} texts are known; give a longer stretch",
            file=sys.stderr,
        )


def _timed(
    rows: Iterator[dict[str, Any]], source: str, text: str, id_field: str, time: str
) -> Iterator[tuple[str, datetime, str]]:
    for number, row in enumerate(rows, start=1):
        try:
            at = row[time] if isinstance(row[time], datetime) else datetime.fromisoformat(str(row[time]))
        except ValueError as error:
            raise InputError(
                f"{row[time]!r} is no time",
                file=source,
                row=number,
                field=time,
                remedy="write 2026-05-01T09:30:00Z",
            ) from error
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        yield str(row.get(id_field, number)), at, "" if row[text] is None else str(row[text])


def _named(rows: Iterator[dict[str, Any]], text: str, id_field: str) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows, start=1):
        yield str(row.get(id_field, number)), "" if row[text] is None else str(row[text])


def _recorded(path: Path) -> dict[str, str | None] | None:
    if not path.exists():
        return None
    return {str(row["id"]): row["theme"] for row in stream_rows(str(path), required=("id", "theme"))}


def _assignments(fitted: Fitted, embedded: Embedded) -> Iterator[dict[str, Any]]:
    found = zip(
        embedded.ids, fitted.assigned.theme.tolist(), fitted.assigned.similarity.tolist(), strict=True
    )
    for name, theme, similarity in found:
        theme_id = fitted.fit.themes[theme].id if theme != NONE else None
        yield {"id": name, "theme": theme_id, "similarity": round(similarity, 6)}


def _report(fitted: Fitted, embedded: Embedded, output: Path) -> None:
    made = fitted.fit
    print("\n".join(_lines(made.themes)))
    print(
        f"{len(made.themes)} themes of {made.n_texts:,} texts, {made.coverage:.1%} covered, "
        f"written to {output} ({made.digest[:12]})",
        file=sys.stderr,
    )
    if embedded.refused:
        print(
            f"left out: {', '.join(f'{n:,} {why}' for why, n in embedded.refused.items())}", file=sys.stderr
        )
    names = {theme.id: theme.name for theme in made.themes}
    for event in made.events:
        if event.kind != "survived":
            other = f" {event.other} ({event.share:.0%} of its texts)" if event.other else ""
            print(f"{event.kind}: {event.theme} {names.get(event.theme, '')}{other}", file=sys.stderr)


def _lines(themes: tuple[Theme, ...]) -> Iterator[str]:
    for theme in themes:
        quote = theme.quotes[0].text.replace("\n", " ") if theme.quotes else ""
        short = quote if len(quote) <= 80 else quote[:77] + "..."
        owner = f" [{theme.owner}]" if theme.owner else ""
        yield f'{theme.id}  {theme.n_texts:>7,}  {theme.name}{owner}  "{short}"'
