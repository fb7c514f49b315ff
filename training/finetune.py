"""Fine-tune an encoder for sentiment, frustration and signals.

    python -m training.finetune training/configs/base.toml --output var/runs/base
    python -m training.finetune training/configs/own.toml --set extra_labels=own.csv --output var/runs/own

The first trains an encoder on the data folder's sets. The second goes on from the live bundle with
own labels alone and needs neither the data folder nor any other weights. Any setting can be
overridden: `--set epochs=1 --set seed=3`. A run that was stopped goes on where it was with
`--resume`; `--mlflow` tracks it. Progress goes to stderr; the run folder gets `model.pt`, `run.json`.
"""

import argparse
import dataclasses
import json
import math
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from training import data as sets
from training.behaviours import SOURCE as BEHAVIOURS
from training.behaviours import make_behaviours
from training.corpus import Corpus, epoch_batches, inputs_of, prepare
from training.from_bundle import architecture_of, find_bundle, read_model
from training.labels_in import (
    mask_empty_signals,
    read_labels,
    refuse_empty_sentiment,
    refuse_held_out,
    warnings_of,
)
from training.model import N_SENTIMENTS, VocModel, load_encoder
from training.precision import fastest_precision
from training.progress import Progress
from training.seen import write_seen
from training.settings import Settings, data_folder, find_data_folder, read_settings
from training.tracking import DEFAULT_URI, track
from training.validate import figures, validate
from voc.errors import InputError, VocError


def gather_examples(settings: Settings, folder: Path) -> list[sets.Example]:
    """All training examples, capped by source, held-out texts and duplicates left out."""
    # What calibrates may not train under another set's name either.
    calibrating = {sets.normal_form(e.text) for e in sets.calibration_examples(folder)}
    keys = sets.held_out(folder) | calibrating
    rng = random.Random(settings.seed)
    examples: list[sets.Example] = []
    for source in settings.sentiment:
        if source["set"] == BEHAVIOURS:
            examples += make_behaviours(source["cap"], seed=settings.seed, weight=source.get("weight", 1.0))
            continue
        found = sets.without(
            sets.read_sentiment(
                folder, source["set"], splits=tuple(source["splits"]), weight=source.get("weight", 1.0)
            ),
            keys,
        )
        if source.get("labels"):
            found = [e for e in found if sets.SENTIMENTS[e.sentiment] in source["labels"]]
        if source["set"] == "dynasent_r1r2":
            found = [e for e in found if not sets.is_dynasent_development(e.text)]
        rng.shuffle(found)
        examples += found[: source.get("cap", len(found))]
    judged = sets.read_signals(folder / "signals" / "train.jsonl")
    own = Path(settings.own_labels)
    if settings.own_labels and own.exists():
        judged += sets.read_own_labels(own, sets.label_pool(folder))
    fit, _ = sets.split_calibration(sets.without(judged, keys))
    examples += [dataclasses.replace(e, weight=settings.judged_weight) for e in fit]
    return examples


def gather_own(settings: Settings, folder: Path | None) -> tuple[list[sets.Example], list[sets.Example]]:
    """Own labels: (what trains, what is held out to calibrate and measure on).

    Raises
    ------
    InputError
        The file is not fit to train on (`training.labels_in`), or nothing is left to train.
    """
    if not settings.extra_labels:
        return [], []
    own = read_labels(Path(settings.extra_labels))
    if folder is not None:
        own = refuse_held_out(own, sets.held_out(folder))
    fit, held_out = own.fit_and_calibration()
    if not fit:
        raise InputError("no text is left to train on", file=own.file, remedy="give more texts, or a 'split'")
    for warning in warnings_of(fit):
        print(f"own labels: {warning}", file=sys.stderr)
    if not settings.shared_data:  # nothing else says what an absent class looks like
        refuse_empty_sentiment(fit, own.file)
        fit, hidden = mask_empty_signals(fit)
        if hidden:
            print(f"own labels: never seen, so not trained: {', '.join(hidden)}", file=sys.stderr)
    return [dataclasses.replace(e, weight=settings.judged_weight) for e in fit], held_out


def loss_of(model: VocModel, corpus: Corpus, batch: list[int], settings: Settings) -> Tensor:
    """Weighted mean of the heads' losses over what was judged, plus the pull of the embedding."""
    states, mask = inputs_of(corpus, batch, model)
    if settings.token_dropout > 0:  # a text must be readable without any one word
        keep = torch.rand(mask.shape) >= settings.token_dropout
        keep[:, 0] = True
        mask = mask * keep
    out = model.upper(states, mask)
    weight = corpus.weight[batch]
    target = corpus.sentiment[batch]
    loss = torch.zeros(())
    known = target != sets.UNKNOWN
    if known.any():
        each = nn.functional.cross_entropy(
            out.logits[known][:, :N_SENTIMENTS], target[known], reduction="none",
            label_smoothing=settings.label_smoothing,
        )  # fmt: skip
        loss = loss + (each * weight[known]).sum() / len(batch)
    labels = corpus.labels[batch]
    judged = labels != sets.UNKNOWN
    if judged.any():
        each = nn.functional.binary_cross_entropy_with_logits(
            out.logits[:, N_SENTIMENTS:], labels.clamp(min=0), reduction="none"
        )
        # Per text, the sum over signals: one rare signal must not vanish in a mean over fifteen.
        loss = loss + settings.signal_weight * (each * judged * weight[:, None]).sum() / len(batch)
    teacher = corpus.teacher[batch]
    has = teacher.abs().sum(1) > 0
    if has.any() and settings.embedding_weight > 0:
        pull = 1 - (out.embedding[has] * teacher[has]).sum(1)
        loss = loss + settings.embedding_weight * pull.sum() / len(batch)
    return loss


def train(
    model: VocModel, corpus: Corpus, settings: Settings, output: Path, *, resume: bool
) -> list[dict[str, Any]]:
    """AdamW with warm-up and linear decay; the result is the mean of the weights over the last part."""
    heads = {id(p) for part in (model.pool, model.to_embedding) for p in part.parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if id(p) not in heads], "lr": settings.lr},
        {"params": [p for p in trainable if id(p) in heads], "lr": settings.head_lr},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    plan = [batch for epoch in range(settings.epochs) for batch in epoch_batches(corpus, settings, epoch)]
    warmup = max(1, int(0.06 * len(plan)))
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warmup, max(0.02, (len(plan) - s) / max(1, len(plan) - warmup)))
    )
    decay = 1 - 1 / (0.08 * len(plan) + 1)  # the mean reaches over about the last twelfth
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    )
    checkpoint = output / "checkpoint.pt"
    done = 0
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["rng"])
        done = state["step"]
        print(f"going on at step {done} of {len(plan)}", file=sys.stderr)
    progress = Progress("training", total=len(plan), unit="steps", start=done)
    model.train()
    history: list[dict[str, Any]] = []
    running = 0.0
    for step in range(done, len(plan)):
        loss = loss_of(model, corpus, plan[step], settings)
        loss.backward()
        nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        average.update_parameters(model)
        value = float(loss.detach())
        if not math.isfinite(value):
            sys.exit(f"loss is {value} at step {step}; lower lr and try again")
        running = value if step == done else 0.98 * running + 0.02 * value
        progress.advance(1, note=f"loss {running:.3f}")
        if (step + 1) % settings.checkpoint_every == 0:
            part = checkpoint.with_suffix(".part")
            torch.save({
                "model": model.state_dict(), "average": average.state_dict(), "step": step + 1,
                "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
                "rng": torch.get_rng_state(),
            }, part)  # fmt: skip
            part.replace(checkpoint)
            history.append({"step": step + 1, "loss": running})
    progress.close()
    model.load_state_dict(average.module.state_dict())
    checkpoint.unlink(missing_ok=True)
    return history


def build_tokenizer(source: str, max_tokens: int) -> Tokenizer:
    """The base model's tokenizer, cut at `max_tokens` for training."""
    tokenizer = Tokenizer.from_file(str(Path(source) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, help="TOML file of settings")
    parser.add_argument("--output", type=Path, required=True, help="folder of this run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--mlflow", nargs="?", const=DEFAULT_URI, metavar="URI", help=f"track the run ({DEFAULT_URI})"
    )
    args = parser.parse_args()
    try:
        report = run(read_settings(args.config, args.set), args.output, resume=args.resume)
        if args.mlflow:
            track(args.mlflow, args.output, json.loads((args.output / "run.json").read_text()))
    except VocError as error:
        sys.exit(f"finetune: {error}")
    print(json.dumps(report, indent=1))


def start_model(settings: Settings) -> tuple[VocModel, Tokenizer, dict[str, Any]]:
    """The model a run starts from, its tokenizer, and what the run's record says of them."""
    if settings.init_bundle:
        model, tokenizer, bundle = read_model(find_bundle(settings.init_bundle), frozen=settings.frozen)
        about = {
            "base": bundle.manifest.get("base"),
            "init_bundle": {"id": bundle.id, "model.onnx": bundle.manifest["files"]["model.onnx"]},
        }
    else:
        encoder_path = str(Path(settings.encoder).expanduser())
        model = VocModel(load_encoder(encoder_path), frozen=settings.frozen)
        tokenizer, about = build_tokenizer(encoder_path, settings.max_tokens), {}
    if settings.init:
        model.load_state_dict(torch.load(Path(settings.init) / "model.pt", weights_only=True))
    precision = fastest_precision() if settings.precision == "auto" else settings.precision
    model.use(precision=precision, dropout=settings.dropout)
    tokenizer.enable_truncation(settings.max_tokens)
    return (
        model,
        tokenizer,
        {**about, "precision": precision, "architecture": architecture_of(model.encoder.config)},
    )


def run(settings: Settings, output: Path, *, resume: bool) -> dict[str, Any]:
    """One run: writes its folder, returns the development figures.

    Raises
    ------
    VocError
        The settings, the labels or the model to start from are not fit for it.
    """
    folder = data_folder() if settings.shared_data else find_data_folder()
    torch.manual_seed(settings.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(settings.threads)

    started = time.monotonic()
    model, tokenizer, about = start_model(settings)
    own, own_held_out = gather_own(settings, folder)
    examples = (gather_examples(settings, folder) if settings.shared_data and folder else []) + own
    output.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    for e in examples:
        counts[e.source] = counts.get(e.source, 0) + 1
    print(
        f"{len(examples)} texts: " + ", ".join(f"{k} {v}" for k, v in sorted(counts.items())), file=sys.stderr
    )
    corpus = prepare(model, tokenizer, examples, settings)
    history = train(model, corpus, settings, output, resume=resume)
    torch.save(model.state_dict(), output / "model.pt")
    report = validate(model, tokenizer, folder) if settings.shared_data and folder else {}
    if own_held_out:
        report["own_held_out"] = {
            **figures(model, tokenizer, own_held_out), "n_texts": len(own_held_out),
            "sha256": sets.fingerprint(own_held_out),
        }  # fmt: skip
    record = {
        "settings": dataclasses.asdict(settings),
        **about,
        "data": {
            "counts": counts,
            "positives": {
                name: sum(e.signals[j] == 1 for e in examples) for j, name in enumerate(sets.SIGNAL_NAMES)
            },
            "sha256": sets.fingerprint(examples),
        },
        "history": history,
        "development": report,
        "seconds": round(time.monotonic() - started),
    }
    earlier = [Path(settings.init)] if settings.init else []
    earlier += [find_bundle(settings.init_bundle)] if settings.init_bundle else []
    write_seen(output, examples, *earlier)
    (output / "run.json").write_text(json.dumps(record, indent=1) + "\n")
    tokenizer.no_truncation()
    tokenizer.save(str(output / "tokenizer.json"))
    return report


if __name__ == "__main__":
    main()
