"""Figures on the development sets, for choosing: macro-F1 and recall of sentiment, F1 of signals."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from training.data import UNKNOWN, Example, development_sets
from training.model import N_SENTIMENTS, VocModel


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


def f1(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """F1 from counts; 0 where nothing was there and nothing was said."""
    return 2 * tp / np.maximum(1, 2 * tp + fp + fn)


def sentiment_figures(y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, float]:
    """Macro-F1 and macro-recall over three classes."""
    scores, recalls = [], []
    for label in range(N_SENTIMENTS):
        tp = float(((y_true == label) & (y_pred == label)).sum())
        fp = float(((y_true != label) & (y_pred == label)).sum())
        fn = float(((y_true == label) & (y_pred != label)).sum())
        scores.append(2 * tp / max(1.0, 2 * tp + fp + fn))
        recalls.append(tp / max(1.0, tp + fn))
    return {"macro_f1": float(np.mean(scores)), "macro_recall": float(np.mean(recalls))}


def signal_figures(y_true: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Micro-F1, and macro-F1 over signals with ten positives or more, at the cut at one half."""
    y_pred = logits > 0
    tp, fp, fn = (y_true & y_pred).sum(0), (~y_true & y_pred).sum(0), (y_true & ~y_pred).sum(0)
    often = y_true.sum(0) >= 10
    return {
        "micro_f1": float(2 * tp.sum() / max(1, 2 * tp.sum() + fp.sum() + fn.sum())),
        "macro_f1": float(f1(tp, fp, fn)[often].mean()),
    }


def validate(model: VocModel, tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """All development figures."""
    report: dict[str, Any] = {}
    for name, examples in development_sets(folder).items():
        logits = predict_logits(model, tokenizer, [e.text for e in examples])
        y_true = np.array([e.sentiment for e in examples])
        report[name] = {
            k: round(v, 4) for k, v in sentiment_figures(y_true, logits[:, :N_SENTIMENTS].argmax(1)).items()
        }
        if all(e.frustration != UNKNOWN for e in examples):
            report[name]["signals"] = _signals(examples, logits)
    return report


def _signals(examples: list[Example], logits: np.ndarray) -> dict[str, float]:
    truth = np.array([e.signals for e in examples]) == 1
    figures = signal_figures(truth, logits[:, N_SENTIMENTS + 1 :])
    return {k: round(v, 4) for k, v in figures.items()}
