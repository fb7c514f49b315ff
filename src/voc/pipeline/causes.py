"""Linking and testing: which outcomes of feedback go with which deviations of cases."""

import math
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
from voc.rootcause.links import evidence, link_feedback, link_records, outcomes_of_cases
from voc.store.engine import transaction
from voc.store.links import replace_links
from voc.store.rootcauses import save_root_causes

METHOD = "Mantel-Haenszel odds ratio within strata; Benjamini-Hochberg over all pairs tested"
N_SHUFFLES = 20
MAX_EVIDENCE = 200  # pairs kept a root cause, surest first


def find_root_causes(
    engine: Engine,
    bundle: str,
    spec: RunSpec,
    checked: Checked,
    scored: pl.DataFrame,
    themed: Themed | None = None,
) -> dict[str, Any]:
    """Link feedback to cases, test every pair, store links and what was reported; returns the findings."""
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
    cases = cases_with_feedback(checked.cases, units, links)
    test = spec.associate
    strata = [s for s in test.strata if s in cases.columns] if test.strata is not None else None
    options: dict[str, Any] = {
        "fdr": test.fdr, "strata": strata, "min_exposed": test.min_exposed or MIN_EXPOSED,
    }  # fmt: skip
    deviations = checked.deviations.select("case_id", "kind", "step", "magnitude_s")
    deviations = deviations.filter(pl.col("case_id").is_in(cases["case_id"].to_list()))
    run = associate(cases, outcomes, deviations, **options)
    found = [row for row in run.rows if row.reported]
    window = (scored["occurred_at"].min(), scored["occurred_at"].max())
    causes = [_root_cause(row, spec.name, bundle, window, checked, links, flags) for row in found]
    with transaction(engine) as conn:
        replace_links(conn, checked.map_ids, link_records(links))
        saved = save_root_causes(conn, causes, processes=[spec.name], fdr=test.fdr, method=METHOD)
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
            }
            for c in causes
        ],
        "moved": {
            name: getattr(saved, name) for name in ("found", "back", "recomputed", "unchanged", "gone")
        },
        "notes": list(run.notes),
    }
    if test.shuffled_control:
        result["control"] = _control(cases, outcomes, deviations, options)
    return result


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
    row: Association, process: str, bundle: str, window: tuple[Any, Any], checked: Checked,
    links: pl.DataFrame, flags: pl.DataFrame,
) -> RootCause:  # fmt: skip
    exposed = checked.deviations.filter((pl.col("kind") == row.kind) & (pl.col("step") == row.step))
    owners = exposed["owner"].drop_nulls()
    pairs = evidence(links, flags, exposed["case_id"].unique().to_list(), row.outcome)
    return RootCause(
        association=row,
        process=process,
        owner=str(owners.mode().sort()[0]) if len(owners) else None,
        status="proposed",
        bundle=bundle,
        window=window,
        evidence=tuple(pairs[:MAX_EVIDENCE]),
    )


def _row(row: Association) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in Association.__dataclass_fields__}
    return {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in values.items()}
