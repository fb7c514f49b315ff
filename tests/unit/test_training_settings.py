"""Settings of a run: read from TOML, overridden, and refused where they cannot be meant."""

from pathlib import Path

import pytest

from training.settings import read_settings
from voc.errors import InputError

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


@pytest.mark.parametrize("name", sorted(p.name for p in CONFIGS.glob("*.toml")))
def test_every_config_in_the_project_is_valid(name):
    read_settings(CONFIGS / name, ["extra_labels=own.csv"])


def test_an_override_wins_and_keeps_its_type(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('encoder = "e"\nepochs = 3\n')

    settings = read_settings(path, ["epochs=1", "extra_labels=own.csv"])

    assert (settings.epochs, settings.extra_labels) == (1, "own.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('encoder = "e"\nepoch = 3', r"unknown setting \['epoch'\]"),
        ("epochs = 3", "either 'encoder' or 'init_bundle'"),
        ('encoder = "e"\ninit_bundle = "b"', "either 'encoder' or 'init_bundle'"),
        ('init_bundle = "b"\nshared_data = false', "nothing to train on"),
        ('init_bundle = "b"\nshared_data = false\nextra_labels = "o"\nsentiment = [{set = "x"}]', "leaves it out"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text)

    with pytest.raises(InputError, match=message):
        read_settings(path, [])
