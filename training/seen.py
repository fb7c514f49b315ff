"""Which texts trained a bundle: their keys travel with it, so that nobody calibrates on them.

A key is the first five bytes of the SHA-256 of a text's normal form: of 60,000 kept, a text that
never trained is taken for one of them once in 18 million. Keys tell whether a text that you hold
was used; they do not give a text back.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from training.data import Example, normal_form

FILE = "seen_texts.bin"
_BYTES = 5


def key_of(text: str) -> bytes:
    """The key of one text."""
    return hashlib.sha256(normal_form(text).encode()).digest()[:_BYTES]


def write_seen(folder: Path, examples: Iterable[Example], *earlier: Path) -> None:
    """Write the keys of `examples`, and of the runs or bundles in `earlier` that they build on."""
    keys = {key_of(e.text) for e in examples}
    for each in earlier:
        keys |= read_seen(each)
    (folder / FILE).write_bytes(b"".join(sorted(keys)))


def read_seen(folder: Path) -> set[bytes]:
    """The keys that a run or bundle carries; none where it carries no such file."""
    path = folder / FILE
    if not path.exists():
        return set()
    raw = path.read_bytes()
    return {raw[i : i + _BYTES] for i in range(0, len(raw), _BYTES)}
