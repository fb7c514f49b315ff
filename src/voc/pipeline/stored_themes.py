"""Themes of stored feedback: a fit loaded or made, kept in the store, and given to each scored text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import polars as pl
from sqlalchemy import Engine

from voc.pipeline.spec import ThemesPart
from voc.pipeline.themes import must_fit
from voc.store.engine import transaction
from voc.store.themes import (
    Unassigned,
    fetch_unassigned,
    list_themes,
    read_assigned,
    save_assigned,
    save_theme_fit,
)
from voc.themes.assign import NONE
from voc.themes.fit import FitSettings, fit_themes
from voc.themes.fits import FILES, ThemeFit, load_fit, save_fit

BATCH = 4096
PREFIX: Final = "theme:"  # of an outcome that is a theme: its id follows, which outlives its name


@dataclass(frozen=True, slots=True)
class Themed:
    """Which feedback has which theme: `assigned` as `store.themes.read_assigned` gives it."""

    fit: ThemeFit
    assigned: pl.DataFrame
    names: dict[str, str]
    n_texts: int
    min_size: int
    as_outcomes: bool

    def flags(self) -> pl.DataFrame:
        """Themes as outcomes: feedback_id, outcome. A theme with too few texts here is no outcome."""
        if not self.as_outcomes:
            return pl.DataFrame(schema={"feedback_id": pl.Int64, "outcome": pl.String})
        large = self.assigned.filter(pl.len().over("theme") >= self.min_size)
        return large.select("feedback_id", outcome=pl.lit(PREFIX) + pl.col("theme"))

    def name(self, outcome: str) -> str | None:
        """The name of the theme that an outcome is; None where it is none."""
        return self.names.get(outcome.removeprefix(PREFIX)) if outcome.startswith(PREFIX) else None

    def counts(self) -> dict[str, Any]:
        """What `result.json` holds."""
        counts = Counter(self.assigned["theme"].to_list())
        return {
            "fit": self.fit.digest,
            "texts": self.n_texts,
            "none": self.n_texts - len(self.assigned),
            "too_small": sum(n < self.min_size for n in counts.values()),
            "themes": [{"id": t, "name": self.names[t], "n": n} for t, n in counts.most_common()],
        }


def assign_themes(engine: Engine, bundle: str, part: ThemesPart, *, sources: Sequence[str]) -> Themed:
    """Give the feedback of these sources its themes, where it has none by this fit yet.

    Raises
    ------
    BundleError
        The fit is of another bundle.
    InputError
        The folder holds no fit, or there are too few texts to make one.
    """
    if not (part.fit / FILES[0]).exists():
        _make(engine, bundle, part, sources)
    fit = load_fit(part.fit)
    must_fit(fit, bundle)
    with transaction(engine) as conn:
        fit_id = save_theme_fit(conn, fit.info(), fit.themes, fit.events)
    last_id = 0
    while True:
        with transaction(engine) as conn:
            batch = fetch_unassigned(conn, fit_id, bundle, after_id=last_id, limit=BATCH, sources=sources)
            if not batch:
                break
            found = fit.assign(_embeddings(batch))
            ids = [fit.themes[i].id if i != NONE else None for i in found.theme.tolist()]
            similarity = found.similarity.tolist()
            save_assigned(
                conn, fit_id, [(b.id, t, s) for b, t, s in zip(batch, ids, similarity, strict=True)]
            )
        last_id = batch[-1].id
    with transaction(engine) as conn:
        every = read_assigned(conn, fit_id, sources=sources)
        names = {stored.theme.id: stored.theme.name for stored in list_themes(conn)}
    placed = every.drop_nulls("theme")
    return Themed(fit, placed, names, len(every), part.min_size, part.outcomes)


def _make(engine: Engine, bundle: str, part: ThemesPart, sources: Sequence[str]) -> None:
    texts: list[Unassigned] = []
    while True:
        with transaction(engine) as conn:
            batch = fetch_unassigned(
                conn, None, bundle, after_id=texts[-1].id if texts else 0, limit=BATCH, sources=sources
            )
        if not batch:
            break
        texts += batch
    made = fit_themes(
        [str(one.id) for one in texts],
        [one.text for one in texts],
        _embeddings(texts),
        bundle=bundle,
        settings=FitSettings(min_size=part.min_size),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_fit(made.fit, part.fit)


def _embeddings(texts: Sequence[Unassigned]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([np.frombuffer(one.embedding, "<f4") for one in texts], dtype=np.float32)
