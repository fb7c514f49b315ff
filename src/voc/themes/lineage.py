"""Lineage: which theme of a new fit carries on which of the old, by the texts they share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from voc.records import ThemeEvent

Ints = NDArray[np.int64]
HALF = 0.5  # a theme goes on, goes into, or comes out of another with at least half its texts


@dataclass(frozen=True, slots=True)
class Match:
    """`origin` (n_new,): the old theme whose id each new one carries, or -1; `flow` (n_old, n_new): texts
    that were in one and are in the other; `old_sizes`, `new_sizes`: all texts of each, shared or not."""

    origin: Ints
    flow: Ints
    old_sizes: Ints
    new_sizes: Ints


def match_themes(old: Ints, new: Ints, n_old: int, n_new: int) -> Match:
    """Match themes by their texts.

    Parameters
    ----------
    old, new : (n_texts,) index of each text's theme before and after; negative: none, or not there then

    Each old id goes to at most one new theme: the pairing that carries most texts. A pair counts where it
    holds at least half of the old theme or half of the new one.
    """
    both = (old >= 0) & (new >= 0)
    flow = np.zeros((n_old, n_new), dtype=np.int64)
    np.add.at(flow, (old[both], new[both]), 1)
    old_sizes = np.bincount(old[(old >= 0)], minlength=n_old).astype(np.int64)
    new_sizes = np.bincount(new[(new >= 0)], minlength=n_new).astype(np.int64)
    enough = (flow >= HALF * old_sizes[:, None]) | (flow >= HALF * new_sizes[None, :])
    origin = np.full(n_new, -1, dtype=np.int64)
    rows, columns = linear_sum_assignment(np.where(enough, flow, 0), maximize=True)
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        if enough[i, j] and flow[i, j] > 0:
            origin[j] = i
    return Match(origin, flow, old_sizes, new_sizes)


def events_of(match: Match, old_ids: Sequence[str], new_ids: Sequence[str]) -> tuple[ThemeEvent, ...]:
    """What happened to every old and every new theme, each exactly once.

    Old themes survive, merge into another or die; new ones survive, split off another or are born.
    `new_ids` are after matching: a survivor's id is its old one.
    """
    events = []
    heir = {int(i): j for j, i in enumerate(match.origin.tolist()) if i >= 0}
    for i, old_id in enumerate(old_ids):
        size = int(match.old_sizes[i])
        if i in heir:
            n = int(match.flow[i, heir[i]])
            events.append(ThemeEvent("survived", old_id, None, n, n / max(1, size)))
            continue
        j = int(match.flow[i].argmax()) if match.flow.shape[1] else -1
        n = int(match.flow[i, j]) if j >= 0 else 0
        if n > 0 and n >= HALF * size:
            events.append(ThemeEvent("merged", old_id, new_ids[j], n, n / size))
        else:
            events.append(ThemeEvent("died", old_id, None, 0, 0.0))
    for j, new_id in enumerate(new_ids):
        if match.origin[j] >= 0:
            continue
        size = int(match.new_sizes[j])
        i = int(match.flow[:, j].argmax()) if match.flow.shape[0] else -1
        n = int(match.flow[i, j]) if i >= 0 else 0
        if n > 0 and n >= HALF * size:
            events.append(ThemeEvent("split", new_id, old_ids[i], n, n / size))
        else:
            events.append(ThemeEvent("born", new_id, None, 0, 0.0))
    return tuple(events)


def join_merged(old: Ints, new: Ints, n_new: int, merged: Sequence[int]) -> Ints:
    """New groups (n_new,) renumbered so that what a person merged stays one theme.

    Every new group most of whose texts come from one theme of `merged` (indices of old themes that a
    person joined from several) becomes part of the largest such group.
    """
    target = np.arange(n_new, dtype=np.int64)
    sizes = np.bincount(new[new >= 0], minlength=n_new)
    for i in merged:
        flow = np.bincount(new[(old == i) & (new >= 0)], minlength=n_new)
        parts = np.flatnonzero((flow > 0) & (flow >= HALF * sizes))
        if len(parts) > 1:
            target[parts] = parts[flow[parts].argmax()]
    return target
