"""Themes against default BERTopic on the same embeddings: right, stable, lasting, and early.

    python -m evaluation.themes [--parts right stable] [--texts N] [--reviews N] [--output themes.html]

Labels of banking77 and clinc150 are the truth for groups; app reviews have none, and show coherence and
stability. Needs the `train` extra for the peer and VOC_DATA_DIR for the data.
"""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.page import heading, page, paragraph, print_table, table
from evaluation.sets import data_folder, read_rows
from evaluation.themes_emerging import VOLUME, plant
from evaluation.themes_measures import (
    adjusted_rand,
    coherence,
    diversity,
    normalised_mutual_information,
    purity,
)
from voc.classify.bundle import find_live_bundle, load_bundle
from voc.classify.model import Model
from voc.themes.fit import FitSettings, Fitted, fit_themes
from voc.themes.terms import theme_terms

Ints = NDArray[np.int64]
Table = tuple[str, list[str], list[list[str]]]
MOST_TOKENS = 128  # of a text; reviews beyond it are few
NEW_SHARE = 0.2  # of new texts in a refit
PLANTED = 8  # complaints planted
LEAST_PLANTED = 100  # texts an intent must have to be planted
FITTED_EVERY = 4  # of the background: these texts make the themes, the others are the stream
SAMPLE = 0.8  # of the texts, for agreement between samples
PARTS = ("right", "stable", "lasting", "early")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts with embeddings (n, dim), and labels (n,) where the set has them."""

    name: str
    texts: list[str]
    embeddings: NDArray[np.float32]
    labels: list[str]


def read_corpus(model: Model, folder: Path, name: str, most: int, *, cache: Path | None = None) -> Corpus:
    """An even sample of a set, embedded; `cache` keeps the embeddings for the next run."""
    rows = [row for row in read_rows(folder / f"{name}.csv.gz") if row["text"].strip()]
    rows = [rows[i] for i in np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]
    texts = [row["text"] for row in rows]
    labels = [json.loads(row["meta"]).get("intent", "") for row in rows]
    kept = cache / f"{model.bundle.id.replace('/', '-')}-{name}-{len(texts)}.npy" if cache else None
    if kept and kept.exists():
        return Corpus(name, texts, np.load(kept), labels)
    embeddings = embed(model, texts, name)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, embeddings)
    return Corpus(name, texts, embeddings, labels)


def embed(model: Model, texts: list[str], name: str) -> NDArray[np.float32]:
    """Embeddings (n, dim) in the order of the texts; those of a length go together, which saves padding."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    parts = []
    for i in range(0, len(order), 256):
        batch = [texts[j] for j in order[i : i + 256]]
        parts.append(model.logits(batch, max_tokens=MOST_TOKENS).embedding())
        print(f"\rembedding {name}: {i + len(batch):,}/{len(texts):,}", end="", file=sys.stderr)
    print(file=sys.stderr)
    embeddings = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
    embeddings[order] = np.concatenate(parts)
    return embeddings


def ours(corpus: Corpus, chosen: Ints | None = None, **settings: int) -> Fitted:
    """The service at its defaults on a corpus, or on some of its texts."""
    rows = np.arange(len(corpus.texts)) if chosen is None else chosen
    return fit_themes(
        [str(i) for i in rows], [corpus.texts[i] for i in rows], corpus.embeddings[rows], bundle="live/0",
        settings=FitSettings(**settings),  # type: ignore[arg-type]
    )  # fmt: skip


def bertopic(corpus: Corpus, *, seed: int, reduce: bool = False) -> tuple[Ints, Ints | None]:
    """Default BERTopic on the same embeddings: its topics, and them after its own reduction of outliers."""
    from bertopic import BERTopic
    from umap import UMAP

    umap = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed, n_jobs=1)
    model = BERTopic(embedding_model=None, umap_model=umap)
    topics, _ = model.fit_transform(corpus.texts, corpus.embeddings)
    if not reduce:
        return np.array(topics), None
    reduced = model.reduce_outliers(
        corpus.texts, topics, strategy="embeddings", embeddings=corpus.embeddings, threshold=0
    )
    return np.array(topics), np.array(reduced)


def right(corpora: list[Corpus]) -> Table:
    """Themes against labels."""
    rows = []
    for corpus in corpora:
        label = np.unique(corpus.labels, return_inverse=True)[1].astype(np.int64)
        began = time.perf_counter()
        topics, reduced = bertopic(corpus, seed=0, reduce=True)
        peer_s = time.perf_counter() - began
        began = time.perf_counter()
        mine = ours(corpus).assigned.theme
        mine_s = time.perf_counter() - began
        placed = topics >= 0
        for name, theme, seconds in (
            ("BERTopic, default", topics, peer_s),
            ("BERTopic, outliers reduced", reduced, peer_s),
            ("voc themes", mine, mine_s),
        ):
            assert theme is not None
            there = placed & (theme >= 0)
            rows.append([
                f"{corpus.name}, {len(label):,}: {name}", f"{len(np.unique(theme[theme >= 0]))} / {label.max() + 1}",
                f"{(theme < 0).mean():.1%}", f"{adjusted_rand(theme, label):.3f}",
                f"{normalised_mutual_information(theme, label):.3f}", f"{purity(theme, label):.3f}",
                f"{purity(theme[there], label[there]):.3f}", f"{seconds:.0f}",
            ])  # fmt: skip
            print(*rows[-1], sep="  ", file=sys.stderr)
    header = ["set", "themes / labels", "none", "ARI", "NMI", "purity", "purity, peer's own", "s"]
    return "Right: against labels (none is a group of its own in ARI and NMI)", header, rows


def stable(corpus: Corpus, n_seeds: int) -> Table:
    """Coherence and diversity of terms on all texts; agreement between samples, each with its own seed.

    The own method draws nothing, so its seeds agree by construction: samples are what can tell them apart.
    """
    samples = [
        np.sort(
            np.random.default_rng(seed).permutation(len(corpus.texts))[: round(SAMPLE * len(corpus.texts))]
        )
        for seed in range(n_seeds)
    ]
    rows = []
    for name, find in (
        ("voc themes", lambda part, seed: ours(part, seed=seed).assigned.theme),
        ("BERTopic, default", lambda part, seed: bertopic(part, seed=seed)[0]),
    ):
        theme = find(corpus, 0)
        sampled = []
        for seed, sample in enumerate(samples):
            part = Corpus(corpus.name, [corpus.texts[i] for i in sample], corpus.embeddings[sample], [])
            sampled.append((sample, find(part, seed)))
        agreement = [_agreement(*pair) for pair in combinations(sampled, 2)]
        terms = theme_terms(corpus.texts, theme, int(theme.max()) + 1)
        rows.append([
            name, str(int(theme.max()) + 1), f"{(theme < 0).mean():.1%}",
            f"{coherence(terms, corpus.texts):.3f}", f"{diversity(terms):.3f}", str(n_seeds),
            f"{np.mean(agreement):.3f}" if agreement else "-", f"{min(agreement):.3f}" if agreement else "-",
        ])  # fmt: skip
        print(*rows[-1], sep="  ", file=sys.stderr)
    header = ["method", "themes", "none", "NPMI", "diversity", "seeds", "ARI, mean", "ARI, least"]
    title = f"Stable: {corpus.name}, {len(corpus.texts):,} texts; ARI between samples of {SAMPLE:.0%} on shared texts"
    return title, header, rows


def _agreement(first: tuple[Ints, Ints], second: tuple[Ints, Ints]) -> float:
    """Adjusted Rand index of two (rows, theme) on the rows both have."""
    _, i, j = np.intersect1d(first[0], second[0], assume_unique=True, return_indices=True)
    return adjusted_rand(first[1][i], second[1][j])


def lasting(corpora: list[Corpus]) -> Table:
    """Do unchanged texts keep their theme id when a fifth of new texts comes?"""
    rows = []
    for corpus in corpora:
        n = len(corpus.texts)
        first = np.sort(np.random.default_rng(0).permutation(n)[: round(n / (1 + NEW_SHARE))])
        old = ours(corpus, first)
        before = np.array([*(t.id for t in old.fit.themes), "none"])[old.assigned.theme]
        for name, afresh in (("going on", False), ("found afresh, matched", True)):
            new = fit_themes(
                [str(i) for i in range(n)], corpus.texts, corpus.embeddings, bundle="live/0",
                settings=FitSettings(), previous=old.fit, afresh=afresh,
            )  # fmt: skip
            after = np.array([*(t.id for t in new.fit.themes), "none"])[new.assigned.theme][first]
            kinds = Counter(event.kind for event in new.fit.events)
            rows.append([
                f"{corpus.name}: {name}", f"{n - len(first):,} of {n:,}", f"{(before == after).mean():.1%}",
                *(str(kinds[k]) for k in ("survived", "born", "died", "split", "merged")),
            ])  # fmt: skip
    header = ["refit", "new texts", "keep their id", "survived", "born", "died", "split", "merged"]
    return "Lasting: a refit with a fifth of new texts", header, rows


def early(background: Corpus, source: Corpus, intents: list[str]) -> Table:
    """Intents of `source` planted at VOLUME of a stream of `background`; themes fitted without them."""
    n = len(background.texts)
    labels = np.array(source.labels)
    fit = ours(background, np.arange(0, n, FITTED_EVERY)).fit
    streamed = np.flatnonzero(np.arange(n) % FITTED_EVERY != 0)
    rows = []
    for seed, name in enumerate(intents):
        new = np.flatnonzero(labels == name)
        texts = [background.texts[i] for i in streamed] + [source.texts[i] for i in new]
        embeddings = np.concatenate([background.embeddings[streamed], source.embeddings[new]])
        is_new = np.arange(len(texts)) >= len(streamed)
        one = plant(fit, texts, embeddings, is_new, name=name, seed=seed)
        rows.append([
            f"{source.name}: {name}", str(one.n_planted), "no" if one.n_seen is None else str(one.n_seen),
            f"{one.share:.0%}", str(one.n_quotes), str(one.n_others), str(one.n_shuffled),
        ])  # fmt: skip
        print(*rows[-1], sep="  ", file=sys.stderr)
    header = [
        "new complaint", "planted", "flagged after its texts", "of it", "quotes", "other flags", "shuffled: flags",
    ]  # fmt: skip
    title = (
        f"Early: a new complaint at {VOLUME:.0%} of a stream of {background.name} ({len(streamed):,} texts)"
    )
    return title, header, rows


def intents_of(corpus: Corpus) -> list[str]:
    """PLANTED intents with enough texts, evenly along the alphabet."""
    often = sorted(name for name, n in Counter(corpus.labels).items() if n >= LEAST_PLANTED and name != "oos")
    return [often[i] for i in np.linspace(0, len(often) - 1, min(PLANTED, len(often))).round().astype(int)]


def main() -> None:
    """Measure and print; write a page where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--texts", type=int, default=100_000, help="most texts of each labelled set")
    parser.add_argument("--reviews", type=int, default=10_000, help="app reviews, an even sample")
    parser.add_argument("--stream", type=int, default=16_000, help="app reviews to plant in, an even sample")
    parser.add_argument("--plant", nargs="+", metavar="INTENT", help="of banking77; else some, evenly chosen")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="folder that keeps embeddings for the next run")
    parser.add_argument("--output", type=Path, help="HTML page")
    args = parser.parse_args()
    model = Model(load_bundle(find_live_bundle(Path("models"))))
    data, cache = data_folder(), args.cache
    labelled: list[Corpus] = []
    if {"right", "lasting"} & set(args.parts):
        labelled = [
            read_corpus(model, data / "texts", name, args.texts, cache=cache) for name in ("banking77", "clinc150")
        ]  # fmt: skip
    reviews = None
    if {"stable", "lasting"} & set(args.parts) or args.output:
        reviews = read_corpus(model, data / "changes", "app_reviews", args.reviews, cache=cache)
    tables = []
    if "right" in args.parts:
        tables.append(right(labelled))
    if "stable" in args.parts and reviews:
        tables.append(stable(reviews, args.seeds))
    if "lasting" in args.parts and reviews:
        tables.append(lasting([*labelled, reviews]))
    if "early" in args.parts:
        stream = read_corpus(model, data / "changes", "app_reviews", args.stream, cache=cache)
        banking = read_corpus(model, data / "texts", "banking77", 100_000, cache=cache)
        tables.append(early(stream, banking, args.plant or intents_of(banking)))
    for title, header, rows in tables:
        print(f"\n{title}")
        print_table(header, rows)
    if args.output and reviews:
        write_page(args.output, model.bundle.id, tables, reviews)


def write_page(path: Path, bundle: str, tables: list[Table], reviews: Corpus) -> None:
    """The tables, and what the themes of the reviews read like."""
    parts = [
        paragraph(f"Embeddings of {bundle}; the peer is BERTopic at its defaults on the same embeddings.")
    ]
    parts += [table(header, rows, caption=title) for title, header, rows in tables]
    parts.append(heading("Themes of the app reviews, as found"))
    themes = ours(reviews).fit.themes[:40]
    rows = [[t.name, t.n_texts, t.broad or "", t.quotes[0].text[:120] if t.quotes else ""] for t in themes]
    parts.append(table(["name", "texts", "wider theme", "a quote"], rows))
    path.write_text(page("Themes", parts), encoding="utf-8")


if __name__ == "__main__":
    main()
