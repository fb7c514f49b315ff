"""Two runs averaged: encoder between both, heads of the second, nonsense refused."""

import pytest
import torch

from training.average import average_weights
from voc.errors import InputError

FIRST = {"encoder.w": torch.zeros(2), "pool.bias": torch.zeros(3), "n": torch.tensor(1)}
SECOND = {"encoder.w": torch.ones(2), "pool.bias": torch.ones(3), "n": torch.tensor(7)}


def test_the_encoder_lies_between_and_the_heads_are_the_seconds():
    found = average_weights(FIRST, SECOND, 0.8)

    assert torch.allclose(found["encoder.w"], torch.full((2,), 0.8))
    assert torch.equal(found["pool.bias"], SECOND["pool.bias"])
    assert found["n"] == 7


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(InputError, match="is no share"):
        average_weights(FIRST, SECOND, share)


def test_runs_of_unlike_form_are_refused():
    with pytest.raises(InputError, match="not of one architecture"):
        average_weights({"encoder.w": torch.zeros(3)}, SECOND, 0.5)
