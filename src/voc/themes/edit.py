"""What a person says of themes: names, owners, merges; a refit keeps them."""

from dataclasses import replace

import numpy as np

from voc.errors import UsageError
from voc.records import Theme
from voc.themes.fits import ThemeFit


def rename(fit: ThemeFit, theme: str, name: str, *, by: str) -> ThemeFit:
    """The fit with a theme named by a person."""
    if not name.strip():
        raise UsageError("a theme needs a name; give one")
    return _with(fit, fit.index(theme), name=name.strip(), name_by=by)


def set_owner(fit: ThemeFit, theme: str, owner: str, *, by: str) -> ThemeFit:
    """The fit with a theme given to an owner by a person."""
    return _with(fit, fit.index(theme), owner=owner.strip() or None, owner_by=by)


def merge(fit: ThemeFit, theme: str, into: str) -> ThemeFit:
    """The fit with one theme taken in by another: its centroids from now on speak for that one."""
    gone, kept = fit.index(theme), fit.index(into)
    if gone == kept:
        raise UsageError(f"{theme} and {into} are one theme already")
    old, new = fit.themes[gone], fit.themes[kept]
    taken = replace(
        new, n_texts=new.n_texts + old.n_texts, merged=tuple(sorted({*new.merged, old.id, *old.merged}))
    )
    themes = tuple(taken if i == kept else t for i, t in enumerate(fit.themes) if i != gone)
    owner = np.where(fit.theme_of == gone, kept, fit.theme_of)
    # Rows of the hierarchy name themes by position, which no longer hold.
    return replace(fit, themes=themes, theme_of=owner - (owner > gone), tree=()).sealed()


def _with(fit: ThemeFit, index: int, **values: str | None) -> ThemeFit:
    changed: Theme = replace(fit.themes[index], **values)  # type: ignore[arg-type]
    return replace(fit, themes=(*fit.themes[:index], changed, *fit.themes[index + 1 :])).sealed()
