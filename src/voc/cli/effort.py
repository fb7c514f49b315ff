"""`voc effort`: how often customers must come back, and tell the same again."""

import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import polars as pl
import typer

from voc.files import read_table, write_json_lines
from voc.rootcause.effort import find_chains, measure_effort, measure_handoffs
from voc.rootcause.series import names_in


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("effort")(effort)


def effort(
    contacts: Annotated[
        str | None,
        typer.Argument(help="Contacts: contact_id, customer_ref, timestamp, and topic, theme or signals."),
    ] = None,
    turns: Annotated[
        str | None,
        typer.Option(help="Turns of conversations: conversation_id, turn_index, speaker, text, agent."),
    ] = None,
    window_days: Annotated[
        float, typer.Option(help="A contact this soon after the last is about the same issue.")
    ] = 14.0,
    chains: Annotated[
        bool, typer.Option("--chains", help="Write the chains, not what they sum up to.")
    ] = False,
    output: Annotated[str | None, typer.Option(help="Where to write; stdout if not given.")] = None,
) -> None:
    """Say how many contacts an issue takes, how many are settled by the first, and what is told twice.

    One JSON line for each topic: contacts an issue, first-contact resolution (of issues whose window has
    passed), repeated issues. With --turns one more: the share of handoffs to another agent after which
    the customer tells a fact (a number, a date, an address) again.

    Example: voc effort contacts.csv --turns turns.jsonl
    """
    if contacts is None and turns is None:
        raise typer.BadParameter("give CONTACTS, --turns or both")
    if not window_days > 0:
        raise typer.BadParameter(f"{window_days:g} is not above 0", param_hint="--window-days")
    if contacts == turns == "-":
        raise typer.BadParameter("only one of the files may be '-' (stdin)")
    rows: list[dict[str, Any]] = []
    if contacts is not None:
        table = _with_topics(read_table(contacts, required=["contact_id", "customer_ref", "timestamp"]))
        found = find_chains(table, window=timedelta(days=window_days), file=contacts)
        if chains:
            rows += [_chain(asdict(chain)) for chain in found]
        else:
            rows += [asdict(one) for one in measure_effort(found)]
        print(
            f"voc effort: {len(found)} issues of {table['contact_id'].n_unique()} contacts", file=sys.stderr
        )
    if turns is not None:
        repeats = measure_handoffs(read_table(turns), file=turns)
        rows.append({**asdict(repeats), "share_repeated": repeats.share})
        print(
            f"voc effort: facts are told again after {repeats.n_repeated} of {repeats.n_handoffs} handoffs",
            file=sys.stderr,
        )
    write_json_lines(rows, output)


def _with_topics(table: pl.DataFrame) -> pl.DataFrame:
    """One row for each contact and topic: of `topic`, else of theme and signals; else all are one topic."""
    if "topic" in table.columns:
        return table
    columns = [name for name in ("theme", "signals") if name in table.columns]
    if not columns:
        return table.with_columns(topic=pl.lit("all"))
    parts = [
        table.with_columns(
            pl.Series("topic", [names_in(value) for value in table[name].to_list()], dtype=pl.List(pl.String))
            if name == "signals"
            else pl.concat_list(pl.col(name).cast(pl.String)).alias("topic")
        ).explode("topic")
        for name in columns
    ]
    return pl.concat(parts)


def _chain(chain: dict[str, Any]) -> dict[str, Any]:
    times = {name: chain[name].isoformat().replace("+00:00", "Z") for name in ("start", "end")}
    return {**chain, **times, "contacts": list(chain["contacts"]), "n_contacts": len(chain["contacts"])}
