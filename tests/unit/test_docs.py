"""Documents: what they link to is there, and the commands they show exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from voc.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_commands_of_the_readme_exist():
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    shown = set(re.findall(r"\bvoc ([a-z][a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))

    assert shown <= commands
    assert {"score", "ingest", "deviations", "run", "root-causes"} <= shown


def test_the_targets_of_the_readme_are_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text())) <= targets
