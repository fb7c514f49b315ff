"""The network: a Hugging Face encoder, one attention pool a label, and an embedding.

Each label has its own attention over the tokens (CAML, arXiv:1802.05695), so a label's logit is a
bias plus a sum over tokens of `attention * value`. Those addends are the evidence: they come out of
the same pass and add up to the logit, which no after-the-fact explanation does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.utils import logging as transformers_logging

from voc.errors import BundleError, InputError
from voc.taxonomy import SENTIMENTS, SIGNALS

LABELS: tuple[str, ...] = (*SENTIMENTS, "frustration", *SIGNALS)
N_SENTIMENTS = len(SENTIMENTS)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Logits and what explains them; `evidence` is shaped (texts, tokens, labels)."""

    embedding: Tensor
    logits: Tensor
    evidence: Tensor


class LabelPool(nn.Module):
    """Token states (texts, tokens, dim) to logits (texts, labels) and each token's share in them."""

    def __init__(self, dim: int, n_labels: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, n_labels, bias=False)
        self.value = nn.Linear(dim, n_labels, bias=False)
        self.bias = nn.Parameter(torch.zeros(n_labels))
        nn.init.zeros_(self.query.weight)  # starts as the mean over tokens
        nn.init.normal_(self.value.weight, std=0.02)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        score = self.query(states).masked_fill(mask.unsqueeze(-1) == 0, -1e4)
        evidence = torch.softmax(score, dim=1) * self.value(states)
        return evidence.sum(dim=1) + self.bias, evidence


class VocModel(nn.Module):
    """Encoder, label pool and embedding. `frozen` is how many lower layers never train."""

    def __init__(self, encoder: Any, *, frozen: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim: int = encoder.config.hidden_size
        self.frozen = frozen
        self.precision = "fp32"
        self.pool = LabelPool(self.dim, len(LABELS))
        self.to_embedding = nn.Linear(self.dim, self.dim)
        nn.init.eye_(self.to_embedding.weight)
        nn.init.zeros_(self.to_embedding.bias)
        if frozen:
            for part in (encoder.embeddings, *encoder.encoder.layer[:frozen]):
                part.requires_grad_(False)

    def use(self, *, precision: str, dropout: float = 0.0) -> None:
        """How to train: products in "fp32" or "bf16" (sums and heads stay fp32), and dropout in [0, 1).

        Raises
        ------
        InputError
            The precision is neither.
        """
        if precision not in ("fp32", "bf16"):
            raise InputError(
                f"'{precision}' is no precision", field="precision", remedy="use fp32, bf16 or auto"
            )
        self.precision = precision
        for layer in self.encoder.encoder.layer[self.frozen :]:
            layer.attention.output.dropout.p = layer.output.dropout.p = dropout

    def embed(self, states: Tensor, mask: Tensor, *, projected: bool) -> Tensor:
        """Unit embeddings (texts, dim) from states after the frozen layers; without `to_embedding` if not
        `projected`."""
        states = self._layers(states, mask, self.frozen, len(self.encoder.encoder.layer))
        mean = _mean(states, mask)
        return nn.functional.normalize(self.to_embedding(mean) if projected else mean, dim=-1)

    def lower(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """States after the frozen layers: the same at every epoch, so they can be kept."""
        states: Tensor = self.encoder.embeddings(input_ids=input_ids)
        return self._layers(states, mask, 0, self.frozen)

    def upper(self, states: Tensor, mask: Tensor) -> Outputs:
        """The rest of the pass, from states after the frozen layers."""
        states = self._layers(states, mask, self.frozen, len(self.encoder.encoder.layer))
        return self._heads(states, mask)

    def forward(self, input_ids: Tensor, mask: Tensor) -> Outputs:
        return self.upper(self.lower(input_ids, mask), mask)

    def _layers(self, states: Tensor, mask: Tensor, start: int, end: int) -> Tensor:
        # -1e4 rather than -inf: int8 and fp16 graphs stay finite.
        extended = (1.0 - mask[:, None, None, :].to(states.dtype)) * -1e4
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            for layer in self.encoder.encoder.layer[start:end]:
                out = layer(states, attention_mask=extended)
                states = out[0] if isinstance(out, tuple) else out
        return states.float()

    def _heads(self, states: Tensor, mask: Tensor) -> Outputs:
        logits, evidence = self.pool(states, mask)
        embedding = nn.functional.normalize(self.to_embedding(_mean(states, mask)), dim=-1)
        return Outputs(embedding, logits, evidence)


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)


def load_encoder(source: str | Path) -> Any:
    """Load a BERT-shaped encoder by folder or hub name, dropout off.

    Raises
    ------
    BundleError
        The model is not BERT-shaped (embeddings, then `encoder.layer`): its layers could not be
        frozen, cached and exported the way the bundle promises.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    config = AutoConfig.from_pretrained(source)
    if config.model_type != "bert":
        raise BundleError(
            f"{source}: model type '{config.model_type}' is not supported; "
            "give a BERT-shaped encoder (MiniLM, gte, bge, e5 and BERT itself are)"
        )
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    return AutoModel.from_pretrained(
        source, config=config, add_pooling_layer=False, attn_implementation="eager"
    )
