"""`voc associate`: which outcomes go with which deviations, from three files."""

import dataclasses
import math
import sys
from typing import Annotated, Any

import typer

from voc.files import check_output, read_table, write_json_lines
from voc.records import Association
from voc.rootcause.association import MIN_EXPOSED, STRATA, associate

FIELDS = (
    "outcome",
    "kind",
    "step",
    "odds_ratio",
    "ci_low",
    "ci_high",
    "p_value",
    "q_value",
    "n_exposed",
    "n_exposed_outcome",
    "n_unexposed",
    "n_unexposed_outcome",
    "risk_difference",
    "attributable_fraction",
    "homogeneity_p",
    "reported",
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("associate")(associate_command)


def associate_command(
    cases: Annotated[
        str, typer.Option(help="Cases: case_id, and any of segment, channel, region, started_at.")
    ],
    outcomes: Annotated[
        str, typer.Option(help="Outcomes: case_id, outcome. A case may have many, or no row at all.")
    ],
    deviations: Annotated[
        str, typer.Option(help="Deviations: case_id, kind, step, as `voc deviations` writes them.")
    ],
    fdr: Annotated[float, typer.Option(help="Share of false findings allowed among those reported.")] = 0.05,
    strata: Annotated[
        str | None,
        typer.Option(
            help="Columns of the cases to compare within, by comma; '' for none. If not given: segment, "
            "channel and region, those present.",
            show_default=False,
        ),
    ] = None,
    min_exposed: Annotated[
        int, typer.Option(help="Test a deviation only with this many cases.")
    ] = MIN_EXPOSED,
    period: Annotated[
        bool,
        typer.Option(
            "--period/--no-period",
            help="Compare within calendar periods too where outcome and deviation both change over time.",
        ),
    ] = True,
    output: Annotated[str | None, typer.Option(help="Where to write; stdout if not given.")] = None,
) -> None:
    """Say which outcomes go with which deviations, and how surely.

    Each pair tested gives one JSON line with its odds ratio (stratified, so that a segment which raises
    both does not count), 95 % interval, q-value and counts. `reported` marks what holds up. It tells
    what goes with what; whether one causes the other, a pilot must show. Files are CSV, JSON Lines or
    Parquet, gzipped or not; `-` reads stdin.

    Example: voc associate --cases cases.csv --outcomes outcomes.csv --deviations deviations.csv
    """
    if [cases, outcomes, deviations].count("-") > 1:
        raise typer.BadParameter("only one of the files may be '-' (stdin)")
    if not 0.0 < fdr < 1.0:
        raise typer.BadParameter(f"{fdr:g} is not between 0 and 1", param_hint="--fdr")
    if min_exposed < 1:
        raise typer.BadParameter(f"{min_exposed} is below 1", param_hint="--min-exposed")
    check_output(output)
    run = associate(
        read_table(cases, required=["case_id"]),
        read_table(outcomes, required=["case_id", "outcome"]),
        read_table(deviations, required=["case_id", "kind", "step"]),
        fdr=fdr,
        strata=_columns(strata),
        min_exposed=min_exposed,
        by_period=period,
    )
    for note in run.notes:
        print(f"voc associate: {note}", file=sys.stderr)
    n_reported = sum(row.reported for row in run.rows)
    within = ", ".join(run.strata) or "no column"
    print(
        f"voc associate: {len(run.rows)} pairs tested within {within} ({run.n_strata} strata; "
        f"{run.n_by_period} also within {run.n_periods} periods), "
        f"{run.n_without_support} without support, {n_reported} reported at false discovery rate {fdr:g}",
        file=sys.stderr,
    )
    write_json_lines((to_json(row) for row in run.rows), output)


def _columns(strata: str | None) -> list[str] | None:
    """The columns named; None, those present of the usual three, also where just these are named."""
    names = [name.strip() for name in strata.split(",") if name.strip()] if strata is not None else None
    return None if names == list(STRATA) else names


def to_json(row: Association) -> dict[str, Any]:
    """The row as the command writes it: fixed keys and order, numbers that are not finite as null."""
    values = dataclasses.asdict(row)
    return {
        name: None if isinstance(values[name], float) and not math.isfinite(values[name]) else values[name]
        for name in FIELDS
    }
