"""Dockerfile and compose file: their form, and that what they call exists."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_image_is_built_in_two_stages_and_does_not_run_as_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()

    assert sum(line.startswith("FROM ") for line in lines) == 2
    assert "USER voc" in lines
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    assert "torch" not in " ".join(line for line in lines if not line.startswith("#"))


def test_what_the_image_copies_is_there():
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), name


def test_compose_waits_for_the_database_and_holds_no_secret():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())

    service = compose["services"]["service"]
    assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert compose["services"]["migrate"]["command"] == ["voc", "db", "upgrade"]
    assert compose["services"]["database"]["environment"]["POSTGRES_PASSWORD"].startswith("${VOC_DB_PASSWORD")
    assert service["environment"]["VOC_API_KEY"].startswith("${VOC_API_KEY")
