"""Linking and testing: which outcomes of feedback go with which deviations of cases."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import polars as pl
from sqlalchemy import Engine

from voc.pipeline.deviations import Checked
from voc.pipeline.outcomes import UNIT, cases_with_feedback, flags_of, shuffled
from voc.pipeline.spec import RunSpec
from voc.pipeline.stored_themes import Themed
from voc.records import Association, RootCause
from voc.rootcause.association import MIN_EXPOSED, AssociationRun, associate
from voc.rootcause.details import describe, dose_response, lag
from voc.rootcause.externals import Window, leave_out
from voc.rootcause.links import evidence, link_feedback, link_records, outcome_times, outcomes_of_cases
from voc.store.engine import transaction
from voc.store.links import replace_links
from voc.store.rootcauses import Saved, save_root_causes
from voc.store.runs import find_last_run, save_run

METHOD = "Mantel-Haenszel odds ratio within strata; Benjamini-Hochberg over all pairs tested"
N_SHUFFLES = 20
MAX_EVIDENCE = 200  # pairs kept a root cause, surest first


def find_root_causes(
    engine: Engine,
    bundle: str,
    spec: RunSpec,
    checked: Checked,
    scored: pl.DataFrame,
    *,
    external: Sequence[Window] = (),
    themed: Themed | None = None,
) -> dict[str, Any]:
    """Link feedback to cases, test every pair, store links and what was reported; returns the findings.

    Cases that began in a window of `external` are not tested. Where all that would be tested is what the
    last computation of this process tested, its findings are returned, marked `computed_again: false`.
    """
    units = scored.filter(UNIT)
    links = link_feedback(
        units,
        checked.cases,
        before=timedelta(days=spec.link.before_days),
        after=timedelta(days=spec.link.after_days),
    )
    flags = flags_of(scored, spec.ratings, spec.associate.outcomes)
    if themed is not None:
        flags = pl.concat([flags, themed.flags()])
    outcomes = outcomes_of_cases(links, flags)
    cases, left_out = leave_out(cases_with_feedback(checked.cases, units, links), external)
    test = spec.associate
    strata = [s for s in test.strata if s in cases.columns] if test.strata is not None else None
    options: dict[str, Any] = {
        "fdr": test.fdr, "strata": strata, "min_exposed": test.min_exposed or MIN_EXPOSED,
    }  # fmt: skip
    deviations = checked.deviations.select("case_id", "kind", "step", "magnitude_s")
    deviations = deviations.filter(pl.col("case_id").is_in(cases["case_id"].to_list()))
    provenance: dict[str, Any] = {
        "process": f"{spec.name}@{checked.map_version}",
        "bundle": bundle,
        "theme_fit": themed.fit.digest if themed else None,
        "window": (scored["occurred_at"].min(), scored["occurred_at"].max()),
    }
    inputs = _fingerprint(
        [cases, outcomes, deviations, links, flags, checked.deviations.select("kind", "step", "owner")],
        [provenance, options, test.shuffled_control],
    )
    with transaction(engine) as conn:
        last = find_last_run(conn, spec.name)
        if last is not None and last.inputs == inputs:
            replace_links(conn, checked.map_ids, link_records(links))
            moved = Saved(unchanged=len(last.result["reported"]))
            return {**last.result, "moved": asdict(moved), "computed_again": False}
    run = associate(cases, outcomes, deviations, **options)
    found = [row for row in run.rows if row.reported]
    times = outcome_times(links, flags, units)
    timed = checked.deviations.filter(pl.col("case_id").is_in(cases["case_id"].to_list()))
    causes = [
        replace(
            _root_cause(row, provenance, checked, links, flags),
            details=_details(row, cases, times, timed, run.strata),
        )
        for row in found
    ]
    result = {
        "cases": len(cases),
        "links": len(links),
        "tested": len(run.rows),
        "strata": list(run.strata),
        "fdr": test.fdr,
        "method": METHOD,
        "reported": [
            {
                **_row(c.association),
                "owner": c.owner,
                "n_evidence": len(c.evidence),
                "theme": themed.name(c.association.outcome) if themed else None,
                **c.details,
            }
            for c in causes
        ],
        "ownership_gaps": sorted({c.association.step for c in causes if c.owner is None}),
        "notes": [
            *run.notes,
            *(
                f"{one.n_cases} cases that began during '{one.window.title or one.window.change_id}' are left out"
                for one in left_out
            ),
        ],
    }
    if test.shuffled_control:
        result["control"] = _control(cases, outcomes, deviations, options)
    with transaction(engine) as conn:
        replace_links(conn, checked.map_ids, link_records(links))
        saved = save_root_causes(conn, causes, processes=[spec.name], fdr=test.fdr, method=METHOD)
        save_run(conn, spec.name, inputs, result)
    return {**result, "moved": asdict(saved), "computed_again": True}


def _details(
    row: Association,
    cases: pl.DataFrame,
    times: pl.DataFrame,
    deviations: pl.DataFrame,
    strata: Sequence[str],
) -> dict[str, Any]:
    """How long after the deviation the outcome was said, and whether more of the one goes with more of it."""
    pair = (row.outcome, row.kind, row.step)
    dose = dose_response(cases, times.select("case_id", "outcome").unique(), deviations, pair, strata=strata)
    return describe(dose, lag(times, deviations, pair))


def _fingerprint(tables: Sequence[pl.DataFrame], settings: Sequence[Any]) -> bytes:
    """A hash of tables, whatever the order of their rows, and of settings."""
    digest = hashlib.sha256(repr(settings).encode())
    for table in tables:
        digest.update(repr(table.schema).encode())
        digest.update(table.sort(table.columns).write_ndjson().encode())
    return digest.digest()


def _control(
    cases: pl.DataFrame, outcomes: pl.DataFrame, deviations: pl.DataFrame, options: dict[str, Any]
) -> dict[str, Any]:
    """The same test on shuffled deviations, several times: whatever it reports is false."""
    runs: list[AssociationRun] = [
        associate(cases, outcomes, shuffled(deviations, cases, seed=seed), **options)
        for seed in range(N_SHUFFLES)
    ]
    reported = [sum(row.reported for row in run.rows) for run in runs]
    return {
        "runs": len(runs),
        "tested": sum(len(run.rows) for run in runs),
        "reported": sum(reported),
        "mean_reported": sum(reported) / len(runs),
        "runs_with_any": sum(n > 0 for n in reported),
    }


def _root_cause(
    row: Association,
    provenance: dict[str, Any],
    checked: Checked,
    links: pl.DataFrame,
    flags: pl.DataFrame,
) -> RootCause:
    """The root cause with its evidence and the owner that most of its deviations have."""
    exposed = checked.deviations.filter((pl.col("kind") == row.kind) & (pl.col("step") == row.step))
    owners = exposed["owner"].drop_nulls()
    pairs = evidence(links, flags, exposed["case_id"].unique().to_list(), row.outcome)
    return RootCause(
        association=row,
        owner=str(owners.mode().sort()[0]) if len(owners) else None,
        status="proposed",
        evidence=tuple(pairs[:MAX_EVIDENCE]),
        **provenance,
    )


def _row(row: Association) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in Association.__dataclass_fields__}
    return {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in values.items()}
