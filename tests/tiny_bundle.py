"""A tiny random bundle and made-up labelled sentences, so that tests need no weights and no data."""

import itertools
import json
import random
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from training.export import export_bundle
from training.from_bundle import ARCHITECTURE, empty_encoder
from training.model import VocModel

_THINGS = ("parcel", "phone", "sofa", "invoice", "card", "router", "flight", "policy", "order", "lamp")
_STARTS = ("Honestly,", "Hello team,", "Last week", "As agreed,", "For my mother", "On Monday")
# (what was said of the thing, sentiment, frustrated, signals)
_SAYINGS = (
    ("the {} came nine days late and nobody told me", "negative", False, ["delay"]),
    ("I was charged twice for the {} and want my money back", "negative", False, ["billing_error"]),
    ("I called five times about the {} and I am so tired of this", "negative", True, ["repeat_contact"]),
    ("the {} broke on the first day and does not start", "negative", False, ["outage_defect"]),
    ("I will cancel the {} and move to another company", "negative", False, ["churn_intent"]),
    ("your clerk was rude when I asked about the {}", "negative", True, ["staff_conduct"]),
    ("the {} is blue and weighs two kilos", "neutral", False, []),
    ("where can I find the manual of the {}", "neutral", False, []),
    ("the {} is lovely and works very well", "positive", False, []),
    ("thank you for the quick help with the {}", "positive", False, []),
)


def made_up_rows() -> list[dict[str, Any]]:
    """600 judged sentences, shuffled the same way each time."""
    rows = [
        {"text": f"{start} {said.format(thing)}.", "sentiment": sentiment, "frustration": frustrated,
         "signals": signals}
        for start, thing, (said, sentiment, frustrated, signals) in itertools.product(
            _STARTS, _THINGS, _SAYINGS)
    ]  # fmt: skip
    random.Random(7).shuffle(rows)
    return rows


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def build_tiny_bundle(
    models_folder: Path, *, version: str = "0.1.0", n_layers: int = 2, seed: int = 0
) -> Path:
    """Export a random BERT of 64 dimensions the way a real run is exported; about two seconds."""
    run = models_folder / f".run-{version}"
    run.mkdir(parents=True)
    labels = write_jsonl(run / "labels.jsonl", made_up_rows()[:120])
    tokenizer = _tokenizer([row["text"] for row in made_up_rows()])
    sizes = (tokenizer.get_vocab_size(), 64, n_layers, 4, 128, 320, 2, 1e-12, "gelu")
    architecture = dict(zip(ARCHITECTURE, sizes, strict=True))
    torch.manual_seed(seed)
    model = VocModel(empty_encoder(architecture), frozen=1)
    torch.nn.init.normal_(model.pool.value.weight, std=0.4)  # logits far enough apart to tell labels
    model.pool.bias.data[0] = 0.2  # and few ties for int8 to break
    torch.save(model.state_dict(), run / "model.pt")
    tokenizer.save(str(run / "tokenizer.json"))
    settings = {"encoder": "", "frozen": 1, "shared_data": False, "extra_labels": str(labels)}
    record = {
        "settings": settings, "architecture": architecture, "data": {}, "seconds": 0, "development": {},
        "base": {"model": "random", "licence": "Apache-2.0"},
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(record))
    return export_bundle(run, name="tiny", version=version, output=models_folder)


def _tokenizer(texts: list[str]) -> Tokenizer:
    """Words and single letters: unseen words fall apart into letters."""
    words = sorted({word for text in texts for word in text.lower().replace(".", " .").split()})
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{c}" for c in letters)]
    vocabulary += [word for word in words if word not in vocabulary]
    # As in a real model, the table of words is the largest: export tells it by that.
    vocabulary += [f"[unused{i}]" for i in range(600 - len(vocabulary))]
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer
