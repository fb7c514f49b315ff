"""The programs that measure run, and hold their promise on a few draws."""

import sys

import numpy as np
import pytest

from evaluation import changes, planted, planted_spikes
from evaluation.planted_world import Settings, make_world, permute


def test_planted_causes_are_found_and_little_else():
    worlds = [make_world(seed, Settings(n_cases=6_000)) for seed in range(3)]

    ours, naive = ([method(world) for world in worlds] for method in (planted.ours, planted.naive))

    assert np.mean([o.n_false / max(1, o.n_reported) for o in ours]) <= 0.1
    assert np.mean([o.n_false / max(1, o.n_reported) for o in naive]) > 0.5
    assert all(hit for o in ours for _, hit, ratio, n in o.planted if ratio >= 2 and n >= 200)


def test_shuffled_deviations_give_nothing():
    worlds = [permute(make_world(seed, Settings(n_cases=6_000)), seed) for seed in range(3)]

    assert sum(planted.ours(world).n_reported for world in worlds) <= 1


def test_planted_bursts_are_traced_to_their_change():
    results = [planted_spikes.score(planted_spikes.make_feedback(seed)) for seed in range(3)]

    assert sum(r.n_found for r in results) >= 0.8 * sum(r.n_bursts for r in results)
    assert sum(r.n_first for r in results) >= 0.9 * sum(r.n_caused for r in results)
    assert sum(r.n_empty for r in results) == sum(r.n_causeless for r in results)


@pytest.mark.data
def test_the_negative_control_has_a_spike_and_no_candidate(data_dir, tmp_path, monkeypatch, capsys):
    page = tmp_path / "changes.html"
    monkeypatch.setattr(sys, "argv", ["changes", "--data", str(data_dir), "--output", str(page)])

    changes.main()

    assert "passed" in capsys.readouterr().out
    assert "<svg" in page.read_text()
