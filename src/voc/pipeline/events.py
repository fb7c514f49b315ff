"""Events that arrive a few at a time: stored, and their cases checked again at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from voc.process.deviations import find_case_deviations
from voc.process.map_files import parse_maps
from voc.process.maps import ProcessMap
from voc.records import Deviation, Event
from voc.store.events import UNMAPPED, Appended, append_events, find_latest_map, replace_case_deviations
from voc.store.process import read_events, save_map

_LEARNT = "# learnt from"  # how `pipeline.deviations` writes down that there was no map


@dataclass(frozen=True, slots=True)
class TakenEvents:
    """What became of events, and how many deviations their cases have now; None where no map is known."""

    process: str  # "name@version"
    appended: Appended
    deviations: int | None


def take_events(conn: Connection, process: str, events: Sequence[Event]) -> TakenEvents:
    """Add events to cases of a process and check these cases against its newest map.

    A process of which no map is known keeps its events until one is.
    """
    stored = find_latest_map(conn, process)
    if stored is None:
        map_id, version, maps = save_map(conn, process, UNMAPPED, "# no map yet\n"), UNMAPPED, []
    else:
        map_id, version, maps = stored.id, stored.version, _maps(stored.version, stored.yaml)
    appended = append_events(conn, map_id, events)
    n_deviations = None
    if maps:
        found: list[Deviation] = []
        for case_id in appended.cases:
            found += find_case_deviations(read_events(conn, map_id, case_id), maps)
        n_deviations = replace_case_deviations(conn, map_id, appended.cases, found)
    return TakenEvents(f"{process}@{version}", appended, n_deviations)


def _maps(version: str, yaml: str) -> list[ProcessMap]:
    if version == UNMAPPED or yaml.startswith(_LEARNT):
        return []
    return parse_maps(yaml)
