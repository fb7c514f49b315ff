"""Figures on the development sets, for choosing: macro-F1 and recall of sentiment, F1 of signals."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from training.data import UNKNOWN, Example, development_sets
from training.model import N_SENTIMENTS, VocModel
from voc.metrics import macro_f1, macro_f1_of_frequent, macro_recall, micro_f1


def predict_logits(model: VocModel, tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """Logits (n_texts, n_labels), in the order of `training.model.LABELS`."""
    tokens = [e.ids for e in tokenizer.encode_batch(texts)]
    order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
    out = np.zeros((len(texts), model.pool.bias.numel()), dtype=np.float32)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), 48):
            batch = order[start : start + 48]
            longest = max(len(tokens[i]) for i in batch)
            ids = torch.zeros((len(batch), longest), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(tokens[i])] = torch.tensor(tokens[i])
                mask[row, : len(tokens[i])] = 1
            out[batch] = model(ids, mask).logits.numpy()
    return out


def validate(model: VocModel, tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """All development figures."""
    report: dict[str, Any] = {}
    for name, examples in development_sets(folder).items():
        report[name] = figures(model, tokenizer, examples)
    return report


def figures(model: VocModel, tokenizer: Tokenizer, examples: list[Example]) -> dict[str, Any]:
    """The figures of one set: of each head over the texts that were judged on it."""
    logits = predict_logits(model, tokenizer, [e.text for e in examples])
    found: dict[str, Any] = {}
    rows = [i for i, e in enumerate(examples) if e.sentiment != UNKNOWN]
    if rows:
        y_true = np.array([examples[i].sentiment for i in rows])
        y_pred = logits[rows, :N_SENTIMENTS].argmax(1)
        found["macro_f1"] = round(macro_f1(y_true, y_pred, N_SENTIMENTS), 4)
        found["macro_recall"] = round(macro_recall(y_true, y_pred, N_SENTIMENTS), 4)
    rows = [i for i, e in enumerate(examples) if UNKNOWN not in e.signals]
    if rows:
        found["signals"] = _signals([examples[i] for i in rows], logits[rows])
    return found


def _signals(examples: list[Example], logits: np.ndarray) -> dict[str, float | None]:
    """At the cut at one half; thresholds are fitted later, on other texts."""
    y_true = np.array([e.signals for e in examples]) == 1
    y_pred = logits[:, N_SENTIMENTS + 1 :] > 0
    macro = macro_f1_of_frequent(y_true, y_pred)
    return {
        "micro_f1": round(micro_f1(y_true, y_pred), 4),
        "macro_f1": None if math.isnan(macro) else round(macro, 4),  # no signal has ten positives
    }
