"""How to train: only known precisions, and the fast one only where it is faster."""

import pytest
import torch

from training import precision
from training.from_bundle import empty_encoder
from training.model import VocModel
from voc.errors import InputError

ARCHITECTURE = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 16, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}  # fmt: skip


@pytest.mark.parametrize(("bf16", "expected"), [(0.5, "bf16"), (0.9, "fp32"), (2.0, "fp32")])
def test_bf16_is_taken_where_it_is_much_faster(monkeypatch, bf16, expected):
    monkeypatch.setattr(precision, "_seconds", lambda dtype: bf16 if dtype == torch.bfloat16 else 1.0)

    assert precision.fastest_precision() == expected


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="is no precision"):
        VocModel(empty_encoder(ARCHITECTURE)).use(precision="fp8")


def test_both_precisions_give_nearly_the_same_in_fp32_numbers():
    torch.manual_seed(0)
    model = VocModel(empty_encoder(ARCHITECTURE)).eval()
    ids, mask = torch.randint(0, 50, (3, 8)), torch.ones((3, 8), dtype=torch.long)

    with torch.inference_mode():
        exact = model(ids, mask).logits
        model.use(precision="bf16", dropout=0.1)
        fast = model(ids, mask).logits

    assert fast.dtype == torch.float32
    assert (exact - fast).abs().max() < 0.05
