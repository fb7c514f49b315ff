"""Training texts as tensors: tokens, labels, and the states after the frozen layers, computed once."""

import dataclasses
import random
from collections.abc import Iterator

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from training import data as sets
from training.model import VocModel
from training.progress import Progress
from training.settings import Settings


@dataclasses.dataclass(slots=True)
class Corpus:
    """Examples with their tokens and the states after the frozen layers, laid end to end."""

    examples: list[sets.Example]
    tokens: list[list[int]]
    offsets: np.ndarray  # (n_texts + 1,), in tokens
    states: Tensor  # (n_tokens, dim), float16; empty where no layer is frozen
    sentiment: Tensor
    labels: Tensor  # (n_texts, 1 + n_signals): frustration, then signals; UNKNOWN masks
    weight: Tensor
    teacher: Tensor  # (n_texts, dim) embeddings of the untouched encoder; zero where not asked for


def prepare(
    model: VocModel, tokenizer: Tokenizer, examples: list[sets.Example], settings: Settings
) -> Corpus:
    """Tokenise, and run the frozen layers once for good: later epochs only pay for the rest.

    The embeddings that training must not stray from are taken in the same pass.
    """
    tokens = [e.ids for e in tokenizer.encode_batch([e.text for e in examples])]
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in tokens])])
    states = torch.empty((int(offsets[-1]) if model.frozen else 0, model.dim), dtype=torch.float16)
    teacher = torch.zeros((len(examples), model.dim))
    wants_teacher = [
        settings.embedding_weight > 0 and (e.frustration != sets.UNKNOWN or i % settings.teacher_every == 0)
        for i, e in enumerate(examples)
    ]
    todo = [i for i in range(len(examples)) if model.frozen or wants_teacher[i]]
    progress = Progress("frozen layers", total=sum(len(tokens[i]) for i in todo), unit="tokens")
    model.eval()
    with torch.inference_mode():
        for batch in pack(sorted(todo, key=lambda i: len(tokens[i])), tokens, 4096):
            ids, mask = pad([tokens[i] for i in batch])
            lower = model.lower(ids, mask)
            if model.frozen:
                for row, i in enumerate(batch):
                    states[offsets[i] : offsets[i + 1]] = lower[row, : len(tokens[i])].half()
            rows = [row for row, i in enumerate(batch) if wants_teacher[i]]
            if rows:
                # Stored embeddings must stay comparable with a bundle's own; those of an encoder are its mean.
                found = model.embed(lower[rows], mask[rows], projected=bool(settings.init_bundle))
                teacher[[batch[r] for r in rows]] = found
            progress.advance(sum(len(tokens[i]) for i in batch))
    progress.close()
    labels = torch.tensor([[e.frustration, *e.signals] for e in examples], dtype=torch.float32)
    return Corpus(
        examples, tokens, offsets, states,
        torch.tensor([e.sentiment for e in examples]), labels,
        torch.tensor([e.weight for e in examples]), teacher,
    )  # fmt: skip


def inputs_of(corpus: Corpus, batch: list[int], model: VocModel) -> tuple[Tensor, Tensor]:
    """What the trained part of the model reads, (texts, longest, dim), and its mask (texts, longest)."""
    ids, mask = pad([corpus.tokens[i] for i in batch])
    if not model.frozen:
        return model.lower(ids, mask), mask
    states = torch.zeros((*mask.shape, model.dim))
    for row, i in enumerate(batch):
        states[row, : len(corpus.tokens[i])] = corpus.states[
            corpus.offsets[i] : corpus.offsets[i + 1]
        ].float()
    return states, mask


def pad(tokens: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token lists to (ids, mask), each (texts, longest)."""
    longest = max(len(t) for t in tokens)
    ids = torch.zeros((len(tokens), longest), dtype=torch.long)
    mask = torch.zeros((len(tokens), longest), dtype=torch.long)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return ids, mask


def pack(order: list[int], tokens: list[list[int]], budget: int) -> Iterator[list[int]]:
    """Cut `order` into batches of at most `budget` padded tokens."""
    batch: list[int] = []
    longest = 0
    for i in order:
        longest_then = max(longest, len(tokens[i]))
        if batch and longest_then * (len(batch) + 1) > budget:
            yield batch
            batch, longest_then = [], len(tokens[i])
        batch.append(i)
        longest = longest_then
    if batch:
        yield batch


def epoch_batches(corpus: Corpus, settings: Settings, epoch: int) -> list[list[int]]:
    """Shuffled batches of texts of like length; the same for the same seed and epoch."""
    rng = random.Random(settings.seed * 1000 + epoch)
    order = list(range(len(corpus.examples)))
    rng.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), 4096):
        chunk = sorted(order[start : start + 4096], key=lambda i: len(corpus.tokens[i]))
        batches += list(pack(chunk, corpus.tokens, settings.token_budget))
    rng.shuffle(batches)
    return batches
