"""The process step: an event log against its maps, the cases and deviations into the store."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class Checked:
    """A checked log: its cases (with strata, customer, start and end) and its deviations."""

    cases: pl.DataFrame
    deviations: pl.DataFrame
    map_ids: list[int]

    def counts(self) -> dict[str, Any]:
        """How many, by kind."""
        return {
            "cases": len(self.cases),
            "cases_with": self.deviations["case_id"].n_unique(),
            "deviations": len(self.deviations),
            "by_kind": dict(Counter(self.deviations["kind"].to_list()).most_common()),
        }
