"""202 means kept: the service and its database are killed under load, and nothing is lost or doubled."""

import pytest

from evaluation import durability
from tests.tiny_bundle import build_tiny_bundle


@pytest.mark.slow
def test_what_was_acknowledged_is_there_once_after_kills_at_random_moments(tmp_path):
    bundle = build_tiny_bundle(tmp_path)

    found = durability.run(rounds=4, seconds=1.5, n_clients=3, seed=11, bundle=bundle)

    assert found.acknowledged
    assert (found.lost, found.doubled, found.unscored) == (0, 0, 0)
    assert sum(found.kills.values()) == 4
