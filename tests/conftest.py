"""Fixtures that every floor of tests shares."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of public data sets; skips where it is not present."""
    folder = Path(os.environ.get("VOC_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").exists():
        pytest.skip(f"needs the data folder; {folder.name} is not there (set VOC_DATA_DIR)")
    return folder
